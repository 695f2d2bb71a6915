"""The parts that work inside training; importing this package registers them with MMEngine."""

from __future__ import annotations

from mmengine.registry import HOOKS, MODELS, TRANSFORMS

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

# force: ``mmseg_fixkit`` itself has entered stand-ins under these names.
for _hook in (ClassCountHook, HeadAdaptHook, LossSanityHook):
    HOOKS.register_module(module=_hook, force=True)
for _loss in (ClassWeightedCrossEntropyLoss, OneChannelLoss):
    MODELS.register_module(module=_loss, force=True)
for _transform in (AssertLabelBounds, RemapLabels):
    TRANSFORMS.register_module(module=_transform, force=True)

allow_checkpoints()
