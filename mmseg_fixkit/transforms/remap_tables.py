"""The arguments of ``RemapLabels`` as tables, and what labels it can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from mmseg_fixkit.core.errors import LabelOutOfBounds
from mmseg_fixkit.core.palettes import as_hex, pack
from mmseg_fixkit.core.text import listed
from mmseg_fixkit.datasets.recode import read_table

_DEFAULTS = "'keep', 'ignore', 'raise' or a whole number"


def tables(
    mapping: Any, table: Optional[str], palette: Optional[Sequence[Any]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return old value -> new, and packed colour -> label; one of them is empty."""
    if palette is not None:
        return {}, _of_palette(palette)
    if table is not None:
        pairs = read_table(Path(table))
    else:
        pairs = [*(mapping.items() if isinstance(mapping, Mapping) else mapping)]
    colors = [str(old).startswith("#") for old, _ in pairs]
    if any(colors):
        if not all(colors):
            raise ValueError("RemapLabels: the table lists colours and values, but a file has one")
        coded = [(int(str(old)[1:], 16), whole(new, str(old))) for old, new in pairs]
        return {}, _unique(coded, as_hex)
    values = [(whole(old, "a value"), whole(new, f"that of {old}")) for old, new in pairs]
    return _unique(values, str), {}


def _of_palette(palette: Sequence[Any]) -> dict[int, int]:
    paired = all(len(entry) == 2 for entry in palette)
    pairs = palette if paired else [(color, label) for label, color in enumerate(palette)]
    if not pairs:
        raise ValueError("RemapLabels: palette is empty, but a colour for each class is needed")
    coded = [(_code(color), whole(label, f"that of {color}")) for color, label in pairs]
    return _unique(coded, as_hex)


def _code(color: Any) -> int:
    if len(color) != 3 or not all(0 <= whole(part, "a part") <= 255 for part in color):
        raise ValueError(
            f"RemapLabels: {color!r} is no colour, but three numbers of 0..255 are one"
        )
    return pack(map(int, color))


def _unique(pairs: Sequence[tuple[int, int]], shown: Callable[[int], str]) -> dict[int, int]:
    table: dict[int, int] = {}
    for old, new in pairs:
        if table.setdefault(old, new) != new:
            raise ValueError(
                f"RemapLabels: {shown(old)} is listed for {table[old]} and for {new}, but a value "
                "or colour can only stand for one class"
            )
    return table


def whole(value: Any, what: str) -> int:
    """Return an argument as a number; JSON has numbers as texts where they are keys."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"RemapLabels: {what} is {value!r}, but a whole number is needed")
    return int(value)


def check_one_of(**given: Any) -> None:
    """Make sure that one argument says what becomes of labels, and no other one."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        found = listed(names) or "none of them"
        raise ValueError(
            f"RemapLabels: {found} is given, but exactly one of mapping, table and palette says "
            "what becomes of a label"
        )


def check_default(default: Any, colors: bool) -> None:
    """Make sure that ``default`` is one, and makes sense for colours if there are any."""
    number = isinstance(default, (int, np.integer)) and not isinstance(default, bool)
    if default is not None and not number and default not in ("keep", "ignore", "raise"):
        raise ValueError(f"RemapLabels: default is {default!r}, but {_DEFAULTS} is needed")
    if colors and default == "keep":
        raise ValueError(
            "RemapLabels: default is 'keep', but a colour that is not listed cannot be kept as a "
            "label; 'raise', 'ignore' or a label is needed"
        )


def check_untouched(results: dict[str, Any], source: str) -> None:
    """Make sure that ``LoadAnnotations`` has left colours as they are in the file."""
    for name in ("reduce_zero_label", "label_map"):
        if results.get(name):
            raise LabelOutOfBounds(
                f"{source} has gone through {name} of the dataset as if its colours were labels; "
                f"RemapLabels with colours needs a dataset without {name}"
            )


def checked_map(label: Any, source: str) -> np.ndarray:
    """Return a map of values.

    Raises:
        LabelOutOfBounds: it is something else.

    """
    if not isinstance(label, np.ndarray) or label.dtype.kind not in "iubf":
        kind = getattr(label, "dtype", type(label).__name__)
        raise LabelOutOfBounds(f"{source} is {kind}, but a label map is an array of whole numbers")
    if label.ndim != 2:
        raise LabelOutOfBounds(
            f"{source} has the shape {label.shape}, but RemapLabels has values for (H, W); for "
            "colours, give it a palette"
        )
    if label.dtype.kind == "f" and not (np.isfinite(label) & (label == np.floor(label))).all():
        raise LabelOutOfBounds(f"{source} holds numbers that are not whole, but labels are whole")
    return label


def checked_colors(label: Any, source: str) -> np.ndarray:
    """Return a map of colours, with or without the same transparency everywhere.

    Raises:
        LabelOutOfBounds: it is something else.

    """
    shape: tuple[Any, ...] = getattr(label, "shape", ())
    if len(shape) != 3 or shape[2] not in (3, 4) or label.dtype != np.uint8:
        raise LabelOutOfBounds(
            f"{source} has the shape {shape} and type {getattr(label, 'dtype', type(label))}, but "
            "RemapLabels has colours for (H, W, 3) of 8 bit; for values, give it a mapping"
        )
    if shape[2] == 4 and np.ptp(label[:, :, 3]):
        raise LabelOutOfBounds(
            f"{source} is more transparent in some pixels than in others, which its colours do not "
            "tell apart"
        )
    return label


def narrowest(values: np.ndarray) -> Any:
    """Return the type of fewest bytes that holds all values."""
    low, high = int(values.min()), int(values.max())
    return np.result_type(np.min_scalar_type(low), np.min_scalar_type(high), np.uint8)
