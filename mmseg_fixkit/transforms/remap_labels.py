"""The transform that turns the values or colours of label files into class indices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, Optional, Union

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_fixkit.core.errors import LabelOutOfBounds
from mmseg_fixkit.core.palettes import as_hex, pack, pack_image
from mmseg_fixkit.core.text import listed, with_pixels
from mmseg_fixkit.datasets.count import count_values
from mmseg_fixkit.datasets.recode import read_table, runs

_ORDERS = {"bgr": slice(2, None, -1), "rgb": slice(0, 3)}
_DEFAULTS = "'keep', 'ignore', 'raise' or a whole number"
_SHOWN = 10  # values or colours that a message names


class RemapLabels(BaseTransform):
    """Gives the values of a label map, or its colours, new ones by a table.

    It belongs right after ``LoadAnnotations`` and before ``AssertLabelBounds``. Pipelines without
    labels pass through. ``LoadAnnotations`` reduces the zero label, if the dataset asks for it, and
    maps labels to the chosen classes before: a mapping is about the labels after that.

    Required Keys:

    - gt_seg_map (np.ndarray): (H, W) whole numbers; with colours (H, W, 3) or (H, W, 4) of 8 bit
    - seg_map_path (str, optional): named in messages

    Modified Keys:

    - gt_seg_map: where something changes, a new array takes its place, and the loaded one is left
      as it is. Its type is kept if the new values fit; colours become ``uint8`` if theirs do.

    Args:
        mapping: old -> new label: a dict, or a list of pairs.
        table: instead, a file of them: a JSON object (``{"7": 0}``, colours as ``"#804080"``), or
            a CSV file with two columns (old, new) or four (red, green, blue, new).
        palette: instead, for colour masks: the colours of the classes, red first, in their order;
            or ``(colour, label)`` pairs.
        default: what becomes of the others, but for ``ignore_index``, which always stays:
            ``'keep'``, ``'ignore'``, ``'raise'``, or that label. None is ``'keep'`` for values,
            and ``'raise'`` for colours, which cannot be kept.
        ignore_index: the label that is not counted.
        key: where the label map stands in the results.
        channel_order: of colours as loaded; ``LoadAnnotations`` gives ``'bgr'``.

    Raises:
        LabelOutOfBounds: while loading: ``default='raise'`` and a value or colour is not listed;
            or the map has colours and the table values, or the other way round.
        ValueError: an argument makes no sense, or two of them contradict each other.

    """

    def __init__(
        self,
        mapping: Optional[Union[Mapping[Any, int], Sequence[Sequence[Any]]]] = None,
        table: Optional[str] = None,
        palette: Optional[Sequence[Any]] = None,
        default: Optional[Union[str, int]] = None,
        ignore_index: int = 255,
        key: str = "gt_seg_map",
        channel_order: str = "bgr",
    ) -> None:
        _check_one_of(mapping=mapping, table=table, palette=palette)
        self.mapping = mapping
        self.table = table
        self.palette = palette
        self.default = default
        self.ignore_index = _whole(ignore_index, "ignore_index")
        self.key = key
        self.channel_order = channel_order
        if channel_order not in _ORDERS:
            raise ValueError(
                f"RemapLabels: channel_order is {channel_order!r}, but 'bgr' or 'rgb' is needed"
            )
        self._values, self._colors = _tables(mapping, table, palette)
        _check_default(default, bool(self._colors))
        self._bytes = self._lookup(range(256))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Remap ``results[key]``, see the class."""
        label = results.get(self.key)
        if label is None:
            return results
        source = str(results.get("seg_map_path") or f"results[{self.key!r}]")
        if self._colors:
            _check_untouched(results, source)
            results[self.key] = self._of_colors(label, source)
        else:
            results[self.key] = self._of_values(label, source)
        return results

    def _of_values(self, label: Any, source: str) -> np.ndarray:
        label = _checked_map(label, source)
        if not label.size:
            return label
        spread = None
        if label.dtype == np.uint8:
            counts = dict(count_values(label))
        else:
            counts, spread = _runs_of(label.astype(np.int64, copy=False))
        if self.default == "raise":
            known = {*self._values, self.ignore_index}
            self._stop_at({v: n for v, n in counts.items() if v not in known}, source, str)
        if all(self._new(value) == value for value in counts):
            return label
        if spread is not None:
            new = self._lookup(counts)
            # What int64 and uint64 have in common is float64, which has no room for large values.
            common = np.result_type(label.dtype, new)
            whole = label.dtype.kind != "f" and common.kind == "f"
            return spread(new.astype(np.int64 if whole else common))
        if self._bytes.dtype != np.uint8:
            return self._bytes[label]
        return cv2.LUT(np.ascontiguousarray(label), self._bytes)

    def _of_colors(self, label: Any, source: str) -> np.ndarray:
        label = _checked_colors(label, source)
        counts, spread = _runs_of(pack_image(label[:, :, _ORDERS[self.channel_order]]))
        if self.default in (None, "raise"):
            strange = {code: n for code, n in counts.items() if code not in self._colors}
            self._stop_at(strange, source, as_hex)
        new = np.array([self._colors.get(code, self._other) for code in counts])
        target = _narrowest(np.array([*self._colors.values(), self._other]))
        return spread(new.astype(target))

    def _new(self, value: int) -> int:
        if value in self._values:
            return self._values[value]
        kept = value == self.ignore_index or self.default in (None, "keep", "raise")
        return value if kept else self._other

    @property
    def _other(self) -> int:
        return self.ignore_index if self.default == "ignore" else int(self.default or 0)

    def _lookup(self, values: Iterable[int]) -> np.ndarray:
        """Return the new label of each value."""
        table = np.array([self._new(value) for value in values], np.int64)
        return table.astype(_narrowest(table))

    def _stop_at(
        self, strange: Mapping[int, int], source: str, shown: Callable[[int], str]
    ) -> None:
        if not strange:
            return
        found = with_pixels(((shown(value), pixels) for value, pixels in strange.items()), _SHOWN)
        raise LabelOutOfBounds(
            f"{source} is labelled {found}, but {self._origin} of RemapLabels does not list that; "
            "add it, or set default='ignore' to train without these pixels"
        )

    @property
    def _origin(self) -> str:
        if self.table:
            return f"the table {self.table}"
        return "the mapping" if self.palette is None else "the palette"

    def __repr__(self) -> str:
        given = {"mapping": self.mapping, "table": self.table, "palette": self.palette}
        shown = "".join(f"{k}={v!r}, " for k, v in given.items() if v is not None)
        return (
            f"{type(self).__name__}({shown}default={self.default!r}, "
            f"ignore_index={self.ignore_index}, key={self.key!r}, "
            f"channel_order={self.channel_order!r})"
        )


def _tables(
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
        coded = [(int(str(old)[1:], 16), _whole(new, str(old))) for old, new in pairs]
        return {}, _unique(coded, as_hex)
    values = [(_whole(old, "a value"), _whole(new, f"that of {old}")) for old, new in pairs]
    return _unique(values, str), {}


def _of_palette(palette: Sequence[Any]) -> dict[int, int]:
    paired = all(len(entry) == 2 for entry in palette)
    pairs = palette if paired else [(color, label) for label, color in enumerate(palette)]
    if not pairs:
        raise ValueError("RemapLabels: palette is empty, but a colour for each class is needed")
    coded = [(_code(color), _whole(label, f"that of {color}")) for color, label in pairs]
    return _unique(coded, as_hex)


def _code(color: Any) -> int:
    if len(color) != 3 or not all(0 <= _whole(part, "a part") <= 255 for part in color):
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


def _whole(value: Any, what: str) -> int:
    """Return an argument as a number; JSON has numbers as texts where they are keys."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"RemapLabels: {what} is {value!r}, but a whole number is needed")
    return int(value)


def _check_one_of(**given: Any) -> None:
    """Make sure that one argument says what becomes of labels, and no other one."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        found = listed(names) or "none of them"
        raise ValueError(
            f"RemapLabels: {found} is given, but exactly one of mapping, table and palette says "
            "what becomes of a label"
        )


def _check_default(default: Any, colors: bool) -> None:
    """Make sure that ``default`` is one, and makes sense for colours if there are any."""
    number = isinstance(default, (int, np.integer)) and not isinstance(default, bool)
    if default is not None and not number and default not in ("keep", "ignore", "raise"):
        raise ValueError(f"RemapLabels: default is {default!r}, but {_DEFAULTS} is needed")
    if colors and default == "keep":
        raise ValueError(
            "RemapLabels: default is 'keep', but a colour that is not listed cannot be kept as a "
            "label; 'raise', 'ignore' or a label is needed"
        )


def _check_untouched(results: dict[str, Any], source: str) -> None:
    """Make sure that ``LoadAnnotations`` has left colours as they are in the file."""
    for name in ("reduce_zero_label", "label_map"):
        if results.get(name):
            raise LabelOutOfBounds(
                f"{source} has gone through {name} of the dataset as if its colours were labels; "
                f"RemapLabels with colours needs a dataset without {name}"
            )


def _checked_map(label: Any, source: str) -> np.ndarray:
    """Return a map of values; anything else is ``LabelOutOfBounds``."""
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


def _checked_colors(label: Any, source: str) -> np.ndarray:
    """Return a map of colours, with or without the same transparency everywhere."""
    shape: tuple[Any, ...] = getattr(label, "shape", ())
    if len(shape) != 3 or shape[2] not in (3, 4) or label.dtype != np.uint8:
        raise LabelOutOfBounds(
            f"{source} has the shape {shape} and type {getattr(label, 'dtype', type(label))}, but "
            "RemapLabels has colours for (H, W, 3) of 8 bit; for values, give it a mapping"
        )
    if shape[2] == 4 and np.ptp(label[:, :, 3]):
        raise LabelOutOfBounds(
            f"{source} is more transparent in some pixels than in others, which its colours do not "
            "show"
        )
    return label


#: Types of maps that OpenCV knows too, so not uint32. What NumPy finds for int64 and uint64
#: together is float64, which rounds large values.
_MAP_TYPES = (np.uint8, np.uint16, np.int16, np.int32)


def _narrowest(values: np.ndarray) -> type[np.integer[Any]]:
    """Return the first type of maps that holds all values of an array of int64."""
    low, high = int(values.min()), int(values.max())
    fitting = (t for t in _MAP_TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return next(fitting, np.int64)


def _runs_of(codes: np.ndarray) -> tuple[dict[int, int], Callable[[np.ndarray], np.ndarray]]:
    """Return code -> pixels, ascending, and what makes a map of new values for them, by runs."""
    values, lengths = runs(codes)
    found, places = np.unique(values, return_inverse=True)
    counts = np.bincount(places, lengths).astype(np.int64)

    def spread(new: np.ndarray) -> np.ndarray:
        return np.repeat(new[places], lengths).reshape(codes.shape)

    return dict(zip(found.tolist(), counts.tolist())), spread
