"""New-style configs (``with read_base():``, types that are imported) read and written."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.config.lazy_import import MODULES, import_lines, local_names
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.tree import Imported
from mmseg_fixkit.core.diagnostics import format_key
from mmseg_fixkit.core.registration import PARTS
from tests.helpers.runs import run_dataset

MODEL = """\
from mmseg.models import (EncoderDecoder, FCNHead, PSPHead, ResNetV1c,
                          SegDataPreProcessor)
from mmseg.models.losses import CrossEntropyLoss

num_classes = 19
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(type=SegDataPreProcessor, size=(32, 32), seg_pad_val=255),
    backbone=dict(
        type=ResNetV1c, depth=18, base_channels=8, norm_cfg=norm_cfg, norm_eval=False),
    decode_head=dict(
        type=PSPHead, in_channels=64, channels=8, num_classes=num_classes, norm_cfg=norm_cfg,
        loss_decode=dict(type=CrossEntropyLoss)),
    auxiliary_head=[
        dict(
            type=FCNHead, in_channels=32, in_index=2, channels=8, num_classes=num_classes,
            norm_cfg=norm_cfg, loss_decode=dict(type=CrossEntropyLoss))],
    test_cfg=dict(mode='whole'))
"""
DATA = """\
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import DefaultSampler

from mmseg.datasets import CityscapesDataset, LoadAnnotations, PackSegInputs
from mmseg.evaluation import CityscapesMetric

pipeline = [
    dict(type=LoadImageFromFile), dict(type=LoadAnnotations), dict(type=PackSegInputs)]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(type=CityscapesDataset, data_root='data', pipeline=pipeline,
                 data_prefix=dict(img_path='img', seg_map_path='ann')))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(type=CityscapesDataset, data_root='data', pipeline=pipeline,
                 data_prefix=dict(img_path='img', seg_map_path='ann')))
test_dataloader = val_dataloader
val_evaluator = dict(type=CityscapesMetric, output_dir='out')
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()
"""
CONFIG = """\
# PSPNet on our data.
from mmengine.config import read_base

with read_base():
    from ..bases.data import *
    from ..bases.model import *

model.update(dict(decode_head=dict(dropout_ratio=0.2)))  # more of it
"""
CLASSES = ["weed", "crop", "soil"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("model", MODEL), ("data", DATA)):
        file = tmp_path / "bases" / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    file = tmp_path / "mine" / "psp.py"
    file.parent.mkdir()
    file.write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return file


def test_it_is_read_and_nothing_is_imported(config: Path) -> None:
    code = (
        "import sys; from mmseg_fixkit import check; "
        f"r = check({str(config)!r}); print([d.code for d in r.diagnostics]); "
        "print([m for m in ('torch', 'mmcv', 'mmseg', 'mmdet') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_findings_are_where_they_are_written(config: Path) -> None:
    found = {(d.code, format_key(d.key)): d.location for d in check(config, CLASSES).diagnostics}
    place = found["MSF101", "model.decode_head.num_classes"]
    assert place is not None
    assert (Path(place.file).name, place.line) == ("model.py", 13)
    config.write_text(CONFIG + "model.decode_head.num_classes = 7\n")
    found = {(d.code, format_key(d.key)): d.location for d in check(config).diagnostics}
    place = found["MSF101", "model.decode_head.num_classes"]
    assert place is not None
    assert (place.file, place.line, place.column) == (str(config), 9, 33)


def written(config: Path, mode: str, **options: Any) -> Path:
    planned = patch(config, CLASSES, img_suffix=".png", seg_map_suffix=".png", **options)
    if mode == "in-place":
        planned.write_in_place()
        return config
    out = config.parents[1] / f"{mode}.py"
    planned.write(out, mode)
    return out


MODES = ["overlay", "flat", "in-place"]


@pytest.mark.parametrize("mode", MODES)
def test_every_writer_gives_a_config_that_the_host_builds_and_runs(mode: str, config: Path) -> None:
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmseg.registry import DATASETS, MODELS
    from mmseg.utils import register_all_modules

    register_all_modules()
    run_dataset(config.parents[1] / "data", 3, images=2)
    out = Config.fromfile(str(written(config, mode)))
    assert out.train_dataloader.dataset.type.__name__ == "BaseSegDataset"
    assert [hook.type.__name__ for hook in out.custom_hooks] == ["ClassCountHook", "HeadAdaptHook"]
    dataset = DATASETS.build(out.train_dataloader.dataset)
    assert dataset.metainfo["classes"] == tuple(CLASSES)
    assert [type(step).__name__ for step in dataset.pipeline.transforms][2] == "AssertLabelBounds"
    model = MODELS.build(out.model)
    assert model.decode_head.num_classes == model.auxiliary_head[0].num_classes == 3
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    losses = model.loss(batch["inputs"], batch["data_samples"])
    assert float(losses["decode.loss_ce"]) > 0


@pytest.mark.parametrize("mode", MODES)
def test_every_writer_keeps_to_the_dialect_and_a_second_run_changes_nothing(
    mode: str, config: Path
) -> None:
    out = written(config, mode, guards=False)
    text = out.read_text()
    assert "from mmseg.datasets import BaseSegDataset" in text
    assert "_base_" not in text
    assert load(out).new_style
    assert ("read_base" in text) == (mode != "flat")
    assert patch(out, CLASSES, guards=False).plan.empty
    assert check(out).diagnostics == ()


def test_all_writers_give_the_same(config: Path) -> None:
    trees = []
    for mode in MODES:  # the last one changes what the others read
        tree = load(written(config, mode)).tree
        trees.append({k: v for k, v in tree.items() if k.endswith(("model", "loader", "hooks"))})
    assert trees[0] == trees[1] == trees[2]


def test_bases_are_named_by_where_they_are(config: Path) -> None:
    out = config.parents[1] / "bases" / "out.py"
    patch(config, CLASSES).write(out)
    assert "    from ..mine.psp import *\n" in out.read_text()


def test_a_base_that_cannot_be_imported_is_refused_with_the_way_out(config: Path) -> None:
    odd = config.with_name("psp-2.py")
    config.rename(odd)
    with pytest.raises(FixkitError, match=r"'psp-2' is no name that Python can import.*--in-place"):
        patch(odd, CLASSES).write(config.with_name("out.py"))
    patch(odd, CLASSES).write(config.with_name("flat.py"), mode="flat")
    assert patch(odd, CLASSES).write_in_place()


def test_options_name_types_in_full(config: Path) -> None:
    from mmengine.config import Config, DictAction

    file = config.with_name("file.py")
    file.write_text(
        config.read_text()
        + "from mmseg.evaluation import IoUMetric\n"
        + "val_evaluator = dict(type=IoUMetric, iou_metrics=['mIoU'])\n"
        + "test_evaluator = val_evaluator\n"
    )
    planned = patch(file, CLASSES, guards=False)
    with pytest.raises(FixkitError, match="cannot say the change of"):
        patch(file, CLASSES).cfg_options()
    options = planned.cfg_options()
    assert "train_dataloader.dataset.type=mmseg.datasets.BaseSegDataset" in options
    from argparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    merged = Config.fromfile(str(file))
    merged.merge_from_dict(parser.parse_args(shlex.split(options)).cfg_options)
    assert merged.model.decode_head.num_classes == 3
    assert merged.model.auxiliary_head[0].num_classes == 3


def test_a_patched_copy_can_be_built(config: Path) -> None:
    from mmengine.registry import HOOKS

    copy = patch(config, CLASSES).config
    assert [type(HOOKS.build(hook)).__name__ for hook in copy.custom_hooks] == [
        "ClassCountHook",
        "HeadAdaptHook",
    ]


def test_rules_can_name_every_type_of_the_table() -> None:
    from importlib import import_module

    for name, module in MODULES.items():
        assert getattr(import_module(module), name).__name__ == name
    assert {name for parts in PARTS.values() for name in parts} <= MODULES.keys()


def test_names_that_are_taken_are_told_apart() -> None:
    values = [Imported("mmcv.transforms.Resize"), {"type": Imported("mmseg.datasets.Resize")}]
    names = local_names(values, {}, ["model"])
    assert names == {"mmcv.transforms.Resize": "Resize", "mmseg.datasets.Resize": "Resize_"}
    assert import_lines(names) == [
        "from mmcv.transforms import Resize",
        "from mmseg.datasets import Resize as Resize_",
    ]


def test_an_old_config_that_inherits_from_a_new_one_is_refused_as_mmengine_does(
    config: Path,
) -> None:
    old = config.with_name("old.py")
    old.write_text("_base_ = './psp.py'\n")
    with pytest.raises(FixkitError, match="must match the current configuration file type"):
        check(old)
