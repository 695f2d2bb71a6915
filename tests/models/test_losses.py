"""``ClassWeightedCrossEntropyLoss`` against PyTorch's own, and in the zoo models that need it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import MODELS

from mmseg_fixkit import FixkitError, patch
from mmseg_fixkit.config import host
from mmseg_fixkit.runtime import ClassWeightedCrossEntropyLoss
from tests.helpers.runs import run_zoo_model

CLASSES = 4


def batch(seed: int, ignored: float, dtype: Any = torch.float32) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, CLASSES, 5, 6, generator=generator).to(dtype)
    label = torch.randint(0, CLASSES, (2, 5, 6), generator=generator)
    label[torch.rand(label.shape, generator=generator) < ignored] = 255
    return scores.requires_grad_(), label


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    ignored=st.sampled_from([0.0, 0.3, 0.9]),
    weights=st.lists(st.floats(0.01, 10), min_size=CLASSES, max_size=CLASSES),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    reduction=st.sampled_from(["mean", "sum", "none"]),
)
def test_it_is_the_loss_of_pytorch(
    seed: int, ignored: float, weights: list[float], dtype: Any, reduction: str
) -> None:
    scores, label = batch(seed, ignored, dtype)
    if reduction == "mean" and bool((label == 255).all()):
        return  # PyTorch has nan there
    loss = ClassWeightedCrossEntropyLoss(weights, reduction)
    found = loss(scores, label, ignore_index=255)
    exact = scores if dtype is torch.float64 else scores.float()
    expected = F.cross_entropy(
        exact, label, exact.new_tensor(weights), ignore_index=255, reduction=reduction
    )
    torch.testing.assert_close(found, expected)
    (ours,) = torch.autograd.grad(found.sum(), scores, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected.sum(), scores)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
def test_nothing_that_counts_is_a_loss_of_0(weights: Any) -> None:
    scores, label = batch(0, 0.0)
    label[:] = 255
    loss = ClassWeightedCrossEntropyLoss(weights)(scores, label, ignore_index=255)
    loss.backward()
    assert loss.item() == 0.0
    assert scores.grad is not None
    assert scores.grad.abs().sum().item() == 0.0


def test_only_classes_without_weight_is_a_loss_of_0() -> None:
    scores, label = batch(0, 0.0)
    label[:] = 1
    loss = ClassWeightedCrossEntropyLoss([1.0, 0.0, 1.0, 1.0])(scores, label)
    assert loss.item() == 0.0


def test_pixel_weights_and_an_own_average() -> None:
    scores, label = batch(1, 0.2)
    pixels = torch.rand(label.shape)
    loss = ClassWeightedCrossEntropyLoss([1.0, 2.0, 3.0, 4.0], loss_weight=0.4)
    each = loss(scores, label, reduction_override="none", ignore_index=255) / 0.4
    found = loss(scores, label, pixels, avg_factor=7, ignore_index=255)
    torch.testing.assert_close(found, 0.4 * (each * pixels).sum() / 7)


@pytest.mark.parametrize(
    "options", [{"use_sigmoid": True}, {"use_mask": True}, {"reduction": "average"}]
)
def test_what_it_cannot_do_it_says(options: dict) -> None:
    with pytest.raises(FixkitError, match=r"use_sigmoid|use_mask|reduction"):
        ClassWeightedCrossEntropyLoss(**options)


def losses(config: Any) -> dict[str, Any]:
    """Run one training step of a model on labels with ignored pixels."""
    from mmengine.registry import init_default_scope
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    label = torch.randint(0, 5, (1, 64, 64))
    label[:, :9] = 255
    meta = {"img_shape": (64, 64), "ori_shape": (64, 64), "pad_shape": (64, 64)}
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=meta)
        sample.gt_sem_seg = PixelData(data=label)
        sample.gt_edge_map = PixelData(data=(label == 1).long())
        samples.append(sample)
    found: dict[str, Any] = model.loss(torch.rand(2, 3, 64, 64), samples)
    return found


@pytest.mark.skipif(
    not host.class_weight_crash_on_ignored(), reason="the installed host has mended the fault"
)
@pytest.mark.parametrize(
    "name",
    [
        "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py",
        "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py",
    ],
)
def test_the_zoo_configs_that_die_of_ignored_pixels(name: str) -> None:
    file = host.zoo_path(f"mmseg::{name}")
    with pytest.raises(IndexError, match="index 255 is out of bounds"):
        losses(run_zoo_model(file, 64))
    planned = patch(file, guards=False)
    assert {d.code for d in planned.plan.applied} == {"MSF107"}
    assert planned.config.custom_imports.imports == ["mmseg_fixkit"]
    config = run_zoo_model(file, 64)
    for diagnostic in planned.plan.applied:
        for edit in diagnostic.fix.edits if diagnostic.fix else ():
            if edit.key[0] == "model":
                config.merge_from_dict({".".join(map(str, edit.key)): edit.value})
    assert all(torch.isfinite(v).all() for k, v in losses(config).items() if "loss" in k)
