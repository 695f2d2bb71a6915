"""Configs as people really have them: each is checked, patched, written and read by MMEngine."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import pytest
import torch
from mmengine.config import Config
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from torch import nn

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.config import host
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.tree import plain
from mmseg_fixkit.hooks.built_classes import Split, check_classes

MODEL = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=19),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=19)])
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
"""

#: What the classes of every config here are changed to.
NAMES = ("weed", "crop")


def put(folder: Path, text: str, name: str = "config.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def counts(config: Any) -> list[Any]:
    """Return the class count of every head, outer before inner."""
    return [head.num_classes for head in load(config).class_heads]


def patched(path: Path, output: Optional[Path] = None, **options: Any) -> Config:
    """Patch a config to two classes, write the overlay and a flat file, and read both."""
    planned = patch(path, NAMES, guards=False, **options)
    overlay = output or path.parent / "own_classes.py"
    assert planned.write(overlay)
    assert patch(overlay, NAMES, guards=False).plan.empty
    config = Config.fromfile(str(overlay), import_custom_modules=False)
    flat = overlay.with_name("flat.py")
    assert planned.write(flat, mode="flat")
    read = Config.fromfile(str(flat), import_custom_modules=False)
    assert plain(read._cfg_dict) == planned.plan.after
    assert all(config[name] == value for name, value in read.items())
    assert set(counts(overlay)) == {2}
    assert check(overlay).diagnostics == ()
    return config


def codes(path: Any) -> list[str]:
    return [d.code for d in check(path).diagnostics]


# What a config inherits from ------------------------------------------------------------------


@pytest.mark.parametrize("base", ["'base.py'", "'./base.py'", "['base.py']"])
def test_a_base_as_text_or_list(base: str, tmp_path: Path) -> None:
    put(tmp_path, MODEL, "base.py")
    path = put(tmp_path, f"_base_ = {base}\n")
    assert codes(path) == ["MSF101", "MSF101"]
    patched(path)


def test_a_base_as_a_tuple_is_refused_in_one_sentence_as_mmengine_does(tmp_path: Path) -> None:
    put(tmp_path, MODEL, "base.py")
    path = put(tmp_path, "_base_ = ('./base.py',)\n")
    with pytest.raises(TypeError):
        Config.fromfile(str(path))
    with pytest.raises(FixkitError, match="not 'tuple'"):
        check(path)


def test_several_bases_and_a_chain_of_them(tmp_path: Path) -> None:
    model, data = MODEL.split("train_dataloader")
    put(tmp_path, model, "_base_/models/fcn.py")
    put(tmp_path, f"train_dataloader{data}", "_base_/datasets/own.py")
    put(tmp_path, "_base_ = ['./_base_/models/fcn.py', './_base_/datasets/own.py']\n", "mid.py")
    path = put(tmp_path, "_base_ = '../mid.py'\n", "own/config.py")
    assert check(path).diagnostics[0].location.file.endswith("fcn.py")
    patched(path, tmp_path / "elsewhere.py")


def test_a_base_in_an_installed_package(tmp_path: Path) -> None:
    name = "mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py"
    path = put(tmp_path, f"_base_ = '{name}'\n")
    if not host.reads_zoo_names():
        with pytest.raises(FixkitError, match=r"config\.py") as caught:
            check(path)
        assert "\n" not in str(caught.value)
        return
    config = patched_zoo(path)
    heads = config.model.auxiliary_head
    # The boundary head is left alone.
    assert [(head.type, head.num_classes) for head in heads][-1] == ("STDCHead", 2)
    assert {head.num_classes for head in heads[:-1]} == {2}


def patched_zoo(path: Path) -> Config:
    planned = patch(path, NAMES, guards=False)
    assert planned.write(path.parent / "own_classes.py")
    return Config.fromfile(str(path.parent / "own_classes.py"))


def test_variables_of_the_base_and_of_the_file(tmp_path: Path) -> None:
    put(tmp_path, f"count = 19\nname = 'x'\n{MODEL}", "base.py")
    text = """
_base_ = 'base.py'
head = dict(num_classes={{_base_.count}}, channels=8)
model = dict(decode_head={{_base_.model.decode_head}})
work_dir = '{{fileDirname}}/{{fileBasenameNoExtension}}'
"""
    path = put(tmp_path, text)
    config = patched(path)
    assert config.model.decode_head.num_classes == 2
    # A variable that no head reads is not touched.
    assert config.head.num_classes == 19


def test_weights_computed_from_a_variable_of_the_base(tmp_path: Path) -> None:
    text = """
num_classes = 3
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead', num_classes=num_classes, out_channels=256,
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss', class_weight=[1.0] * num_classes + [0.1])))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
"""
    put(tmp_path, text, "base.py")
    path = put(tmp_path, "_base_ = 'base.py'\nnum_classes = 2\n")
    assert codes(path) == []
    config = patched(path)
    assert config.model.decode_head.loss_cls.class_weight == [1.0, 1.0, 0.1]


def test_a_list_that_the_child_replaces(tmp_path: Path) -> None:
    put(tmp_path, MODEL, "base.py")
    text = """
_base_ = 'base.py'
model = dict(
    decode_head=dict(num_classes=3),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=3),
        dict(type='FCNHead', in_channels=16, channels=16, num_classes=4)])
"""
    path = put(tmp_path, text)
    (found,) = check(path).diagnostics
    assert found.key == ("model", "auxiliary_head", 1, "num_classes")
    assert found.location.line == 7
    assert len(patched(path).model.auxiliary_head) == 2


def test_a_part_that_the_child_deletes(tmp_path: Path) -> None:
    put(tmp_path, MODEL, "base.py")
    text = """
_base_ = 'base.py'
model = dict(
    decode_head=dict(_delete_=True, type='PSPHead', in_channels=64, channels=16, num_classes=19),
    auxiliary_head=None)
"""
    config = patched(put(tmp_path, text))
    assert config.model.decode_head.type == "PSPHead"
    assert config.model.auxiliary_head is None


# What a config runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "imports",
    [
        "dict(imports='not.there', allow_failed_imports=False)",
        "dict(imports=['not.there'])",
        "dict(imports=('not.there', 'nor.this'))",
    ],
)
@pytest.mark.parametrize("guards", [False, True])
def test_modules_that_cannot_be_imported_here(imports: str, guards: bool, tmp_path: Path) -> None:
    path = put(tmp_path, f"custom_imports = {imports}\n{MODEL}")
    patched(path)
    planned = patch(path, NAMES, guards=guards)
    planned.write(tmp_path / "again.py", overwrite=True)
    config = Config.fromfile(str(tmp_path / "again.py"), import_custom_modules=False)
    named = config.custom_imports.imports
    assert "not.there" in named
    assert ("mmseg_fixkit" in named) is guards


def test_types_that_nobody_has_here(tmp_path: Path) -> None:
    text = """
custom_imports = dict(imports=['theirs'])
model = dict(
    type='theirs.Segmentor',
    backbone=dict(type='InternImage', num_classes=1000),
    decode_head=dict(type='theirs.UPerHeadXL', num_classes=19, loss_decode=dict(type='TheirLoss')),
    auxiliary_heads=[dict(type='AuxHead', n_classes=19), dict(type='EdgeHead', num_classes=1)])
train_dataloader = dict(dataset=dict(type='TheirDataset', data_root='data'))
"""
    path = put(tmp_path, text)
    report = check(path)
    assert report.diagnostics == ()
    assert "theirs" not in report.notes[0]
    assert "TheirDataset are not known here" in report.notes[0]
    config = patch(path, NAMES, guards=False).config
    assert config.model.backbone.num_classes == 1000
    assert config.model.decode_head.num_classes == 2
    assert config.model.auxiliary_heads[0].n_classes == 2
    assert "num_classes" not in config.model.auxiliary_heads[0]
    assert config.model.auxiliary_heads[1].num_classes == 1


def test_a_config_that_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path, f"print('hello')\n{MODEL}")
    patched(path)
    assert "hello" in capsys.readouterr().out


def test_a_config_that_reads_a_file_beside_it(tmp_path: Path) -> None:
    put(tmp_path, "road\ncar\nsky\n", "classes.txt")
    text = MODEL.replace("('road', 'car', 'sky')", "classes")
    head = "classes = tuple(open('{{fileDirname}}/classes.txt').read().split())\n"
    path = put(tmp_path, head + text)
    assert check(path).labels.classes == ("road", "car", "sky")
    patched(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("raise ValueError('no GPU')", "ValueError: no GPU"),
        ("x = (", "is not a Python config: line 1"),
        ("open('not/there.txt')", "names a base or another file that is not there"),
    ],
)
def test_a_config_that_fails_when_it_runs(line: str, words: str, tmp_path: Path) -> None:
    path = put(tmp_path, f"{line}\n{MODEL}")
    with pytest.raises(FixkitError, match=r"config\.py") as caught:
        check(path)
    assert words in str(caught.value)


# Where a config stands ---------------------------------------------------------------------------

PLAIN_NAMES = [
    "my config.py",
    "it's.py",
    "modèle-日本.py",
    "3rd.py",
    "a$b.py",
    "a{b}.py",
    "a%20b.py",
]


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_odd_file_names(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, MODEL, name)
    assert codes(path) == ["MSF101", "MSF101"]
    patched(path)


@pytest.mark.parametrize(
    "name", ["my base.py", "it's.py", "modèle.py", "3rd.py", "a$b.py", ".b.py"]
)
def test_odd_names_of_bases_and_of_folders(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "their {folder} isn't $HOME"
    put(folder, MODEL, name)
    path = put(folder, f"_base_ = {name!r}\n")
    assert codes(path) == ["MSF101", "MSF101"]
    patched(path)


def test_a_dot_in_a_file_name_is_said_in_one_sentence(tmp_path: Path) -> None:
    path = put(tmp_path, MODEL, "lr0.01.py")
    try:
        Config.fromfile(str(path))
    except Exception:
        with pytest.raises(FixkitError, match=r"lr0\.01\.py"):
            check(path)
    else:
        patched(path)


def test_a_link_to_a_config_is_read_in_its_own_folder(tmp_path: Path) -> None:
    put(tmp_path, MODEL, "real/base.py")
    path = put(tmp_path, "_base_ = './base.py'\n", "real/config.py")
    link = tmp_path / "links" / "config.py"
    link.parent.mkdir()
    link.symlink_to(path)
    try:
        Config.fromfile(str(link))
    except FileNotFoundError:  # MMEngine looks beside the link
        with pytest.raises(FixkitError, match="not there"):
            check(link)
    link.unlink()
    link.symlink_to(tmp_path / "real" / "base.py")
    patched(link)


def test_a_linked_folder(tmp_path: Path) -> None:
    put(tmp_path, MODEL, "real/base.py")
    path = put(tmp_path, "_base_ = '../base.py'\n", "real/own/config.py")
    link = tmp_path / "linked"
    link.symlink_to(path.parent, target_is_directory=True)
    assert codes(path) == ["MSF101", "MSF101"]
    patched(path, tmp_path / "outside.py")


def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    path = put(tmp_path, MODEL, "locked/config.py")
    path.parent.chmod(0o500)
    if os.access(path.parent, os.W_OK):
        pytest.skip("root writes everywhere")
    try:
        with pytest.raises(FixkitError, match="cannot be written: Permission denied"):
            patch(path, NAMES).write(path.parent / "own.py")
        patched(path, tmp_path / "own.py")
    finally:
        path.parent.chmod(0o700)


def test_an_output_where_no_file_can_be(tmp_path: Path) -> None:
    planned = patch(put(tmp_path, MODEL), NAMES)
    with pytest.raises(FixkitError, match="there is no folder"):
        planned.write(tmp_path / "not" / "there.py")
    (tmp_path / "file").touch()
    with pytest.raises(FixkitError, match="cannot be written"):
        planned.write(tmp_path / "file" / "own.py")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.py", "file"]


def test_a_config_made_in_python(tmp_path: Path) -> None:
    tree: dict[str, Any] = {}
    exec(MODEL, tree)
    config = Config({"model": tree["model"], "train_dataloader": tree["train_dataloader"]})
    before = plain(config._cfg_dict)
    assert codes(config) == ["MSF101", "MSF101"]
    assert check(config).diagnostics[0].location is None
    planned = patch(config, NAMES, guards=False)
    assert "-        num_classes=19)" in planned.diff() or "num_classes" in planned.diff()
    assert set(counts(planned.config)) == {2}
    with pytest.raises(FixkitError, match="use flat"):
        planned.write(tmp_path / "own.py")
    assert planned.write(tmp_path / "flat.py", mode="flat")
    assert set(counts(tmp_path / "flat.py")) == {2}
    assert plain(config._cfg_dict) == before


# What a model is made of -------------------------------------------------------------------------

DATA = """
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
"""


@pytest.mark.parametrize("outer", ["segmentor", "model", "architecture", "student"])
def test_a_model_inside_another(outer: str, tmp_path: Path) -> None:
    text = f"""
model = dict(
    type='Wrapper',
    {outer}=dict(
        type='EncoderDecoder',
        backbone=dict(type='ResNet', depth=50, num_classes=1000),
        decode_head=[
            dict(type='FCNHead', num_classes=19), dict(type='OCRHead', num_classes=19)]))
"""
    path = put(tmp_path, text + DATA)
    assert codes(path) == ["MSF101", "MSF101"]
    assert patched(path).model[outer].backbone.num_classes == 1000


def test_teacher_and_student(tmp_path: Path) -> None:
    text = """
segmentor = dict(type='EncoderDecoder', decode_head=dict(type='PSPHead', num_classes=19))
model = dict(
    type='Distiller', teacher=dict(cfg=segmentor), student=segmentor,
    train_cfg=dict(num_classes=19))
"""
    path = put(tmp_path, text + DATA)
    assert codes(path) == ["MSF101", "MSF101", "MSF101"]
    assert patched(path).model.train_cfg.num_classes == 2


@pytest.mark.parametrize("key", ["seg_head", "aux_heads", "head", "decoder", "mask_head"])
def test_heads_under_other_names(key: str, tmp_path: Path) -> None:
    text = f"model = dict(type='Theirs', {key}=dict(type='TheirHead', num_classes=19))\n"
    path = put(tmp_path, text + DATA)
    assert codes(path) == ["MSF101"]
    patched(path)


def test_a_model_that_counts_its_classes_itself(tmp_path: Path) -> None:
    path = put(tmp_path, "model = dict(type='TheirNet', num_classes=19, out_channels=64)\n" + DATA)
    assert codes(path) == ["MSF101"]
    assert patched(path).model.out_channels == 64


def test_a_head_that_shows_no_count_is_set_but_not_complained_of(tmp_path: Path) -> None:
    text = """
model = dict(
    type='Theirs', projection_head=dict(type='ProjectionHead', dim=64),
    decode_head=dict(type='TheirHead', channels=8))
"""
    path = put(tmp_path, text + DATA)
    assert codes(path) == []
    config = patch(path, NAMES, guards=False).config
    assert config.model.decode_head.num_classes == 2
    assert "num_classes" not in config.model.projection_head


def test_a_head_of_mmdet_before_mmseg_had_one(tmp_path: Path) -> None:
    """As ViT-Adapter and InternImage have it: things, stuff, and weights for "no object"."""
    text = """
num_things_classes = 100
num_stuff_classes = 50
num_classes = 150
model = dict(
    type='EncoderDecoderMask2FormerAug',
    backbone=dict(type='BEiTAdapter'),
    decode_head=dict(
        type='TheirMask2FormerHead',
        in_channels=[256, 512, 1024, 2048], feat_channels=256, out_channels=256,
        in_index=[0, 1, 2, 3],
        num_things_classes=num_things_classes, num_stuff_classes=num_stuff_classes,
        num_queries=100,
        pixel_decoder=dict(type='MSDeformAttnPixelDecoder', num_outs=3),
        loss_cls=dict(
            type='CrossEntropyLoss', use_sigmoid=False, loss_weight=2.0, reduction='mean',
            class_weight=[1.0] * num_classes + [0.1]),
        loss_mask=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=5.0)),
    panoptic_fusion_head=dict(
        type='MaskFormerFusionHead', num_things_classes=num_things_classes,
        num_stuff_classes=num_stuff_classes),
    train_cfg=dict(num_points=12544, assigner=dict(type='MaskHungarianAssigner')))
"""
    config = patched(put(tmp_path, text + DATA), class_weight="0.5,2")
    head = config.model.decode_head
    assert (head.num_things_classes, head.num_stuff_classes) == (2, 0)
    assert "num_classes" not in head
    assert head.out_channels == 256
    assert head.loss_cls.class_weight == [0.5, 2.0, 0.1]
    fusion = config.model.panoptic_fusion_head
    assert (fusion.num_things_classes, fusion.num_stuff_classes) == (2, 0)


def test_a_query_head_on_a_foundation_model(tmp_path: Path) -> None:
    """As Rein has it: a head of its own over mmseg's, and one weight short."""
    text = """
model = dict(
    type='FrozenBackboneEncoderDecoder',
    backbone=dict(type='ReinsDinoVisionTransformer', reins_config=dict(type='LoRAReins')),
    decode_head=dict(
        type='ReinMask2FormerHead', num_classes=3, num_queries=100, out_channels=256,
        replace_query_feat=True,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0] * 3)))
"""
    path = put(tmp_path, text + DATA)
    (found,) = check(path).diagnostics
    assert found.code == "MSF102"
    assert found.expected == [1.0, 1.0, 1.0, 0.1]
    assert patched(path).model.decode_head.loss_cls.class_weight == [1.0, 1.0, 0.1]


def test_class_names_written_out_in_the_model(tmp_path: Path) -> None:
    """As DenseCLIP has them."""
    text = """
model = dict(
    type='DenseCLIP', class_names=['road', 'car', 'sky'],
    decode_head=dict(type='IdentityHead', channels=1, num_classes=3))
"""
    path = put(tmp_path, text + DATA)
    assert codes(path) == []
    assert patched(path).model.class_names == list(NAMES)


def test_a_loss_that_counts_classes(tmp_path: Path) -> None:
    text = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', num_classes=3, loss_decode=dict(type='TheirLoss', num_classes=19)))
"""
    path = put(tmp_path, text + DATA)
    assert codes(path) == ["MSF101"]
    assert patched(path).model.decode_head.loss_decode.num_classes == 2


def test_a_label_too_many_with_zero_label_reduction(tmp_path: Path) -> None:
    """Mmsegmentation #855: eight values in the files, seven names, the flag on."""
    names = tuple("abcdefg")
    text = f"""
model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=8))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', reduce_zero_label=True, metainfo=dict(classes={names!r})))
"""
    (found,) = check(put(tmp_path, text)).diagnostics
    assert (found.code, found.found, found.expected) == ("MSF101", 8, 7)


ADE_PART = "type='ADE20KDataset', metainfo=dict(classes=('wall', 'building'))"
OWN_REDUCED = "type='BaseSegDataset', reduce_zero_label=True, metainfo=dict(classes=('a', 'b'))"


@pytest.mark.parametrize("dataset", [ADE_PART, OWN_REDUCED])
def test_labels_marked_255_beside_a_head_that_ignores_another(dataset: str, tmp_path: Path) -> None:
    text = f"""
model = dict(
    type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=2, ignore_index=200))
train_dataloader = dict(dataset=dict(ignore_index=200, {dataset}))
"""
    assert codes(put(tmp_path, text)) == ["MSF305"]
    label = torch.tensor([[[0, 255]]])
    with pytest.raises(IndexError, match="Target 255 is out of bounds"):
        CrossEntropyLoss()(torch.zeros(1, 2, 1, 2), label, ignore_index=200)
    right = text.replace("200", "255")
    assert codes(put(tmp_path, right, "right.py")) == []


@pytest.mark.parametrize("label", [0, 1, 2])
def test_an_ignored_label_that_is_a_class(label: int, tmp_path: Path) -> None:
    path = put(tmp_path, MODEL.replace("num_classes=19", f"num_classes=3, ignore_index={label}"))
    found = check(path).diagnostics
    assert {d.code for d in found} == {"MSF304"}
    assert ("road", "car", "sky")[label] in found[0].message
    # Other classes, which are given: 255 is ignored, unless it is asked for otherwise.
    config = patch(path, NAMES, guards=False).config
    assert config.model.decode_head.ignore_index == 255
    asked = patch(path, NAMES, ignore_index=1, guards=False)
    assert asked.config.model.decode_head.ignore_index == 1
    assert {d.code for d in asked.plan.remaining} == {"MSF304"}


class TheirQueryHead(BaseDecodeHead):
    """As ViT-Adapter has it: on mmseg's base class, with N + 1 scores for each query."""

    num_queries = 4

    def __init__(self, num_classes: int, class_weight: list[float]) -> None:
        super().__init__(8, 8, num_classes=num_classes)
        self.loss_cls = CrossEntropyLoss(class_weight=class_weight)

    def forward(self, inputs: Any) -> Any:
        return inputs


@pytest.mark.parametrize(("count", "found"), [(3, ["MSF102"]), (4, [])])
def test_the_hook_knows_what_an_unknown_built_head_shows(count: int, found: list[str]) -> None:
    model = nn.Module()
    model.decode_head = TheirQueryHead(3, [1.0] * count)
    data = SimpleNamespace(metainfo={"classes": ("road", "car", "sky")})
    split = Split("train", ("train_dataloader", "dataset"), data)
    assert [d.code for d in check_classes(model, (split,))] == found
