"""The two classic failures, end to end: the zoo's own models fail, are patched, and train.

PSPNet and Mask2Former in full size on a small data set, a few iterations on a CPU, starting from a
checkpoint of 19 classes, with the guards that ``patch`` puts into the config.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_fixkit import LabelSpace, check, patch
from mmseg_fixkit.demo.data import ShapesDataset, make_shapes
from tests.helpers.runs import run_log, run_runner, run_zoo_model, skip_unless_installed

#: What a user writes around a zoo config to train it on a CPU: no downloads, small pictures.
ON_A_CPU = """
_base_ = '{base}'
crop_size = (64, 64)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=crop_size),
    {model})
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=False,
    dataset=dict(
        {data}
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        {data}
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3, val_interval=3)
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.0005))
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=3))
randomness = dict(seed=0)
work_dir = '{work_dir}'
"""

PSPNET = "pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
MASK2FORMER = "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"
PSPNET_MODEL = (
    "pretrained=None, backbone=dict(norm_cfg=norm_cfg),\n"
    "    decode_head=dict(norm_cfg=norm_cfg), auxiliary_head=dict(norm_cfg=norm_cfg)"
)
#: Weights for three classes, one short of what a query head takes.
MASK2FORMER_MODEL = (
    "backbone=dict(init_cfg=None, norm_cfg=norm_cfg),\n"
    "    decode_head=dict(num_classes=3, loss_cls=dict(class_weight=[0.1, 1.0, 1.0]))"
)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> ShapesDataset:
    return make_shapes(tmp_path_factory.mktemp("eight"), classes=8, train=6, val=2, size=64)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> ShapesDataset:
    return make_shapes(tmp_path_factory.mktemp("three"), classes=3, train=6, val=2, size=64)


def zoo_file(name: str) -> Path:
    from mmseg_fixkit.config.host import zoo_path

    return zoo_path(f"mmseg::{name}")


def write_config(folder: Path, name: str, base: str, model: str, data: str) -> Path:
    file = folder / f"{name}.py"
    file.write_text(
        ON_A_CPU.format(
            base=zoo_file(base),
            model=model,
            data=data,
            work_dir=folder / f"work_{name}",
        )
    )
    return file


def runner_of(file: Path) -> Any:
    """Build the runner of a config file, as often in one process as there are tests."""
    config = Config.fromfile(str(file))
    # MMEngine keeps one logger and one visualizer for each name.
    config.experiment_name = config.visualizer.name = f"{file.parent.name}_{file.stem}"
    return run_runner(config)


def cityscapes_checkpoint(folder: Path, base: str) -> Path:
    """Save the zoo model with its 19 classes, as a published checkpoint has them."""
    config = run_zoo_model(zoo_file(base), 64)
    model = MODELS.build(config.model)
    model.init_weights()
    meta = {"dataset_meta": {"classes": [f"city_{i}" for i in range(19)]}}
    file = folder / "cityscapes.pth"
    torch.save({"state_dict": model.state_dict(), "meta": meta}, file)
    return file


def scalars(runner: Any) -> list[dict[str, Any]]:
    (file,) = Path(runner.log_dir).glob("vis_data/scalars.json")
    return [json.loads(line) for line in file.read_text().splitlines()]


def assert_trained(runner: Any, labels: LabelSpace) -> None:
    losses = [line["loss"] for line in scalars(runner) if "loss" in line]
    assert len(losses) == 3
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    assert any("mIoU" in line for line in scalars(runner))
    log = run_log(runner)
    assert all(name in log for name in labels.classes), "the result table names every class"
    saved = torch.load(Path(runner.work_dir) / "iter_3.pth", weights_only=False)
    assert tuple(saved["meta"]["dataset_meta"]["classes"]) == labels.classes


def test_pspnet_fails_is_patched_and_trains(tmp_path: Path, eight: ShapesDataset) -> None:
    data = f"data_root='{eight.root}', metainfo=dict(classes={eight.classes!r}),"
    before = write_config(tmp_path, "before", PSPNET, PSPNET_MODEL, data)
    with pytest.raises(ValueError, match=r"is not a subset of classes .* in METAINFO"):
        runner_of(before).train()
    codes = {d.code for d in check(before).diagnostics}
    assert codes == {"MSF101", "MSF204"}

    planned = patch(
        before,
        eight.labels,
        load_from=str(cityscapes_checkpoint(tmp_path, PSPNET)),
        img_suffix=".jpg",
        seg_map_suffix=".png",
    )
    planned.write(tmp_path / "after.py")
    runner = runner_of(tmp_path / "after.py")
    runner.train()
    assert_trained(runner, eight.labels)
    assert runner.model.decode_head.conv_seg.weight.shape[0] == 8
    assert runner.model.auxiliary_head.conv_seg.weight.shape[0] == 8
    log = run_log(runner)
    assert "decode_head.conv_seg.weight" in log
    assert "auxiliary_head.conv_seg.bias" in log
    assert "do not match exactly" not in log, "the hook has said it better"


def test_mask2former_fails_is_patched_and_trains(tmp_path: Path, three: ShapesDataset) -> None:
    skip_unless_installed("mask2former")
    data = (
        f"type='BaseSegDataset', data_root='{three.root}', img_suffix='.jpg',\n"
        f"        metainfo=dict(classes={three.classes!r}),"
    )
    before = write_config(tmp_path, "before", MASK2FORMER, MASK2FORMER_MODEL, data)
    with pytest.raises(IndexError, match="index 3 is out of bounds"):
        runner_of(before).train()
    report = check(before)
    assert {d.code for d in report.diagnostics} == {"MSF102"}

    planned = patch(
        before,
        three.labels,
        class_weight=[0.1, 1, 1],
        load_from=str(cityscapes_checkpoint(tmp_path, MASK2FORMER)),
    )
    planned.write(tmp_path / "after.py")
    runner = runner_of(tmp_path / "after.py")
    runner.train()
    assert_trained(runner, three.labels)
    assert runner.model.decode_head.loss_cls.class_weight == [0.1, 1.0, 1.0, 0.1]
    assert runner.model.decode_head.cls_embed.weight.shape[0] == 4
    assert "decode_head.cls_embed.weight" in run_log(runner)


def test_a_stray_label_is_named_before_the_loss(tmp_path: Path, eight: ShapesDataset) -> None:
    data = f"data_root='{eight.root}', metainfo=dict(classes={eight.classes!r}),"
    before = write_config(tmp_path, "before", PSPNET, PSPNET_MODEL, data)
    # Seven classes for labels of eight: 7 is out of range.
    seven = LabelSpace(eight.classes[:7])
    options = {"img_suffix": ".jpg", "seg_map_suffix": ".png"}

    patch(before, seven, guards=False, **options).write(tmp_path / "unguarded.py")
    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        runner_of(tmp_path / "unguarded.py").train()

    patch(before, seven, **options).write(tmp_path / "guarded.py")
    runner = runner_of(tmp_path / "guarded.py")
    assert runner.cfg.train_dataloader.num_workers == 2
    with pytest.raises(Exception, match=r"labels.train.*\.png") as caught:
        runner.train()
    assert type(caught.value).__name__ == "LabelOutOfBounds"
    assert "7" in str(caught.value)
    assert "mmseg-fix scan" in str(caught.value)


def test_fix_trains_a_config_that_nobody_patched(tmp_path: Path, eight: ShapesDataset) -> None:
    data = (
        f"type='BaseSegDataset', data_root='{eight.root}', img_suffix='.jpg',\n"
        f"        metainfo=dict(classes={eight.classes!r}),"
    )
    file = write_config(tmp_path, "hand_written", PSPNET, PSPNET_MODEL, data)
    checkpoint = cityscapes_checkpoint(tmp_path, PSPNET)
    file.write_text(
        file.read_text()
        + "custom_imports = dict(imports=['mmseg_fixkit.runtime'])\n"
        + "custom_hooks = [\n"
        + "    dict(type='ClassCountHook', action='fix'), dict(type='HeadAdaptHook')]\n"
        + f"load_from = '{checkpoint}'\n"
    )
    runner = runner_of(file)
    old = {id(p) for p in runner.model.decode_head.conv_seg.parameters()}
    runner.train()
    assert_trained(runner, eight.labels)
    head = runner.model.decode_head
    assert (head.num_classes, head.out_channels, head.conv_seg.weight.shape[0]) == (8, 8, 8)
    held = {id(p) for group in runner.optim_wrapper.param_groups for p in group["params"]}
    assert {id(p) for p in runner.model.parameters()} <= held
    assert not old & held
