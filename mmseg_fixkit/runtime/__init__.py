"""The parts that work inside training; importing this package registers them with MMEngine."""

from __future__ import annotations

from mmengine.registry import HOOKS, MODELS, TRANSFORMS

from mmseg_fixkit.runtime.class_count import ClassCountHook
from mmseg_fixkit.runtime.errors import CheckpointMismatch, ClassCountError, LabelOutOfBounds
from mmseg_fixkit.runtime.head_adapt import HeadAdaptHook
from mmseg_fixkit.runtime.losses import ClassWeightedCrossEntropyLoss
from mmseg_fixkit.runtime.one_channel import OneChannelLoss
from mmseg_fixkit.runtime.reading import allow_checkpoints
from mmseg_fixkit.runtime.transforms import AssertLabelBounds

__all__ = [
    "AssertLabelBounds",
    "CheckpointMismatch",
    "ClassCountError",
    "ClassCountHook",
    "ClassWeightedCrossEntropyLoss",
    "HeadAdaptHook",
    "LabelOutOfBounds",
    "OneChannelLoss",
]

# force: ``mmseg_fixkit`` itself has entered stand-ins under these names.
for _hook in (ClassCountHook, HeadAdaptHook):
    HOOKS.register_module(module=_hook, force=True)
for _loss in (ClassWeightedCrossEntropyLoss, OneChannelLoss):
    MODELS.register_module(module=_loss, force=True)
TRANSFORMS.register_module(module=AssertLabelBounds, force=True)

allow_checkpoints()
