"""The rules, a module a subject. Importing this package registers them all."""

from importlib import import_module
from pkgutil import iter_modules

from mmseg_fixkit.rules.context import Context, DataLocation, Wishes

__all__ = ["Context", "DataLocation", "Wishes"]

for _module in sorted(found.name for found in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
