"""Several labels a pixel as the bits of one integer map.

Such a map is a label map like any other to everything that moves pixels about: MMSegmentation
resizes, crops, flips, pads and stacks it as it is. Bit 7 says "ignored", in maps of every width,
and labels take the bits around it, so that the host's 255 for ignored pixels keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import counted, with_pixels

#: The bit of pixels that no loss and no metric counts.
IGNORE_BIT = 7

#: What an ignored pixel is written as: the value that the host pads with and compares with.
IGNORED = 255

#: OpenCV moves pixels of 8, 16 and signed 32 bit. It takes 64 bit, and gives back 32.
MAX_LABELS = 30

#: The most labels that fit a grey PNG of 16 bit.
MAX_PNG_LABELS = 15

Map = NDArray[Any]
Planes = NDArray[np.bool_]


class LabelFileError(FixkitError):
    """A label file that does not hold what it should; the text names the file."""


def bit_of(label: int) -> int:
    """Return the bit of a label, counted from 0: 0 to 6, then 8, 9 and so on."""
    return label if label < IGNORE_BIT else label + 1


def label_bits(count: int) -> tuple[int, ...]:
    """Return the bits of ``count`` labels; FixkitError for 0, or more than :data:`MAX_LABELS`."""
    if not 1 <= count <= MAX_LABELS:
        raise FixkitError(
            f"{count} labels are given, but a label map has bits for 1 to {MAX_LABELS}: it goes "
            "through OpenCV, which knows no wider integers than 32 bit"
        )
    return tuple(bit_of(label) for label in range(count))


def label_mask(count: int) -> int:
    """Return the value that has the bits of all labels."""
    return sum(1 << bit for bit in label_bits(count))


def map_type(count: int) -> np.dtype[Any]:
    """Return the narrowest type for that many labels: 7 fit 8 bit, 15 fit 16, 30 fit 32."""
    kinds = ((7, np.uint8), (15, np.uint16), (MAX_LABELS, np.int32))
    label_bits(count)
    return np.dtype(next(kind for most, kind in kinds if count <= most))


def pack(planes: Any, ignored: Any = None) -> Map:
    """Return the map of ``planes``: (L, H, W), or a list of (H, W), not 0 where the label is.

    Where ``ignored``, (H, W), is True it is 255, whatever the planes hold.
    """
    kind = map_type(len(planes))
    packed = np.zeros(np.shape(planes[0]), kind)
    for plane, bit in zip(planes, label_bits(len(planes))):
        packed |= (np.asarray(plane) != 0) * kind.type(1 << bit)
    if ignored is not None:
        packed[np.asarray(ignored, bool)] = IGNORED
    return packed


def unpack(packed: Map, count: int) -> tuple[Planes, NDArray[np.bool_]]:
    """Return the planes (L, H, W) of a map and where it is ignored (H, W).

    No label is on where the map is ignored.
    """
    ignored = ignored_in(packed)
    planes = np.empty((count, *packed.shape), bool)
    for label, bit in enumerate(label_bits(count)):
        planes[label] = (packed >> bit & 1).astype(bool) & ~ignored
    return planes, ignored


def ignored_in(packed: Map) -> NDArray[np.bool_]:
    """Return where a map is ignored."""
    return np.asarray(packed >> IGNORE_BIT & 1, bool)


def swap(packed: Map, pairs: Sequence[tuple[int, int]]) -> Map:
    """Return the map with labels exchanged, as after a flip that makes a left arm a right one."""
    swapped = packed.copy()
    for one, other in pairs:
        first, second = bit_of(one), bit_of(other)
        differ = (packed >> first ^ packed >> second) & 1
        swapped ^= differ << first | differ << second
    return np.where(ignored_in(packed), packed, swapped)


def checked_map(values: Map, count: int, file: str) -> Map:
    """Return what a file holds as a map of the type for ``count`` labels.

    Raises LabelFileError if a value has a bit that is no label's, or is ignored but not 255.
    """
    fault = invalid_values_text(values, count)
    if fault:
        raise LabelFileError(f"{file} {fault}")
    return values.astype(map_type(count), copy=False)


def invalid_values_text(values: Map, count: int) -> Optional[str]:
    """Say what is wrong with the values of a map; None if nothing is."""
    if values.dtype == np.uint8 and count >= IGNORE_BIT:
        invalid = values[(values > 127) & (values != IGNORED)]
    else:
        invalid = values[((values & ~_of(values, label_mask(count))) != 0) & (values != IGNORED)]
    if not invalid.size:
        return None
    bits = ", ".join(str(bit) for bit in label_bits(count))
    return (
        f"holds {values_in_words(invalid)}, but {counted(count, 'label has', 'labels have')} the "
        f"bits {bits}, and ignored pixels are 255; {_advice(values)}"
    )


def _of(values: Map, number: int) -> Any:
    return np.array(number).astype(values.dtype)


def _advice(values: Map) -> str:
    if runs_from_zero(values):
        return (
            f"it holds every value of 0..{highest(values)}, as a single-label map does, in which a "
            "pixel has one class; each label needs a plane or a bit of its own"
        )
    return "name all labels, or convert the files with `mmseg-fix convert-labels`"


def runs_from_zero(values: Map) -> bool:
    """Whether the values, 255 aside, are 0 to N - 1 without a gap, and more than two."""
    top = highest(values)
    return top > 1 and len(np.unique(values[values != IGNORED])) == top + 1


def highest(values: Map) -> int:
    """Return the highest value that is not 255."""
    real = values[values != IGNORED]
    return int(real.max()) if real.size else 0


def values_in_words(values: Map, most: int = 3) -> str:
    """Write values and their counts, most frequent first: ``8 (120 pixels), 9 (1 pixel)``."""
    found, counts = np.unique(values, return_counts=True)
    return with_pixels(zip(found.tolist(), counts.tolist()), most)
