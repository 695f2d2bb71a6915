"""A batch of real images whose labels have every class, and ignored pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import torch
from mmengine.structures import PixelData
from torch import Tensor

from mmseg_fixkit.models.heads import is_multilabel_model

#: A step on a CPU is tried on so many pixels an image: a full crop takes a minute.
CPU_PIXELS = 256 * 256

_STEP = 32  # backbones halve an image five times
_BLOCK = 8  # side of a patch of one class

Size = tuple[int, int]


def size_on_cpu(size: Size) -> Size:
    """Return a size of the same shape with at most :data:`CPU_PIXELS`, by steps of 32."""
    height, width = size
    scale = min(1.0, (CPU_PIXELS / (height * width)) ** 0.5)
    return (_stepped(height * scale, height), _stepped(width * scale, width))


def _stepped(length: float, whole: int) -> int:
    return min(whole, max(2 * _STEP, int(length) // _STEP * _STEP))


def cut(sample: dict[str, Any], size: Size) -> dict[str, Any]:
    """Return a packed sample cut to its middle; smaller ones are left as they are."""
    inputs: Tensor = sample["inputs"]
    packed = sample["data_samples"].clone()
    window = tuple(
        slice((have - want) // 2, (have - want) // 2 + want) if have > want else slice(0, have)
        for have, want in zip(inputs.shape[-2:], size)
    )
    for name in ("gt_sem_seg", "gt_edge_map", "gt_depth_map"):
        if name in packed:
            data = getattr(packed, name).data[(..., *window)]
            setattr(packed, name, PixelData(data=data))
    shape = tuple(s.stop - s.start for s in window)
    packed.set_metainfo({"img_shape": shape, "pad_shape": shape})
    return {"inputs": inputs[(..., *window)], "data_samples": packed}


def with_every_class(samples: Sequence[Any], values: Sequence[int], ignore_index: int) -> list[Any]:
    """Return copies of data samples whose labels hold all ``values``, below ignored rows.

    Labels are ``gt_sem_seg`` (1, H, W), values class indices or maps of bits.
    """
    return [_labelled(sample, values, ignore_index, turn) for turn, sample in enumerate(samples)]


def _labelled(sample: Any, values: Sequence[int], ignore_index: int, turn: int) -> Any:
    made = sample.clone()
    old: Tensor = made.gt_sem_seg.data
    height, width = old.shape[-2:]
    block = _block(height, width, len(values))
    rows = torch.arange(height).div(block, rounding_mode="floor")
    columns = torch.arange(width).div(block, rounding_mode="floor")
    across = -(-width // block)
    index = (rows[:, None] * across + columns[None, :] + turn) % len(values)
    label = torch.tensor(values, dtype=torch.int64)[index]
    label[: max(1, height // 32)] = ignore_index
    made.gt_sem_seg = PixelData(
        data=label[None].to(old.dtype if _fits(old, values) else label.dtype)
    )
    return made


def _block(height: int, width: int, classes: int) -> int:
    """Return the side of the largest patch, up to 8, at which all classes have a place."""
    fitting = (
        b for b in range(_BLOCK, 1, -1) if (height * 15 // 16 // b) * (width // b) >= classes
    )
    return next(fitting, 1)


def _fits(old: Tensor, values: Sequence[int]) -> bool:
    return max(values) <= torch.iinfo(old.dtype).max if not old.is_floating_point() else False


def label_values(model: Any, num_classes: Optional[int]) -> Sequence[int]:
    """Return what a pixel of a label may hold for a model: classes, or each label's bit alone."""
    if is_multilabel_model(model):
        from mmseg_fixkit.datasets.label_bits import bit_of

        return [0, *(1 << bit_of(label) for label in range(model.num_labels))]
    return range(num_classes or 2)
