"""A decoded label file and a recoding -> the new label map, and what changed in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.label_files.count import count_values
from mmseg_fixkit.label_files.decode import Decoded
from mmseg_fixkit.label_files.recode import BYTE, Recoded, Recoding, unfitting

Array = NDArray[Any]
#: ``(old value or colour, new value, pixels)``.
Changes = tuple[tuple[int, int, int], ...]

#: Modes whose three dimensions are colours of 8 bit: ``P`` as OpenCV decodes it.
_COLOR_MODES = ("RGB", "RGBA", "LA", "P")


@dataclass(frozen=True)
class NewLabel:
    """What a label file is to become.

    Args:
        label: the new map; None if the file may stay as it is.
        changes: what became of which values.
        colors: whether the old values were colours.
        refused: why there is no new map.
    """

    label: Optional[NDArray[np.uint8]] = None
    changes: Changes = ()
    colors: bool = False
    refused: str = ""


def recoded(found: Decoded, recoding: Recoding, anew: bool = False) -> NewLabel:
    """Return what ``found`` becomes.

    Args:
        found: the file as its pipeline's decoder gives it.
        recoding: what is to be done.
        anew: whether it is to be written anew although nothing changes, as it is no PNG file.
    """
    if found.array.ndim == 3:
        return _of_colors(found, recoding)
    if found.array.dtype.kind == "f":
        return _of_floats(found, recoding)
    if found.array.dtype in (np.dtype(bool), np.dtype(np.uint8)):
        return _of_bytes(found.array.astype(np.uint8, copy=False), recoding, anew)
    return _of_wide(found.array, recoding, anew)


def packed(colors: Array) -> NDArray[np.uint32]:
    """Return ``0xRRGGBB`` for ``(H, W, 3)`` colours with red first."""
    words = np.zeros((*colors.shape[:2], 4), np.uint8)
    for channel in range(3):
        words[:, :, 2 - channel] = colors[:, :, channel]
    return words.view("<u4")[:, :, 0]


def runs(codes: Array) -> tuple[Array, Array]:
    """Return the values of runs of equal pixels, and how long they are.

    Labels are smooth, so that there are far fewer runs than pixels.
    """
    flat = codes.reshape(-1)
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    return flat[ends], np.diff(ends, prepend=-1)


def _of_bytes(label: NDArray[np.uint8], recoding: Recoding, anew: bool) -> NewLabel:
    counts = dict(count_values(label))
    done = recoding.of_values(list(counts))
    changed = {old: new for old, new in done.table.items() if old != new}
    if done.refused or not (changed or anew):
        return NewLabel(refused=done.refused)
    wide = unfitting(done.table.values())
    if wide:
        return NewLabel(refused=wide)
    table = bytes(done.table.get(value, value) for value in BYTE)
    new = np.asarray(Image.fromarray(np.ascontiguousarray(label)).point(table))
    return NewLabel(new, _changes(changed, counts))


def _of_wide(label: Array, recoding: Recoding, anew: bool) -> NewLabel:
    values, lengths = runs(np.ascontiguousarray(label))
    found, places = np.unique(values, return_inverse=True)
    done = recoding.of_values(found.tolist())
    changed = any(old != new for old, new in done.table.items())
    if not done.refused and not (changed or anew or recoding.narrow):
        return NewLabel()
    return _from_runs(done, found, places, lengths, label.shape)


def _of_floats(found: Decoded, recoding: Recoding) -> NewLabel:
    whole = np.isfinite(found.array) & (found.array == np.floor(found.array))
    if not whole.all():
        return NewLabel(refused="it holds numbers that are not whole, which are no labels")
    return _of_wide(found.array.astype(np.int64), recoding, anew=True)


def _of_colors(found: Decoded, recoding: Recoding) -> NewLabel:
    channels = found.array.shape[2]
    if found.mode not in _COLOR_MODES or found.array.dtype != np.uint8:
        kind = f"{found.mode} with {found.array.dtype} parts"
        return NewLabel(refused=f"it is {kind}, but only colours of 8 bit can be told apart")
    if channels in (2, 4) and np.ptp(found.array[:, :, -1]):
        return NewLabel(refused="it is more transparent in some pixels than in others")
    colors = found.array[:, :, :3] if channels > 2 else found.array[:, :, [0, 0, 0]]
    values, lengths = runs(packed(colors))
    kinds, places = np.unique(values, return_inverse=True)
    done = recoding.of_colors(kinds.tolist())
    return _from_runs(done, kinds, places, lengths, found.array.shape[:2], colors=True)


def _from_runs(
    done: Recoded,
    old: Array,
    places: Array,
    lengths: Array,
    shape: tuple[int, ...],
    colors: bool = False,
) -> NewLabel:
    refused = done.refused or unfitting(done.table.values())
    if refused:
        return NewLabel(refused=refused)
    new = np.array([done.table[value] for value in old.tolist()], np.uint8)
    counts = np.bincount(places, lengths, len(old)).astype(np.int64)
    table = {o: n for o, n in done.table.items() if colors or o != n}
    label = np.repeat(new[places], lengths).reshape(shape)
    return NewLabel(label, _changes(table, dict(zip(old.tolist(), counts.tolist()))), colors)


def _changes(table: Mapping[int, int], counts: Mapping[int, int]) -> Changes:
    """Return old value, new value and pixels, the most frequent first."""
    found = ((old, new, counts[old]) for old, new in table.items())
    return tuple(sorted(found, key=lambda change: (-change[2], change[0])))
