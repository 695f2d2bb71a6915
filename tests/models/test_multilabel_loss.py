"""The loss on maps of bits, against plain references on planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit import FixkitError
from mmseg_fixkit.datasets.label_bits import IGNORED, pack
from mmseg_fixkit.models.multilabel_loss import MultiLabelLoss, lovasz_terms, targets
from tests.helpers.runs import run_head
from tests.zoo.build import build

TERMS = ({"bce_weight": 1.0}, {"bce_weight": 0.0, "dice_weight": 1.0}, {"lovasz_weight": 0.5})


def batch(
    labels: int, seed: int = 0, ignored: float = 0.2, dtype: Any = torch.float64
) -> tuple[Any, Any, Any, Any]:
    """Return scores, map, planes (B, L, H, W) and which pixels count."""
    rng = np.random.default_rng(seed)
    planes = rng.random((2, labels, 5, 6)) < 0.4
    where = rng.random((2, 5, 6)) < ignored
    packed = np.stack([pack(p, w) for p, w in zip(planes, where)]).astype(np.int64)
    scores = torch.from_numpy(rng.normal(0, 2, (2, labels + 1, 5, 6))).to(dtype)
    return scores, torch.from_numpy(packed), torch.from_numpy(planes), torch.from_numpy(~where)


def with_background(planes: Any) -> Any:
    return torch.cat([~planes.any(1, keepdim=True), planes], 1)


def plain_bce(scores: Any, planes: Any, counts: Any, **options: Any) -> Any:
    """Mean over the channels of the pixels that count, which are taken out first."""
    channels = scores.transpose(0, 1)[:, counts].T
    target = with_background(planes).transpose(0, 1)[:, counts].T.to(scores.dtype)
    return F.binary_cross_entropy_with_logits(channels, target, **options)


@given(st.integers(1, 30), st.integers(0, 2**31))
def test_it_is_the_binary_cross_entropy_of_the_pixels_that_count(labels: int, seed: int) -> None:
    scores, packed, planes, counts = batch(labels, seed)
    expected = plain_bce(scores, planes, counts) if counts.any() else torch.zeros(())
    assert float(MultiLabelLoss()(scores, packed)) == pytest.approx(float(expected))


@pytest.mark.parametrize("labels", [1, 3, 9])
@pytest.mark.parametrize("background", [False, True])
def test_weights_belong_to_labels(labels: int, background: bool) -> None:
    scores, packed, planes, counts = batch(labels)
    given_weights = [0.5 + i for i in range(labels + background)]
    pos = [2.0 + i for i in range(labels + background)]
    full = given_weights if background else [1.0, *given_weights]
    full_pos = pos if background else [1.0, *pos]
    expected = plain_bce(
        scores,
        planes,
        counts,
        weight=scores.new_tensor(full),
        pos_weight=scores.new_tensor(full_pos),
    )
    loss = MultiLabelLoss(class_weight=given_weights, pos_weight=pos)
    assert float(loss(scores, packed)) == pytest.approx(float(expected))


def test_one_pos_weight_is_for_every_label_and_not_for_the_background() -> None:
    scores, packed, planes, counts = batch(3)
    expected = plain_bce(scores, planes, counts, pos_weight=scores.new_tensor([1.0, 4, 4, 4]))
    assert float(MultiLabelLoss(pos_weight=4)(scores, packed)) == pytest.approx(float(expected))


def test_dice_is_that_of_the_pixels_that_count() -> None:
    scores, packed, planes, counts = batch(3)
    loss = MultiLabelLoss(bce_weight=0.0, dice_weight=2.0, class_weight=[1, 2, 3, 4])
    terms = []
    for channel, weight in zip(range(4), (1, 2, 3, 4)):
        p = scores[:, channel][counts].sigmoid()
        t = with_background(planes)[:, channel][counts].double()
        terms.append(weight * (1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)))
    assert float(loss(scores, packed)) == pytest.approx(float(2 * sum(terms) / 4))


def test_lovasz_is_the_hosts_hinge_of_each_channel() -> None:
    from mmseg.models.losses.lovasz_loss import lovasz_hinge_flat

    scores, packed, planes, counts = batch(3, dtype=torch.float32)
    target, valid = targets(packed, 3)
    found = lovasz_terms(scores, target.float(), valid)
    full = with_background(planes)
    expected = [
        lovasz_hinge_flat(scores[:, c][counts], full[:, c][counts].float()) for c in range(4)
    ]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)
    loss = MultiLabelLoss(bce_weight=0.0, lovasz_weight=3.0)(scores, packed)
    assert float(loss) == pytest.approx(3 * float(sum(expected)) / 4, rel=1e-5)


@pytest.mark.parametrize("terms", TERMS)
def test_gradients_are_right(terms: dict[str, float]) -> None:
    scores, packed, _, counts = batch(3)
    loss = MultiLabelLoss(**terms)
    scores.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: loss(s, packed), (scores,))
    loss(scores, packed).backward()
    assert (scores.grad.transpose(0, 1)[:, ~counts] == 0).all()
    assert scores.grad.transpose(0, 1)[:, counts].any()


@pytest.mark.parametrize("terms", TERMS)
def test_ignored_pixels_change_nothing(terms: dict[str, float]) -> None:
    scores, packed, _, counts = batch(5)
    loss = MultiLabelLoss(**terms)
    before = loss(scores, packed)
    ignored = ~counts.unsqueeze(1).expand_as(scores)
    scores[ignored] = 1e4
    assert float(loss(scores, packed)) == pytest.approx(float(before))


@pytest.mark.parametrize("terms", TERMS)
def test_a_batch_of_ignored_pixels_is_zero_with_a_gradient_of_zero(terms: Any) -> None:
    scores, packed, _, _ = batch(3)
    scores.requires_grad_()
    result = MultiLabelLoss(**terms)(scores, torch.full_like(packed, IGNORED))
    result.backward()
    assert float(result) == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("terms", TERMS)
def test_half_precision_is_as_exact_as_its_scores(dtype: Any, terms: dict[str, float]) -> None:
    scores, packed, _, _ = batch(3, dtype=torch.float32)
    # So many pixels that a sum in half precision would overflow.
    scores, packed = scores.repeat(1, 1, 40, 40), packed.repeat(1, 40, 40)
    half = (10 * scores).to(dtype).requires_grad_()
    loss = MultiLabelLoss(**terms)
    result = loss(half, packed)
    result.backward()
    assert float(result) == pytest.approx(float(loss(half.detach().float(), packed)))
    assert half.grad.isfinite().all()


def test_it_runs_below_autocast() -> None:
    scores, packed, _, _ = batch(3, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = MultiLabelLoss(dice_weight=1.0)(scores.bfloat16(), packed)
    expected = MultiLabelLoss(dice_weight=1.0)(scores.bfloat16().float(), packed)
    assert float(inside) == pytest.approx(float(expected))


@pytest.mark.parametrize("labels", [3, 9, 15])
def test_every_integer_type_gives_the_same(labels: int) -> None:
    scores, packed, _, _ = batch(labels)
    expected = MultiLabelLoss()(scores, packed)
    kinds = [torch.int32, torch.int16] + ([torch.uint8] if labels <= 7 else [])
    for kind in kinds:
        assert float(MultiLabelLoss()(scores, packed.to(kind))) == float(expected)


def test_points_are_as_good_as_pictures() -> None:
    scores, packed, planes, counts = batch(3)
    expected = plain_bce(scores, planes, counts)
    found = MultiLabelLoss()(scores.flatten(2), packed.flatten(1))
    assert float(found) == pytest.approx(float(expected))


def test_the_hosts_averages_hold() -> None:
    scores, packed, planes, counts = batch(3)
    each = MultiLabelLoss(reduction="none")(scores, packed)
    mean = float(plain_bce(scores, planes, counts))
    assert each.shape == packed.shape
    assert (each[~counts] == 0).all()
    assert float(each.sum()) == pytest.approx(mean * int(counts.sum()))
    assert float(MultiLabelLoss(reduction="sum")(scores, packed)) == pytest.approx(
        float(each.sum())
    )
    by_factor = MultiLabelLoss()(scores, packed, avg_factor=10)
    assert float(by_factor) == pytest.approx(float(each.sum()) / 10)
    weight = torch.rand(packed.shape, dtype=torch.float64)
    weighed = MultiLabelLoss(loss_weight=3)(scores, packed, weight, ignore_index=255)
    assert float(weighed) == pytest.approx(3 * float((each * weight).sum()) / int(counts.sum()))
    override = MultiLabelLoss(dice_weight=1.0)(scores, packed, reduction_override="none")
    assert torch.equal(override, each)


def test_the_hosts_sampler_of_the_highest_loss_works() -> None:
    sampler = {"type": "OHEMPixelSampler", "min_kept": 5}
    head = build(run_head(4, loss_decode={"type": "MultiLabelLoss"}, sampler=sampler))
    scores, packed, _, counts = batch(3, dtype=torch.float32)
    kept = head.sampler.sample(scores, packed.unsqueeze(1))
    assert int(kept.sum()) == 10
    assert not kept[~counts].any()


def test_two_labels_and_two_channels_are_told() -> None:
    _, packed, _, _ = batch(2, ignored=0.0)
    with pytest.raises(FixkitError) as caught:
        MultiLabelLoss()(torch.zeros(2, 2, 5, 6), packed)
    assert str(caught.value) == (
        "the labels reach number 2 (bit 1), but the head has 2 channels, one for the background "
        "and 1 for labels; 2 labels need num_classes=3 in every head"
    )


@pytest.mark.parametrize(
    ("scores", "label", "said"),
    [
        ((2, 1, 5, 6), (2, 5, 6), "the head has 1 channel, but a label and the background need 2"),
        ((2, 4, 5, 6), (2, 5, 6, 3), r"of shape \(2, 5, 6, 3\), but MultiLabelLoss takes maps"),
    ],
)
def test_shapes_that_do_not_fit_are_told(scores: Any, label: Any, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        MultiLabelLoss()(torch.zeros(scores), torch.zeros(label, dtype=torch.int64))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"class_weight": [1.0]},
            "class_weight has 1 entries, but the head has 4 channels: give 3",
        ),
        ({"pos_weight": [1.0] * 5}, "pos_weight has 5 entries"),
    ],
)
def test_weights_of_another_number_are_told(options: Any, said: str) -> None:
    scores, packed, _, _ = batch(3)
    with pytest.raises(FixkitError, match=said):
        MultiLabelLoss(**options)(scores, packed)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reduction": "max"}, "reduction is 'max'"),
        ({"class_weight": [1.0, -1.0]}, "no weight may be below 0"),
    ],
)
def test_arguments_that_make_no_sense_are_told(options: Any, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        MultiLabelLoss(**options)


def test_its_name_is_logged_as_a_loss() -> None:
    assert MultiLabelLoss().loss_name == "loss_multilabel"
    assert MultiLabelLoss(loss_name="loss_ce").loss_name == "loss_ce"
