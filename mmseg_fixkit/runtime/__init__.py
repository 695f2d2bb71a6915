"""The parts that work inside training; MMEngine knows them once ``mmseg_fixkit`` is imported."""

from __future__ import annotations

from mmseg_fixkit.runtime.class_count import ClassCountHook
from mmseg_fixkit.runtime.errors import (
    CheckpointMismatch,
    ClassCountError,
    LabelOutOfBounds,
    LossSanityError,
)
from mmseg_fixkit.runtime.head_adapt import HeadAdaptHook
from mmseg_fixkit.runtime.loss_sanity import LossSanityHook
from mmseg_fixkit.runtime.losses import ClassWeightedCrossEntropyLoss
from mmseg_fixkit.runtime.one_channel import OneChannelLoss
from mmseg_fixkit.runtime.reading import allow_checkpoints
from mmseg_fixkit.runtime.remap import RemapLabels
from mmseg_fixkit.runtime.transforms import AssertLabelBounds

__all__ = [
    "AssertLabelBounds",
    "CheckpointMismatch",
    "ClassCountError",
    "ClassCountHook",
    "ClassWeightedCrossEntropyLoss",
    "HeadAdaptHook",
    "LabelOutOfBounds",
    "LossSanityError",
    "LossSanityHook",
    "OneChannelLoss",
    "RemapLabels",
]

allow_checkpoints()
