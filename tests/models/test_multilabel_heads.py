"""One real training step of every per-pixel head of the zoo on labels that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mmseg_fixkit import FixkitError
from mmseg_fixkit.config.host import HEAD_SPECS, HeadKind
from mmseg_fixkit.config.multilabel import head_fault
from mmseg_fixkit.datasets.label_bits import pack
from mmseg_fixkit.models.multilabel_loss import MultiLabelLoss
from mmseg_fixkit.models.segmentors import check_heads
from tests.helpers.multilabel_data import head_config
from tests.helpers.multilabel_heads import (
    BATCH,
    LABELS,
    label_planes,
    losses_of,
    multilabel_config,
    multilabel_model,
    predictions_of,
)
from tests.helpers.runs import skip_unless_installed
from tests.zoo.build import build
from tests.zoo.configs import method_of
from tests.zoo.train import STEPS, Step

#: Method -> what is said of its head.
REFUSED = {
    "encnet": "EncHead counts which classes are in the label map for its loss_se_decode",
    "mask2former": "Mask2FormerHead gives each query one class by a softmax over all",
    "maskformer": "MaskFormerHead gives each query one class by a softmax over all",
    "san": "SideAdapterCLIPHead compares masks with words by a softmax over all",
}

#: Steps of two seconds and more; those that are quick have every kind of loss and of cascade.
LONG = {"ann", "apcnet", "ccnet", "dmnet", "dnlnet", "emanet", "gcnet", "isanet", "nonlocal_net"}
LONG |= {"psanet", "upernet"}


def steps() -> Iterator[Any]:
    for step in STEPS:
        method = method_of(step.config)
        if method not in REFUSED:
            quick = step.quick and method not in LONG
            marks = () if quick else pytest.mark.slow
            yield pytest.param(step, id=step.config.rpartition("/")[2], marks=marks)


@pytest.mark.parametrize("step", steps())
def test_a_head_trains_and_predicts(step: Step) -> None:
    torch.set_num_threads(1)
    skip_unless_installed(method_of(step.config))
    model = multilabel_model(step.config, step.size)
    total, logged = losses_of(model, step.size)
    total.backward()
    assert total.isfinite()
    assert not [name for name in logged if "acc" in name]
    assert any(isinstance(module, MultiLabelLoss) for module in model.modules())
    check_gradients(model)
    for result in predictions_of(model, step.size):
        logits = result.seg_logits.data
        assert logits.shape == (LABELS, step.size, step.size)
        assert result.pred_sem_seg.data.dtype == torch.uint8
        expected = pack((logits.sigmoid() > 0.5).numpy())
        assert (result.pred_sem_seg.data[0].numpy() == expected).all()


def check_gradients(model: Any) -> None:
    """Every channel of every class layer learns, the background's too."""
    found = 0
    for name, parameter in model.named_parameters():
        if name.endswith("conv_seg.weight") and parameter.size(0) == LABELS + 1:
            found += 1
            assert parameter.grad.flatten(1).any(1).all(), name
    assert found or type(model.decode_head).__name__ == "SegmenterMaskTransformerHead"


@pytest.mark.parametrize(
    "step", [s for s in STEPS if method_of(s.config) in REFUSED], ids=lambda s: s.config
)
def test_other_heads_are_refused_with_the_reason(step: Step) -> None:
    config = multilabel_config(step.config, step.size)
    config["type"] = "MultiLabelEncoderDecoder"
    with pytest.raises(FixkitError) as caught:
        build(config)
    text = str(caught.value)
    assert text.startswith(f"decode_head: {REFUSED[method_of(step.config)]}")
    assert "take a per-pixel head" in text
    assert "\n" not in text


@pytest.mark.parametrize("name", [n for n, s in HEAD_SPECS.items() if s.kind.value != "per-pixel"])
def test_every_head_kind_but_per_pixel_has_a_reason(name: str) -> None:
    fault = head_fault({"type": name})
    assert fault is not None
    assert fault.startswith(f"{name} ")
    assert HEAD_SPECS[name].kind is not HeadKind.PER_PIXEL


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (
            head_config(sampler={"type": "OHEMPixelSampler", "thresh": 0.7}),
            "decode_head.sampler indexes probabilities by the label",
        ),
        (
            {**head_config(), "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": True}},
            "decode_head.loss_decode is CrossEntropyLoss, which takes a label for a class index",
        ),
        (
            {**head_config(), "loss_decode": [{"type": "MultiLabelLoss"}, {"type": "DiceLoss"}]},
            "decode_head.loss_decode is DiceLoss",
        ),
        ({"type": "FCNHead"}, "decode_head.loss_decode is CrossEntropyLoss"),
    ],
)
def test_what_takes_a_label_for_a_class_is_refused(head: Any, said: str) -> None:
    with pytest.raises(FixkitError) as caught:
        check_heads(head)
    assert str(caught.value).startswith(said)


def test_the_place_of_an_auxiliary_head_is_named() -> None:
    wrong = {**head_config(), "loss_decode": {"type": "FocalLoss"}}
    with pytest.raises(FixkitError, match=r"^auxiliary_head.1.loss_decode is FocalLoss"):
        check_heads(head_config(), [head_config(), wrong])


def test_a_sampler_of_the_highest_loss_and_a_boundary_head_stay() -> None:
    boundary = {"type": "STDCHead", "num_classes": 2, "loss_decode": {"type": "CrossEntropyLoss"}}
    check_heads(head_config(sampler={"type": "OHEMPixelSampler"}), [head_config(), boundary])


def test_the_labels_of_the_steps_overlap() -> None:
    for seed in range(BATCH):
        planes, _ = label_planes(64, seed)
        assert (planes.sum(0) > 1).any()
        assert (np.any(planes, axis=(1, 2))).all()
