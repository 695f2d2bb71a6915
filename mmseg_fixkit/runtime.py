"""The parts that work inside training, under the name that configs already written import."""

from __future__ import annotations

from mmseg_fixkit.core.errors import (
    CheckpointMismatch,
    ClassCountError,
    LabelOutOfBounds,
    LossSanityError,
)
from mmseg_fixkit.hooks.class_count import ClassCountHook
from mmseg_fixkit.hooks.head_adapt import HeadAdaptHook
from mmseg_fixkit.hooks.loss_sanity import LossSanityHook
from mmseg_fixkit.models.losses import ClassWeightedCrossEntropyLoss, OneChannelLoss
from mmseg_fixkit.models.safe_load import allow_checkpoints
from mmseg_fixkit.transforms.assert_label_bounds import AssertLabelBounds
from mmseg_fixkit.transforms.remap_labels import RemapLabels

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
