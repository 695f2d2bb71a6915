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
