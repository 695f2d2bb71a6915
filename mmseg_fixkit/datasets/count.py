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

_LOW_BYTE = np.uint64(255)
_EIGHT_TIMES = np.uint64(0x0101010101010101)

#: With more runs than this share of words, counting each byte is faster.
_NOISY = 0.4

#: Bytes from which on Pillow counts faster than NumPy.
_LARGE = 20_000

#: Bytes from which on it counts four at a time faster.
_HUGE = 1 << 17


def count_values(array: Array) -> Pairs:
    """Return ``(value, pixels)`` of a map of whole numbers, by value."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if flat.dtype in (np.uint8, bool):
        counts = _count_bytes(flat.astype(np.uint8, copy=False))
        values = np.flatnonzero(counts)
        return tuple(zip(values.tolist(), counts[values].tolist()))
    return _count_runs(flat)


def count_colors(array: Array) -> Pairs:
    """Return ``(0xRRGGBB, pixels)`` of ``(H, W, C)`` colours, most frequent first.

    Args:
        array: red, green and blue, or grey, with or without alpha, which is left out.
    """
    return by_count(_count_runs(pack_image(array).reshape(-1)))


def by_count(pairs: Iterable[tuple[int, int]]) -> Pairs:
    """Return pairs with the largest count first, equal ones by value."""
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _count_runs(flat: Array) -> Pairs:
    """Count by runs of equal pixels: labels are smooth, so that there are few."""
    if not flat.size:
        return ()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    values, places = np.unique(flat[ends], return_inverse=True)
    counts = np.bincount(places, _lengths(ends)).astype(np.int64)
    return tuple(zip(values.tolist(), counts.tolist()))


def _count_bytes(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count bytes, eight at a time.

    Labels are smooth: most words of eight pixels equal the one before, and go with it in one run.
    Each run counts eight times its first byte; the few words with a border in them go byte by byte.
    """
    whole = flat.size // 8
    words = flat[: 8 * whole].view(np.uint64)
    last = np.empty(whole, bool)
    last[-1:] = True
    np.not_equal(words[1:], words[:-1], out=last[:-1])
    ends = last.nonzero()[0]
    if ends.size > _NOISY * whole or not whole:
        return _histogram(flat)
    runs, lengths = words.take(ends), _lengths(ends)
    first = runs & _LOW_BYTE
    mixed = (runs != first * _EIGHT_TIMES).nonzero()[0]
    borders, times = runs.take(mixed), lengths.take(mixed)
    lengths[mixed] = 0
    even = np.bincount(first.view(np.int64), lengths, 256)
    counts = (8 * even).astype(np.int64) + _histogram(borders.view(np.uint8))
    if times.sum() > times.size:
        more = times > 1
        again = np.repeat(borders[more], times[more].astype(np.int64) - 1)
        counts += _histogram(again.view(np.uint8))
    return counts + np.bincount(flat[8 * whole :], minlength=256) if flat.size % 8 else counts


def _lengths(ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how long runs are, as the weights that ``bincount`` takes without a copy."""
    lengths = np.empty(ends.size)
    lengths[0] = ends[0] + 1
    np.subtract(ends[1:], ends[:-1], out=lengths[1:])
    return lengths


def _histogram(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count bytes one by one: NumPy is fast to begin, Pillow at each pixel.

    Many bytes go to Pillow as pixels of four colours, each of which it counts in a table of its
    own: a processor waits where it adds to the same place again, as equal neighbours make it do.
    """
    if flat.size < _LARGE:
        return np.bincount(flat, minlength=256)
    mode, colors = ("L", 1) if flat.size < _HUGE else ("CMYK", 4)
    pixels = flat.size // colors
    whole = flat[: colors * pixels]
    image = Image.frombuffer(mode, (pixels, 1), whole, "raw", mode, 0, 1)
    tables: NDArray[np.int64] = np.array(image.histogram(), np.int64).reshape(colors, 256)
    counts: NDArray[np.int64] = tables.sum(axis=0)
    return counts + np.bincount(flat[whole.size :], minlength=256)
