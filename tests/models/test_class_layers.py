"""Heads of built models: which stand alone, what their losses are called, which layers follow."""

from __future__ import annotations

import pytest
from torch import nn

from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.models.heads import class_layers, log_prefix, outermost
from tests.helpers.runs import run_head, run_model, run_zoo_model
from tests.zoo.build import build


def test_class_layers_are_those_of_every_head() -> None:
    model = build(run_model(run_head(5), [run_head(5)]))
    assert set(class_layers(model)) == {
        f"{head}.conv_seg.{part}"
        for head in ("decode_head", "auxiliary_head.0")
        for part in ("weight", "bias")
    }


def test_of_a_head_without_any_the_last_parameter_counts() -> None:
    model = build(run_model(run_head(5), [run_head(5)]))
    model.auxiliary_head[0].conv_seg = nn.Identity()
    layers = class_layers(model)
    own = [n for n, _ in model.named_parameters() if n.startswith("auxiliary_head.0.")]
    assert own[-1] in layers
    assert set(layers) == {"decode_head.conv_seg.weight", "decode_head.conv_seg.bias", own[-1]}
    parameters = dict(model.named_parameters())
    assert all(layer is parameters[name] for name, layer in layers.items())


def test_heads_within_heads_stand_in_their_outermost() -> None:
    config = "mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py"
    model = build(run_zoo_model(zoo_path(config)).model)
    assert [head.path for head in outermost(model)] == ["decode_head", "auxiliary_head"]


@pytest.mark.parametrize(
    ("path", "prefix"),
    [("decode_head", "decode"), ("auxiliary_head", "aux"), ("auxiliary_head.1", "aux_1")],
)
def test_losses_are_named_as_the_host_does(path: str, prefix: str) -> None:
    assert log_prefix(path) == prefix
