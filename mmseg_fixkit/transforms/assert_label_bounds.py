"""Data transforms that guard the labels on their way to the loss."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Union

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_fixkit.core.errors import LabelOutOfBounds
from mmseg_fixkit.core.labels import MAX_CLASSES
from mmseg_fixkit.datasets.label_bits import values_in_words

_SHOWN = 10  # offending values that a message names
_BLOCK = 1 << 18  # bytes of which four times as many fit a second-level cache
_ONE = np.uint8(1)
_ACTIONS = "'raise', 'ignore' or the index of a class"


class AssertLabelBounds(BaseTransform):
    """Stops a label value that is no class before it reaches the loss.

    It belongs right after ``LoadAnnotations`` (and ``RemapLabels``, if there is one), where the
    label map still is as its file has it. Pipelines without labels pass through.

    Required Keys:

    - gt_seg_map (np.ndarray, (H, W), any integer type): checked
    - seg_map_path (str, optional): named in messages

    Modified Keys:

    - gt_seg_map: only with ``action='ignore'`` or a class index, and only where a value is
      outside: then a new array of the same shape takes its place. The loaded one is left as it is,
      because a caching dataset may hold it too. Its type is kept if the new value fits.

    Args:
        num_classes: labels 0 to ``num_classes - 1`` are allowed.
        ignore_index: this label is allowed too.
        action: ``'raise'``; ``'ignore'`` rewrites other labels to ``ignore_index``; a class index
            rewrites them to that class, and each process warns once, of its first such file
            (``mmseg-fix scan`` counts them all).
        key: where the label map stands in the results.

    Raises:
        LabelOutOfBounds: while loading: a label is outside the range and ``action='raise'``; or,
            with any action, the map has colour channels or values that are not whole numbers.
        ValueError: an argument makes no sense.

    """

    def __init__(
        self,
        num_classes: int,
        ignore_index: int = 255,
        action: Union[str, int] = "raise",
        key: str = "gt_seg_map",
    ) -> None:
        _check_arguments(num_classes, ignore_index, action)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.action = action
        self.key = key
        self._warned = False

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Check ``results[key]``, see the class."""
        label = results.get(self.key)
        if label is None or self._is_clean(label):
            return results
        source = str(results.get("seg_map_path") or f"results[{self.key!r}]")
        _check_is_label_map(label, source)
        outside = self._outside(label)
        if outside.any():
            self._act(results, label, outside, source)
        return results

    def _is_clean(self, label: Any) -> bool:
        """Whether a cheap look is enough to say that all is well."""
        if not isinstance(label, np.ndarray) or label.ndim != 2 or not label.size:
            return False
        if label.dtype == np.uint8 and self.ignore_index == 255:
            return _fits_uint8(label, self.num_classes)
        integral = label.dtype.kind in "iub"
        return bool(integral and label.max() < self.num_classes and label.min() >= 0)

    def _outside(self, label: np.ndarray) -> np.ndarray:
        outside = (label < 0) | (label >= self.num_classes)
        return np.asarray(outside & (label != self.ignore_index))

    def _act(
        self, results: dict[str, Any], label: np.ndarray, outside: np.ndarray, source: str
    ) -> None:
        if self.action == "raise":
            text = self._describe(label, outside, source)
            reduced = bool(results.get("reduce_zero_label"))
            raise LabelOutOfBounds(f"{text}; {self._advice(label, outside, reduced)}")
        results[self.key] = _rewritten(label, outside, self._target)
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._describe(label, outside, source)}; "
                f"rewritten to {self._target} as action={self.action!r} asks, "
                "and so are all later ones; `mmseg-fix scan` counts them",
                stacklevel=2,
            )

    @property
    def _target(self) -> int:
        return self.ignore_index if self.action == "ignore" else int(self.action)

    def _describe(self, label: np.ndarray, outside: np.ndarray, source: str) -> str:
        return (
            f"{source} is labelled {values_in_words(label[outside], _SHOWN)}, "
            f"but AssertLabelBounds has num_classes={self.num_classes}, which allows "
            f"0..{self.num_classes - 1}, and {self.ignore_index} for ignored pixels"
        )

    def _advice(self, label: np.ndarray, outside: np.ndarray, reduced: bool) -> str:
        special = self._special_advice(label, outside, reduced)
        return (
            f"{special}run `mmseg-fix scan` on the config to see every such file, then remap the "
            "values in the files or in the pipeline, or set action='ignore' to train without "
            "these pixels"
        )

    def _special_advice(self, label: np.ndarray, outside: np.ndarray, reduced: bool) -> str:
        """Say what the values themselves give away, where they leave no doubt."""
        found = np.unique(label[outside]).tolist()
        others = np.unique(label[~outside]).tolist()
        if found == [255]:
            return (
                "MMSegmentation itself writes 255 for ignored pixels: if these are, "
                "set ignore_index=255 here, in the heads and in the dataset; "
            )
        if found == [self.num_classes] and not reduced:
            return self._shift_advice(zero_used=0 in others)
        if others == [0] and len(found) == 1:
            return f"the file holds 0 and {found[0]} only, like a mask of one class; "
        return ""

    def _shift_advice(self, zero_used: bool) -> str:
        last = self.num_classes
        if zero_used:
            return (
                f"the labels end one above the range: either 0 means 'ignored' in these files and "
                f"the dataset needs reduce_zero_label=True, or there are {last + 1} classes; "
            )
        return (
            f"the labels end one above the range and 0 is never used: if they count from 1 to "
            f"{last}, the dataset needs reduce_zero_label=True; "
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(num_classes={self.num_classes}, "
            f"ignore_index={self.ignore_index}, action={self.action!r}, key={self.key!r})"
        )


def _check_arguments(num_classes: Any, ignore_index: Any, action: Any) -> None:
    if not _is_int(num_classes) or not 1 <= num_classes <= MAX_CLASSES:
        raise ValueError(
            f"AssertLabelBounds: num_classes is {num_classes!r}, "
            f"but a whole number of 1..{MAX_CLASSES} is needed"
        )
    if not _is_int(ignore_index):
        raise ValueError(
            f"AssertLabelBounds: ignore_index is {ignore_index!r}, but a whole number is needed"
        )
    if _is_int(action) and 0 <= action < num_classes:
        return
    if action not in ("raise", "ignore"):
        raise ValueError(
            f"AssertLabelBounds: action is {action!r}, "
            f"but {_ACTIONS} (0..{num_classes - 1}) is needed"
        )


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _fits_uint8(label: np.ndarray, num_classes: int) -> bool:
    """Whether all values are below ``num_classes`` or 255, both read as 8 bit.

    Up to 128 classes the map is read as int8, where 255 is -1, so that there are two bounds; with
    two classes they are one: no value beyond 1 on either side of zero.
    """
    flat = label.reshape(-1)
    if num_classes == 2:
        return bool(cv2.norm(flat.view(np.int8), cv2.NORM_INF) <= 1)
    if num_classes <= 128:
        parts = _parts(flat.view(np.int8), 2 * _BLOCK)
        return all(_is_between(part, num_classes) for part in parts)
    scratch = np.empty(min(_BLOCK, flat.size), np.uint8)
    rare = True  # many sets have their rare classes beyond: most maps have none, which is faster
    for part in _parts(flat, _BLOCK):
        rare = rare and _is_low(part)
        if not (rare or _is_below(part, num_classes, scratch)):
            return False
    return True


def _parts(flat: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield what stays in the cache of a processor while it is looked at twice.

    The last goes first: a map was just written, and its end may be there still.
    """
    return (flat[start : start + size] for start in reversed(range(0, flat.size, size)))


def _is_between(part: np.ndarray, num_classes: int) -> bool:
    return bool(np.maximum.reduce(part) < num_classes and np.minimum.reduce(part) >= -1)


def _is_below(part: np.ndarray, num_classes: int, scratch: np.ndarray) -> bool:
    """Whether all values are below or 255, which one more turns into 0."""
    shifted = np.add(part, _ONE, scratch[: part.size])
    return bool(np.maximum.reduce(shifted) <= num_classes)


def _is_low(label: np.ndarray) -> bool:
    """Whether all values are below 128 or 255."""
    return bool(label.view(np.int8).min() >= -1)


def _check_is_label_map(label: Any, source: str) -> None:
    if not isinstance(label, np.ndarray) or label.dtype.kind not in "iubf":
        kind = getattr(label, "dtype", type(label).__name__)
        raise LabelOutOfBounds(f"{source} is {kind}, but a label map is an array of whole numbers")
    if label.ndim != 2:
        raise LabelOutOfBounds(
            f"{source} has the shape {label.shape}, but a label map is (H, W) with a class index "
            "in each pixel; a colour mask is converted to class indices first, one for each "
            "colour: by `mmseg-fix scan --fix palette`, or by RemapLabels(palette=...) before this"
        )
    if label.dtype.kind == "f":
        _check_is_whole(label, source)


def _check_is_whole(label: np.ndarray, source: str) -> None:
    whole = np.isfinite(label) & (label == np.floor(label))
    if not whole.all():
        raise LabelOutOfBounds(
            f"{source} is labelled {values_in_words(label[~whole], _SHOWN)}, but class indices are "
            "whole numbers; labels are resized with interpolation='nearest' and never normalised"
        )


def _rewritten(label: np.ndarray, outside: np.ndarray, target: int) -> np.ndarray:
    fitting = np.result_type(label.dtype, np.min_scalar_type(target))
    changed = label.astype(fitting)
    np.putmask(changed, outside, target)
    return changed
