"""``patch`` as a library; ``test_zoo.py`` patches every method, ``test_properties.py`` has laws."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_fixkit import FixkitError, LabelSpace, check, patch
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.tree import lookup, plain, same
from tests.helpers.paths import CONFIGS

PSPNET = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
MASK2FORMER = "mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"


def test_the_argument_is_never_mutated() -> None:
    config = Config.fromfile(str(zoo_path(PSPNET)))
    before = copy.deepcopy(plain(config._cfg_dict))
    planned = patch(config, ["a", "b", "c"], load_from="x.pth")
    planned.config.model.decode_head.num_classes = 99
    assert same(plain(config._cfg_dict), before)
    assert planned.plan.after["model"]["decode_head"]["num_classes"] == 3


def test_pspnet_with_eight_classes(tmp_path: Path) -> None:
    names = [f"thing_{i}" for i in range(8)]
    planned = patch(PSPNET, names, load_from="cityscapes.pth")
    config = planned.config
    assert config.model.decode_head.num_classes == 8
    assert config.model.auxiliary_head.num_classes == 8
    for split in ("train", "val", "test"):
        dataset = config[f"{split}_dataloader"].dataset
        assert dataset.type == "BaseSegDataset"
        assert dataset.metainfo.classes == tuple(names)
        assert len(dataset.metainfo.palette) == 8
        assert dataset.img_suffix == "_leftImg8bit.png"
        assert dataset.seg_map_suffix == "_gtFine_labelTrainIds.png"
        kinds = [step.type for step in dataset.pipeline]
        assert kinds[kinds.index("LoadAnnotations") + 1] == "AssertLabelBounds"
    assert config.custom_imports.imports == ["mmseg_fixkit"]
    assert [hook.type for hook in config.custom_hooks] == ["ClassCountHook", "HeadAdaptHook"]
    assert config.load_from == "cityscapes.pth"
    assert config.val_evaluator.type == "IoUMetric"

    assert planned.write(tmp_path / "eight.py") is True
    loaded = Config.fromfile(str(tmp_path / "eight.py"))
    assert loaded.model.decode_head.num_classes == 8
    assert patch(tmp_path / "eight.py", names).plan.empty
    assert check(tmp_path / "eight.py").exit_code == 0
    assert planned.write(tmp_path / "eight.py") is False


def test_weights_of_a_query_head() -> None:
    config = patch(MASK2FORMER, ["a", "b", "c"], class_weight=[0.1, 1, 1]).config
    assert config.model.decode_head.loss_cls.class_weight == [0.1, 1.0, 1.0, 0.1]
    config = patch(MASK2FORMER, ["a", "b", "c"], class_weight=[0.1, 1, 1, 0.3]).config
    assert config.model.decode_head.loss_cls.class_weight == [0.1, 1.0, 1.0, 0.3]
    config = patch(MASK2FORMER, ["a", "b", "c"]).config
    assert config.model.decode_head.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, 1.0], "has 2 entries, but PSPHead is a per-pixel head: give 3 weights"),
        ([1, 1, 1, 0.1], "has 4 entries.*N \\+ 1 is only for query heads"),
        ([1, float("nan"), 1], "nan is not a finite number"),
        ([0, 0, 0], "every weight is 0"),
    ],
)
def test_weights_of_a_per_pixel_head_that_cannot_be(weights: list[float], words: str) -> None:
    with pytest.raises(FixkitError, match=words):
        patch(PSPNET, ["a", "b", "c"], class_weight=weights)


def test_a_subset_of_the_own_classes_keeps_the_type() -> None:
    config = patch(PSPNET, ["car", "road", "person"]).config
    dataset = config.train_dataloader.dataset
    assert dataset.type == "CityscapesDataset"
    assert "img_suffix" not in dataset
    assert dataset.metainfo.classes == ("car", "road", "person")
    assert dataset.metainfo.palette == [[0, 0, 142], [128, 64, 128], [220, 20, 60]]


def test_zero_label_reduction_does_not_come_along() -> None:
    ade = "mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py"
    own = patch(ade, ["weed", "crop"]).config.train_dataloader.dataset
    steps = [step for step in own.pipeline if step.type == "LoadAnnotations"]
    assert (own.reduce_zero_label, steps[0].reduce_zero_label) == (False, False)
    kept = patch(ade, ["wall", "tree"]).config.train_dataloader.dataset
    steps = [step for step in kept.pipeline if step.type == "LoadAnnotations"]
    assert (kept.type, steps[0].reduce_zero_label) == ("ADE20KDataset", True)
    asked = patch(ade, ["weed", "crop"], reduce_zero_label=True).config.train_dataloader.dataset
    assert asked.reduce_zero_label is True


def test_test_files_that_are_those_of_validation_stay_so() -> None:
    planned = patch(
        PSPNET, ["a", "b"], data_root="d", img_dir="images/{split}", ann_dir="gt/{split}"
    )
    config = planned.config
    prefixes = [config[f"{s}_dataloader"].dataset.data_prefix for s in ("train", "val", "test")]
    assert [p.img_path for p in prefixes] == ["images/train", "images/val", "images/val"]
    assert [p.seg_map_path for p in prefixes] == ["gt/train", "gt/val", "gt/val"]


def test_third_party_parts_are_read_from_what_the_config_shows(tmp_path: Path) -> None:
    config = tmp_path / "mine.py"
    config.write_text(
        "custom_imports = dict(imports=['no_such_module'], allow_failed_imports=False)\n"
        "model = dict(type='MySegmentor', inner=dict(\n"
        "    decode_head=dict(type='mypkg.MyHead', num_classes=5,\n"
        "        loss_decode=[dict(type='MyLoss', class_weight=[1, 2, 3, 4, 5])]),\n"
        "    backbone=dict(type='Net', num_classes=1000)))\n"
        "train_dataloader = dict(dataset=dict(type='MyDataset', data_root='d'))\n"
    )
    report = check(config)
    assert report.diagnostics == ()
    assert "MyDataset are not known here" in report.notes[0]
    planned = patch(config, ["a", "b"])
    planned.write(tmp_path / "mine_fixed.py")
    after = load(tmp_path / "mine_fixed.py").tree
    assert lookup(after, ("model", "inner", "decode_head", "num_classes")) == 2
    assert lookup(after, ("model", "inner", "backbone", "num_classes")) == 1000
    assert (
        lookup(after, ("model", "inner", "decode_head", "loss_decode", 0, "class_weight")) is None
    )
    assert after["custom_imports"]["imports"] == ["no_such_module", "mmseg_fixkit"]
    assert after["train_dataloader"]["dataset"]["type"] == "MyDataset"


def test_a_failed_proof_writes_nothing(tmp_path: Path) -> None:
    # This config is another one each time it is read: what was planned cannot be proved.
    config = tmp_path / "moving.py"
    config.write_text(
        "model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=19))\n"
        "now = __import__('time').time_ns()\n"
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', seed=now))\n"
    )
    with pytest.raises(FixkitError, match=r"was not written: loaded again, now is"):
        patch(config, ["a", "b"]).write(tmp_path / "out.py")
    assert {p.name for p in tmp_path.iterdir()} == {"moving.py"}


def test_a_config_made_in_python_can_be_written_flat(tmp_path: Path) -> None:
    config = Config(plain(Config.fromfile(str(zoo_path(PSPNET)))._cfg_dict))
    planned = patch(config, ["a", "b"])
    with pytest.raises(FixkitError, match="made in Python"):
        planned.write(tmp_path / "overlay.py")
    planned.write(tmp_path / "flat.py", mode="flat")
    text = (tmp_path / "flat.py").read_text()
    assert "_base_" not in text
    assert same(load(tmp_path / "flat.py").tree, planned.plan.after)


def test_the_base_is_named_so_that_it_is_found_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    base = tmp_path / "base.py"
    base.write_text("model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=19))\n")
    planned = patch(base, ["a", "b"])
    planned.write(tmp_path / "deep" / "er" / "out.py")
    text = (tmp_path / "deep" / "er" / "out.py").read_text()
    assert "_base_ = '../../base.py'" in text
    zoo = patch(PSPNET, ["a", "b"])
    zoo.write(tmp_path / "zoo.py")
    first = re.search(r"_base_ = '(.*)'", (tmp_path / "zoo.py").read_text())
    assert first is not None
    assert first.group(1) == PSPNET or Path(first.group(1)).is_file()


@pytest.mark.parametrize("name", ["base with space.py", "ünïcode.py", "a.b.c.py", "1-2.py"])
def test_odd_file_names(name: str, tmp_path: Path) -> None:
    config = tmp_path / name
    config.write_text("model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=19))\n")
    out = tmp_path / f"out {name}"
    patch(config, ["a", "b"]).write(out)
    assert load(out).tree["model"]["decode_head"]["num_classes"] == 2


def test_colours_that_are_asked_for_replace_those_that_fit(tmp_path: Path) -> None:
    config = tmp_path / "c.py"
    config.write_text(
        "model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=2))\n"
        "meta = dict(classes=('a', 'b'), palette=[[1, 1, 1], [2, 2, 2]])\n"
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=meta))\n"
    )
    assert patch(config, ["a", "b"], guards=False).plan.empty
    planned = patch(config, ["a", "b"], palette=[(9, 9, 9), (8, 8, 8)], guards=False)
    assert planned.config.train_dataloader.dataset.metainfo.palette == [[9, 9, 9], [8, 8, 8]]
    one = patch(config, ["a"], palette=[(9, 9, 9)], guards=False)
    assert one.config.train_dataloader.dataset.metainfo.palette == [[0, 0, 0], [9, 9, 9]]


def test_labels_can_be_given_to_check() -> None:
    report = check(PSPNET, LabelSpace(("a", "b")))
    assert {"MSF101", "MSF201"} <= {d.code for d in report.diagnostics}
    assert all(
        "your label space has" in d.message for d in report.diagnostics if d.code == "MSF101"
    )


def test_custom_modules_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "side_effect.py").write_text("open('imported', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "c.py"
    config.write_text(
        "custom_imports = dict(imports='side_effect')\n"
        "model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=19))\n"
    )
    patch(config, ["a", "b"]).write(tmp_path / "out.py")
    assert not (tmp_path / "imported").exists()


def test_the_guards_can_be_inherited(tmp_path: Path) -> None:
    guards = CONFIGS / "_base_" / "guards.py"
    config = tmp_path / "mine.py"
    config.write_text(
        f"_base_ = [{str(guards)!r}]\n"
        "model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=2))\n"
        "train_dataloader = dict(\n"
        "    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('a', 'b'))))\n"
    )
    assert patch(config).plan.empty, "nothing of the guards is missing"
    hooks = Config.fromfile(str(config)).custom_hooks
    assert [hook.type for hook in hooks] == ["ClassCountHook", "HeadAdaptHook", "LossSanityHook"]
