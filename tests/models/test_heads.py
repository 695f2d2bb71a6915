"""What is read of built heads and optimizers, where the host keeps it in more than one place."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict
from torch import nn

from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.models.build import build_shapes
from mmseg_fixkit.models.heads import ignore_index_of, iterations_a_step, optimizers_of
from tests.helpers.runs import run_head, run_model, run_zoo_model
from tests.zoo.build import build

KNET = "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py"
MASK2FORMER = "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"


def test_the_ignored_label_is_that_of_the_predicting_head() -> None:
    model = build(run_model(run_head(3, ignore_index=7), run_head(3, ignore_index=8)))
    assert ignore_index_of(model) == 7
    cascade = [run_head(3, ignore_index=7), run_head(3, ignore_index=9)]
    model = run_model(cascade)
    assert ignore_index_of(build({**model, "type": "CascadeEncoderDecoder", "num_stages": 2})) == 9
    assert ignore_index_of(nn.Linear(1, 1)) is None


@pytest.mark.parametrize("name", [KNET, MASK2FORMER])
def test_heads_that_hold_others_say_what_they_ignore(name: str) -> None:
    """The inner heads of K-Net do not know."""
    config = run_zoo_model(zoo_path(f"mmseg::{name}"))
    head: Any = config.model.decode_head
    head.get("kernel_generate_head", head).ignore_index = 7
    assert ignore_index_of(build_shapes(config)) == 7


def test_a_step_is_due_when_every_optimizer_has_gathered_its_gradients() -> None:
    def wrapper(count: int) -> OptimWrapper:
        layer = nn.Linear(1, 1)
        return OptimWrapper(torch.optim.SGD(layer.parameters(), 0.1), accumulative_counts=count)

    assert iterations_a_step(wrapper(4)) == 4
    several = OptimWrapperDict(a=wrapper(2), b=wrapper(3))
    assert iterations_a_step(several) == 3
    assert len(optimizers_of(several)) == 2
    assert issubclass(AmpOptimWrapper, OptimWrapper)
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
