"""Pixels -> how many there are of each value or colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.palettes import pack_image

Array = NDArray[Any]
Pairs = tuple[tuple[int, int], ...]

#: With more runs than this share of the pixels, counting each byte is faster.
_NOISY = 0.08


#: Pixels of a large array that are counted at once, as lists of runs take more than the pixels.
_BAND = 1 << 22


def count_values(array: Array) -> Pairs:
    """Return ``(value, pixels)`` of a map of whole numbers, by value."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype in (np.uint8, bool):
        counts = _count_bytes(flat.astype(np.uint8, copy=False))
        values = counts.nonzero()[0]
        return tuple(zip(values.tolist(), counts.take(values).tolist()))
    values, counts = _summed(map(_count_runs, _bands(flat, _BAND)))
    return tuple(zip(values.tolist(), counts.tolist()))


def count_colors(array: Array, most: Optional[int] = None) -> tuple[Pairs, int]:
    """Return ``(0xRRGGBB, pixels)`` of colours, the ``most`` frequent first, and how many more.

    ``array`` is ``(H, W, C)`` of colours, or greys. Red is first; alpha is left out.
    """
    bands = _bands(array, max(1, _BAND // array.shape[1]))
    values, counts = _summed(_count_runs(pack_image(band).reshape(-1)) for band in bands)
    first = np.lexsort((values, -counts))[:most]
    pairs = zip(values.take(first).tolist(), counts.take(first).tolist())
    return tuple(pairs), values.size - first.size


def _bands(array: Array, size: int) -> Iterator[Array]:
    return (array[start : start + size] for start in range(0, max(1, len(array)), size))


def _summed(parts: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the values of all parts, ascending, and how many pixels each has."""
    return reduce(_added, parts)


def _added(one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[Array, Array]:
    values, places = np.unique(np.concatenate((one[0], other[0])), return_inverse=True)
    counts = np.bincount(places, np.concatenate((one[1], other[1])), values.size)
    return values, counts.astype(np.int64)


def by_count(pairs: Iterable[tuple[int, int]]) -> Pairs:
    """Return pairs with the largest count first, equal ones by value."""
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _count_runs(flat: Array) -> tuple[Array, Array]:
    """Count by runs of equal pixels: labels are smooth, so that there are few."""
    ends = _borders(flat).nonzero()[0]
    values, places = np.unique(flat.take(ends), return_inverse=True)
    return values, np.bincount(places, _lengths(ends), values.size).astype(np.int64)


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
