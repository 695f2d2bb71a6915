"""The rules, a module a family. Importing this package registers them all."""

from mmseg_fixkit.rules import (  # noqa: F401 - each import registers its rules
    checkpoints,
    datasets,
    guards,
    heads,
    ignore_index,
    losses,
    weights,
)
from mmseg_fixkit.rules.context import Context, DataLocation, Wishes

__all__ = ["Context", "DataLocation", "Wishes"]
