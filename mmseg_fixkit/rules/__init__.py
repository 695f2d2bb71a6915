"""The rules, a module a subject, and their selection. Importing this package registers them all."""

from importlib import import_module
from pkgutil import iter_modules

from mmseg_fixkit.core.rule import (
    all_rules,
    find_rule,
    index,
    reported_rules,
    select_reported,
    select_rules,
)

__all__ = ["all_rules", "find_rule", "index", "reported_rules", "select_reported", "select_rules"]

for _module in sorted(found.name for found in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
