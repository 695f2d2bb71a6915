"""Pixels -> how many there are of each value or colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.palettes import pack_image

Array = NDArray[Any]
Pairs = tuple[tuple[int, int], ...]

#: With more runs than this share of the pixels, counting each byte is faster.
_NOISY = 0.08


def count_values(array: Array) -> Pairs:
    """Return ``(value, pixels)`` of a map of whole numbers, by value."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype in (np.uint8, bool):
        counts = _count_bytes(flat.astype(np.uint8, copy=False))
        values = counts.nonzero()[0]
        return tuple(zip(values.tolist(), counts.take(values).tolist()))
    return _count_runs(flat)


def count_colors(array: Array) -> Pairs:
    """Return ``(0xRRGGBB, pixels)`` of ``(H, W, C)`` colours, or greys, most frequent first.

    Red is first; alpha is left out.
    """
    return by_count(_count_runs(pack_image(array).reshape(-1)))


def by_count(pairs: Iterable[tuple[int, int]]) -> Pairs:
    """Return pairs with the largest count first, equal ones by value."""
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _count_runs(flat: Array) -> Pairs:
    """Count by runs of equal pixels: labels are smooth, so that there are few."""
    ends = _borders(flat).nonzero()[0]
    values, places = np.unique(flat.take(ends), return_inverse=True)
    counts = np.bincount(places, _lengths(ends)).astype(np.int64)
    return tuple(zip(values.tolist(), counts.tolist()))


def _count_bytes(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count bytes by their runs, or one by one where there are many runs."""
    borders = _borders(flat)
    if np.count_nonzero(borders) > _NOISY * flat.size:
        image = Image.frombuffer("L", (flat.size, 1), flat, "raw", "L", 0, 1)
        return np.array(image.histogram(), np.int64)  # NumPy counts at a third of the speed
    ends = borders.nonzero()[0]
    return np.bincount(flat.take(ends), _lengths(ends), 256).astype(np.int64)


def _borders(flat: Array) -> NDArray[np.bool_]:
    """Return where runs of equal pixels end."""
    borders = np.empty(flat.size, bool)
    borders[-1:] = True
    np.not_equal(flat[1:], flat[:-1], out=borders[:-1])
    return borders


def _lengths(ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how long runs are, as the weights that ``bincount`` takes without a copy."""
    lengths = np.empty(ends.size)
    lengths[:1] = ends[:1] + 1
    np.subtract(ends[1:], ends[:-1], out=lengths[1:])
    return lengths
