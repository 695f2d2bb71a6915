"""The transform that turns the values or colours of label files into class indices."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_fixkit.core.errors import LabelOutOfBounds
from mmseg_fixkit.core.palettes import as_hex
from mmseg_fixkit.core.text import with_pixels
from mmseg_fixkit.datasets.recode import runs
from mmseg_fixkit.transforms.label_changes import OTHERS, LabelChanges, count_pixels
from mmseg_fixkit.transforms.remap_tables import (
    check_default,
    check_one_of,
    check_untouched,
    checked_colors,
    checked_map,
    narrowest,
    tables,
    whole,
)

_ORDERS = ("bgr", "rgb")
_SHOWN = 10  # values or colours that a message names
_WIDEST = 1 << 18  # a table of that many values costs less than sorting the pixels


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

    #: How important the report of what was remapped is: it was asked for.
    change_level = logging.INFO

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
        check_one_of(mapping=mapping, table=table, palette=palette)
        self.mapping = mapping
        self.table = table
        self.palette = palette
        self.default = default
        self.ignore_index = whole(ignore_index, "ignore_index")
        self.key = key
        self.channel_order = channel_order
        if channel_order not in _ORDERS:
            raise ValueError(
                f"RemapLabels: channel_order is {channel_order!r}, but one of {_ORDERS} is needed"
            )
        self._values, self._colors = tables(mapping, table, palette)
        check_default(default, bool(self._colors))
        self._codes = np.array(sorted(self._colors), np.uint32)
        self._labels = np.array([self._colors[int(code)] for code in self._codes], np.int64)
        self._bytes = self._lookup(0, 255)
        self.changes = LabelChanges()

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Remap ``results[key]``, see the class."""
        label = results.get(self.key)
        if label is None:
            return results
        source = str(results.get("seg_map_path") or f"results[{self.key!r}]")
        if self._colors:
            check_untouched(results, source)
            results[self.key] = self._of_colors(label, source)
        else:
            results[self.key] = self._of_values(label, source)
        return results

    # Values

    def _of_values(self, label: Any, source: str) -> np.ndarray:
        label = checked_map(label, source)
        if label.dtype != np.uint8:
            return self._of_wide(label, source)
        pixels = count_pixels(label)
        changed = self._changed(pixels, source)
        if not changed:
            return label
        self.changes.add(changed, source)
        if self._bytes.dtype == np.uint8:
            return cv2.LUT(np.ascontiguousarray(label), self._bytes)
        return self._bytes[label]

    def _of_wide(self, label: np.ndarray, source: str) -> np.ndarray:
        wide = label.astype(np.int64, copy=False)
        low, high = (int(wide.min()), int(wide.max())) if wide.size else (0, 0)
        if high - low < _WIDEST:
            counts = np.bincount((wide - low).reshape(-1))
            found = np.flatnonzero(counts)
            pixels = dict(zip((found + low).tolist(), counts[found].tolist()))
        else:
            pixels = count_pixels(wide)
            found = np.array(list(pixels))
        changed = self._changed(pixels, source)
        if not changed:
            return label
        self.changes.add(changed, source)
        if high - low < _WIDEST:
            new = self._lookup(low, high, np.int64)[wide - low]
        else:
            new = np.array([self._new(v) for v in found.tolist()])[np.searchsorted(found, wide)]
        return new.astype(np.result_type(label.dtype, narrowest(new)), copy=False)

    def _changed(self, pixels: Mapping[int, int], source: str) -> dict[int, int]:
        """Return the values that become others, and how many pixels they have."""
        if self.default == "raise":
            strange = {v: n for v, n in pixels.items() if not self._is_listed(v)}
            if strange:
                raise LabelOutOfBounds(self._unlisted(source, strange, str))
        return {value: n for value, n in pixels.items() if self._new(value) != value}

    def _is_listed(self, value: int) -> bool:
        return value in self._values or value == self.ignore_index

    def _new(self, value: int) -> int:
        if value in self._values:
            return self._values[value]
        if value == self.ignore_index or self.default in (None, "keep", "raise"):
            return value
        return self._other

    @property
    def _other(self) -> int:
        return self.ignore_index if self.default == "ignore" else int(self.default or 0)

    def _lookup(self, low: int, high: int, dtype: Any = None) -> np.ndarray:
        """Return the new label of each value from ``low`` to ``high``."""
        table = np.array([self._new(value) for value in range(low, high + 1)], np.int64)
        return table.astype(dtype or narrowest(table))

    # Colours

    def _of_colors(self, label: Any, source: str) -> np.ndarray:
        label = checked_colors(label, source)
        values, lengths = runs(self._packed(label))
        places = np.minimum(np.searchsorted(self._codes, values), len(self._codes) - 1)
        known = self._codes[places] == values
        if not known.all() and self.default in (None, "raise"):
            codes, which = np.unique(values[~known], return_inverse=True)
            counts = np.bincount(which, lengths[~known]).astype(np.int64)
            strange = dict(zip(codes.tolist(), counts.tolist()))
            raise LabelOutOfBounds(self._unlisted(source, strange, as_hex))
        new = np.where(known, self._labels[places], self._other)
        self._count_colors(places, known, lengths, source)
        target = narrowest(np.append(self._labels, self._other))
        return np.repeat(new.astype(target), lengths).reshape(label.shape[:2])

    def _packed(self, label: np.ndarray) -> np.ndarray:
        """Return ``0xRRGGBB`` for each pixel."""
        code = (cv2.COLOR_BGR2BGRA, cv2.COLOR_RGB2BGRA)[_ORDERS.index(self.channel_order)]
        words = cv2.cvtColor(np.ascontiguousarray(label[:, :, :3]), code)
        words[:, :, 3] = 0
        return words.view("<u4")[:, :, 0]

    def _count_colors(
        self, places: np.ndarray, known: np.ndarray, lengths: np.ndarray, source: str
    ) -> None:
        counts = np.bincount(np.where(known, places, OTHERS), lengths, OTHERS + 1)
        found = np.flatnonzero(counts)
        self.changes.add({int(place): int(counts[place]) for place in found}, source)

    def _unlisted(self, source: str, strange: Mapping[int, int], shown: Any) -> str:
        said = with_pixels(((shown(value), pixels) for value, pixels in strange.items()), _SHOWN)
        return (
            f"{source} is labelled {said}, but {self._origin} of RemapLabels does not list that; "
            "add it, or set default='ignore' to train without these pixels"
        )

    @property
    def _origin(self) -> str:
        if self.table:
            return f"the table {self.table}"
        return "the mapping" if self.palette is None else "the palette"

    def described_change(self, place: int) -> str:
        """Say what became of the value or colour that is counted at ``place``."""
        if self._colors:
            if place == OTHERS:
                return "other colours"
            return f"{as_hex(int(self._codes[place]))} to {self._labels[place]}"
        if place == OTHERS:
            return "values outside 0..255"
        return f"{place} to {self._new(place)}"

    def __repr__(self) -> str:
        given = {"mapping": self.mapping, "table": self.table, "palette": self.palette}
        shown = "".join(f"{k}={v!r}, " for k, v in given.items() if v is not None)
        return (
            f"{type(self).__name__}({shown}default={self.default!r}, "
            f"ignore_index={self.ignore_index}, key={self.key!r}, "
            f"channel_order={self.channel_order!r})"
        )
