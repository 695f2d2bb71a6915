"""Maps of label bits as tensors, on whatever device they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Optional

import torch
from torch import Tensor

from mmseg_fixkit.datasets.label_bits import IGNORE_BIT, IGNORED, MAX_LABELS, label_bits, label_mask

#: How many labels a narrow type has bits for.
_HELD = {torch.uint8: 7, torch.int16: 15}


@cache
def tensor_type(labels: int) -> torch.dtype:
    """Return the type of predictions; torch computes nothing in uint16."""
    return torch.uint8 if labels <= IGNORE_BIT else torch.int32


def ignored_in(packed: Tensor) -> Tensor:
    """Return where a map is ignored."""
    return (packed & (1 << IGNORE_BIT)) != 0


def planes_of(packed: Tensor, labels: int) -> Iterator[Tensor]:
    """Yield where each label is on, in turn; ignored pixels as they come."""
    if labels > _HELD.get(packed.dtype, labels):
        packed = as_int32(packed)
    for bit in label_bits(labels):
        yield (packed >> bit & 1).bool()


def unpack(packed: Tensor, labels: int, dim: int = 0) -> tuple[Tensor, Tensor]:
    """Return the planes of a map of any integer type, and where it is ignored.

    No label is on where it is. ``dim`` is where the labels stand in the planes.
    """
    ignored = ignored_in(packed)
    planes = torch.stack(list(planes_of(packed, labels)), dim)
    return planes & ~ignored.unsqueeze(dim), ignored


def pack(planes: Tensor, ignored: Optional[Tensor] = None) -> Tensor:
    """Return the map of planes (L, ...); pixels that are ignored become 255."""
    kind = tensor_type(len(planes))
    packed = torch.zeros(planes.shape[1:], dtype=kind, device=planes.device)
    for plane, bit in zip(planes, label_bits(len(planes))):
        packed |= plane.to(kind) << bit
    return packed if ignored is None else packed.masked_fill(ignored, IGNORED)


def invalid_values(packed: Tensor, labels: int) -> Tensor:
    """Return the values that have a bit of no label, ignored pixels left out."""
    if labels >= _HELD.get(packed.dtype, MAX_LABELS):
        return packed[:0]  # every bit is a label's
    packed = as_int32(packed)
    return packed[((packed & ~label_mask(labels)) != 0) & ~ignored_in(packed)]


def as_int32(packed: Tensor) -> Tensor:
    """Return a map of 8 or 16 bit in 32, without a sign."""
    if packed.dtype == torch.int16:
        return packed.int() & 0xFFFF
    return packed.int() if packed.dtype == torch.uint8 else packed
