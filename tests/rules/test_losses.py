"""Losses that take scores and labels only, in heads that hand over more."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from mmseg.models import losses
from mmseg.registry import MODELS

from mmseg_fixkit import check, patch
from mmseg_fixkit.config.host import TWO_ARGUMENT_LOSSES
from tests.helpers.runs import run_head, run_model
from tests.rules.test_binary import build, train_once

OHEM = {"type": "OhemCrossEntropy", "min_kept": 10}
NAMES = ("soil", "crop", "weed")


def written(folder: Path, head: dict[str, Any], count: int = 3) -> Path:
    path = folder / "config.py"
    dataset = {"type": "BaseSegDataset", "metainfo": {"classes": NAMES[:count]}}
    tree = {"model": run_model(head), "train_dataloader": {"dataset": dataset}}
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in tree.items()))
    return path


def test_the_table_is_that_of_the_host() -> None:
    heads_of_host = {"weight", "ignore_index"}
    found = set()
    for name, loss in vars(losses).items():
        if isinstance(loss, type) and name != "Accuracy":
            parameters = inspect.signature(loss.forward).parameters  # type: ignore[attr-defined]
            any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            if not (any_name or heads_of_host & parameters.keys()):
                found.add(name)
    assert found == TWO_ARGUMENT_LOSSES


@pytest.mark.parametrize("kind", sorted(TWO_ARGUMENT_LOSSES))
def test_a_head_of_another_kind_stops_at_the_first_batch(kind: str, tmp_path: Path) -> None:
    head = run_head(3, loss_decode={"type": kind})
    with pytest.raises(TypeError, match="unexpected keyword argument 'weight'"):
        train_once(build(run_model(head)), 32)
    assert [d.code for d in check(written(tmp_path, head)).diagnostics] == ["MSF118"]


def test_the_fix_trains_the_hard_pixels(tmp_path: Path) -> None:
    path = written(tmp_path, run_head(3, loss_decode={**OHEM, "thres": 0.9, "ignore_label": 255}))
    fixed = patch(path, guards=False).config
    head = fixed.model.decode_head
    assert dict(head.loss_decode) == {"type": "CrossEntropyLoss"}
    assert dict(head.sampler) == {"type": "OHEMPixelSampler", "thresh": 0.9, "min_kept": 10}
    assert train_once(build(fixed.model), 32) > 0


def test_weights_go_along(tmp_path: Path) -> None:
    loss = {**OHEM, "class_weight": [1.0, 2.0, 3.0], "loss_name": "loss_hard"}
    fixed = patch(written(tmp_path, run_head(3, loss_decode=loss)), guards=False)
    found = fixed.config.model.decode_head.loss_decode
    assert (found.class_weight, found.loss_name) == ([1.0, 2.0, 3.0], "loss_hard")
    assert check(fixed.config).diagnostics == ()
    assert train_once(build(fixed.config.model), 32) > 0


ONE = {"out_channels": 1, "threshold": 0.5}


def test_one_channel_is_trained_by_it_in_any_head(tmp_path: Path) -> None:
    loss = {"type": "OneChannelLoss", "loss": OHEM}
    head = run_head(2, **ONE, loss_decode=loss)
    assert check(written(tmp_path, head, 2)).diagnostics == ()
    assert train_once(build(run_model(head)), 32) > 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"weight": torch.ones(1, 4, 4)}, "sampler of the head .* OhemCrossEntropy"),
        ({"weight": None, "ignore_index": 7}, "ignores 255; give it ignore_label=7"),
    ],
)
def test_what_it_cannot_take_is_not_dropped(given: dict[str, Any], words: str) -> None:
    loss = MODELS.build({"type": "OneChannelLoss", "loss": OHEM})
    with pytest.raises(ValueError, match=words):
        loss(torch.randn(1, 1, 4, 4), torch.zeros(1, 4, 4).long(), **given)


def test_a_sampler_beside_it_is_found(tmp_path: Path) -> None:
    head = run_head(
        2,
        **ONE,
        loss_decode={"type": "OneChannelLoss", "loss": OHEM},
        sampler={"type": "OHEMPixelSampler", "min_kept": 10},
    )
    (found,) = check(written(tmp_path, head, 2)).diagnostics
    assert (found.code, found.fix) == ("MSF118", None)
    with pytest.raises(TypeError, match="unexpected keyword argument 'reduction_override'"):
        train_once(build(run_model(head)), 32)


def test_edges_are_found_in_one_channel_too(tmp_path: Path) -> None:
    head = run_head(2, **ONE, loss_decode={"type": "BoundaryLoss"})
    assert "MSF118" in [d.code for d in check(written(tmp_path, head, 2)).diagnostics]
    with pytest.raises(TypeError, match="unexpected keyword argument 'weight'"):
        train_once(build(run_model(head)), 32)


@pytest.mark.parametrize("more", [{"ignore_label": 200}, {"min_kept": 1}])
def test_what_the_sampler_cannot_do_is_left(more: dict[str, Any], tmp_path: Path) -> None:
    found = check(written(tmp_path, run_head(3, loss_decode={**OHEM, **more}))).diagnostics
    assert [d.fix for d in found if d.code == "MSF118"] == [None]


@pytest.mark.parametrize("kind", sorted(TWO_ARGUMENT_LOSSES))
def test_of_a_head_of_another_project_it_is_not_known_what_it_hands_over(
    kind: str, tmp_path: Path
) -> None:
    head = {**run_head(3, loss_decode={"type": kind}), "type": "HeadOfAnotherProject"}
    assert "MSF118" not in [d.code for d in check(written(tmp_path, head)).diagnostics]
