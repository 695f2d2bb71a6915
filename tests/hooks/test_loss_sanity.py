"""``LossSanityHook`` in real trainings, and the chance value against formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.models.chance_loss import chance_losses
from mmseg_fixkit.rules.training import Batch, TrainingContext, check_iteration
from mmseg_fixkit.runtime import LossSanityError, LossSanityHook
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_log,
    run_model,
    run_names,
    run_runner,
    run_zoo_model,
)

FIVE = run_names(5)


def hook(**options: Any) -> dict[str, Any]:
    return {"type": "LossSanityHook", "iterations": 3, **options}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_dataset(tmp_path_factory.mktemp("data"), 5)


def train(tmp_path: Path, data: Path, model: Any, *, iters: int = 4, **options: Any) -> Any:
    hooks = options.pop("hooks", [hook()])
    dataset = run_dataset_config(data, options.pop("classes", FIVE))
    runner = run_runner(run_config(tmp_path, model, dataset, hooks=hooks, iters=iters, **options))
    runner.train()
    return runner


def test_a_sound_training_gets_one_line(tmp_path: Path, data: Path) -> None:
    log = run_log(train(tmp_path, data, run_model(run_head(5), run_head(5, in_index=-1))))
    assert "MSF7" not in log
    assert log.count("LossSanityHook watched 3 iterations") == 1
    assert "decode.loss_ce" in log
    assert "aux.loss_ce" in log
    assert "decode_head.conv_seg.weight" in log


def test_training_is_the_same_to_the_bit_with_and_without_the_hook(
    tmp_path: Path, data: Path
) -> None:
    states = [
        train(tmp_path / name, data, run_model(run_head(5)), hooks=hooks).model.state_dict()
        for name, hooks in (("with", [hook()]), ("without", []))
    ]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_nothing_is_left_of_it_after_the_window(tmp_path: Path, data: Path) -> None:
    model = train(tmp_path, data, run_model(run_head(5))).model
    assert "loss_by_feat" not in vars(model.decode_head)
    assert not model.decode_head.conv_seg.weight._backward_hooks


@pytest.mark.parametrize(
    ("name", "head", "chance"),
    [
        ("softmax", {}, lambda ignored: math.log(5) * (1 - ignored)),
        (
            "softmax, ignored pixels not averaged",
            {"loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True}},
            lambda ignored: math.log(5),
        ),
        (
            "weighted",
            {"loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 0.4}},
            lambda ignored: 0.4 * math.log(5) * (1 - ignored),
        ),
        (
            "sigmoid",
            {
                "loss_decode": {
                    "type": "CrossEntropyLoss",
                    "use_sigmoid": True,
                    "avg_non_ignore": True,
                }
            },
            lambda ignored: math.log(2),
        ),
    ],
)
def test_the_chance_value_is_that_of_the_formula(
    tmp_path: Path, data: Path, name: str, head: dict[str, Any], chance: Any
) -> None:
    config = run_config(
        tmp_path, run_model(run_head(5, **head)), run_dataset_config(data, FIVE), hooks=[hook()]
    )
    runner = run_runner(config)
    batch = next(iter(runner.build_dataloader(config.train_dataloader)))
    batch = runner.model.data_preprocessor(batch, True)
    with chance_losses(runner.model) as found:
        runner.model(**batch, mode="loss")
    ignored = 1 / 32  # the first of 32 rows
    assert found == pytest.approx({"decode.loss_ce": chance(ignored)}, rel=1e-5)


def test_a_learning_rate_that_blows_up_is_named_with_the_files(tmp_path: Path, data: Path) -> None:
    optimizer = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 1e30}}
    log = run_log(train(tmp_path, data, run_model(run_head(5)), optim_wrapper=optimizer))
    assert "MSF701 loss-not-finite: decode.loss_ce is nan" in log
    assert "ann/0" in log
    assert log.count("MSF701") == 1


def test_it_stops_the_run_when_asked(tmp_path: Path, data: Path) -> None:
    optimizer = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 1e30}}
    with pytest.raises(LossSanityError, match=r"decode\.loss_ce is nan"):
        train(
            tmp_path,
            data,
            run_model(run_head(5)),
            optim_wrapper=optimizer,
            hooks=[hook(action="stop")],
        )


def test_a_batch_of_ignored_pixels_is_said_to_be_one(tmp_path: Path) -> None:
    root = run_dataset(tmp_path / "data", 5)
    for file in (root / "ann").iterdir():
        Image.fromarray(np.full((32, 32), 255, np.uint8)).save(file)
    log = run_log(train(tmp_path / "run", root, run_model(run_head(5))))
    assert "MSF702 loss-is-zero: decode.loss_ce is 0" in log
    assert "every pixel of the batch is ignored" in log


def test_a_softmax_over_one_channel_is_said_to_be_one(tmp_path: Path) -> None:
    root = run_dataset(tmp_path / "data", 1)
    model = run_model(run_head(1))
    log = run_log(train(tmp_path / "run", root, model, classes=("crack",)))
    assert "MSF702" in log
    assert "a softmax over one channel is always 1" in log


def test_a_head_that_is_sure_of_the_wrong_classes_is_far_from_chance(
    tmp_path: Path, data: Path
) -> None:
    config = run_config(
        tmp_path, run_model(run_head(5)), run_dataset_config(data, FIVE), hooks=[hook()]
    )
    runner = run_runner(config)
    runner.model.init_weights = lambda: None
    torch.nn.init.normal_(runner.model.decode_head.conv_seg.weight, std=100.0)
    runner.train()
    assert "MSF703 loss-far-from-chance: decode.loss_ce" in run_log(runner)


@pytest.mark.parametrize(
    ("paramwise", "lr", "reason"),
    [
        ({"custom_keys": {"decode_head": {"lr_mult": 0.0}}}, 0.1, "its learning rate is 0"),
        ({}, 0.0, "its learning rate is 0"),
    ],
)
def test_a_head_without_a_learning_rate_does_not_move(
    tmp_path: Path, data: Path, paramwise: dict[str, Any], lr: float, reason: str
) -> None:
    wrapper = {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": lr},
        "paramwise_cfg": paramwise,
    }
    log = run_log(train(tmp_path, data, run_model(run_head(5)), optim_wrapper=wrapper))
    assert "MSF704 head-does-not-move: model.decode_head.conv_seg.weight" in log
    assert reason in log


def test_a_frozen_head_is_said_to_be_frozen(tmp_path: Path, data: Path) -> None:
    config = run_config(
        tmp_path, run_model(run_head(5)), run_dataset_config(data, FIVE), hooks=[hook()]
    )
    runner = run_runner(config)
    runner.model.decode_head.conv_seg.requires_grad_(False)
    runner.train()
    assert "it is frozen (requires_grad is False)" in run_log(runner)


def test_gradient_accumulation_is_waited_for(tmp_path: Path, data: Path) -> None:
    wrapper = {
        "type": "OptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.1},
        "accumulative_counts": 8,
    }
    log = run_log(train(tmp_path, data, run_model(run_head(5)), optim_wrapper=wrapper))
    assert "MSF704" not in log


def test_a_training_shorter_than_the_window_is_judged_at_its_end(
    tmp_path: Path, data: Path
) -> None:
    log = run_log(
        train(tmp_path, data, run_model(run_head(5)), iters=2, hooks=[hook(iterations=9)])
    )
    assert "LossSanityHook watched 2 iterations" in log


def test_a_loaded_checkpoint_may_know_the_answer() -> None:
    batch = Batch(1, {"decode.loss_ce": 0.1})
    chance = {"decode.loss_ce": 1.6}
    assert [d.code for d in check_iteration(TrainingContext(batch, chance))] == ["MSF703"]
    assert check_iteration(TrainingContext(batch, chance, untrained=False)) == ()


#: Of each kind of head whose losses take more than one map of logits.
HEADS = (
    "danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "encnet/encnet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py",
    "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py",
    "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py",
    "stdc/stdc1_4xb12-80k_cityscapes-512x1024.py",
    "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
    "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py",
    "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py",
)


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_every_kind_start_near_chance(name: str) -> None:
    from mmengine.registry import init_default_scope
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    path = zoo_path(f"mmseg::{name}")
    assert path is not None
    config = run_zoo_model(path, 64)
    for loss in config.model.decode_head.get("loss_decode", ()) if "pidnet" in name else ():
        loss.pop("class_weight", None)  # which fails in the host as soon as a pixel is ignored
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    label = torch.randint(0, 19, (1, 64, 64))
    label[:, :4] = 255
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo={"img_shape": (64, 64), "ori_shape": (64, 64)})
        sample.gt_sem_seg = PixelData(data=label)
        sample.gt_edge_map = PixelData(data=(label == 3).long())
        samples.append(sample)
    with chance_losses(model) as chance:
        losses = model(torch.randn(2, 3, 64, 64), samples, mode="loss")
    values = {n: float(sum(v) if isinstance(v, list) else v.mean()) for n, v in losses.items()}
    assert {n for n in values if "loss" in n} == set(chance)
    assert [d.message for d in check_iteration(TrainingContext(Batch(1, values), chance))] == []


@pytest.mark.parametrize(
    ("options", "said"),
    [({"action": "shout"}, "one of"), ({"iterations": 0}, "1 or more")],
)
def test_odd_arguments_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LossSanityHook(**options)
