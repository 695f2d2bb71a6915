"""Configs of PaddleSeg: what is found in them, and that a change touches nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from mmseg_fixkit import FixkitError, check
from mmseg_fixkit.apis.paddleseg import patch_paddleseg
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.paddleseg import is_paddleseg, read

BASE = """\
batch_size: 4   # for one card
iters: 1000

train_dataset:
  type: Dataset
  dataset_root: data/vessels
  train_path: data/vessels/train.txt
  num_classes: 2  # vessel, tumour
  transforms:
    - type: ResizeStepScaling
      min_scale_factor: 0.5
    # crops are small
    - type: RandomPaddingCrop
      crop_size: [256, 256]
    - type: Normalize
  mode: train

val_dataset:
  type: Dataset
  dataset_root: data/vessels
  val_path: data/vessels/val.txt
  num_classes: 2
  transforms:
  - type: Normalize
  mode: val

loss:
  types:
    - type: MixedLoss
      losses:
        - type: BCELoss
        - type: LovaszHingeLoss
      coef: [0.5, 0.5]
  coef: [1]

model:
  type: PPLiteSeg
  num_classes: 2
"""

CHILD = """\
_base_: 'base.yml'

iters: 80000
model:
  type: DeepLabV3
  num_classes: 2   # of the backbone's features
  backbone: {type: ResNet50_vd, output_stride: 8}
"""

SOFTMAX = """\
train_dataset:
  type: Dataset
  num_classes: 19
  transforms: [{type: Resize, target_size: [512, 512]}, {type: Normalize}]
val_dataset:
  type: Dataset
  num_classes: 19
  transforms: [{type: Normalize}]
loss:
  types: [{type: CrossEntropyLoss}]
  coef: [1, 0.4]
model:
  type: PSPNet
  num_classes: 19
"""


def write(folder: Path, text: str = BASE, name: str = "x.yml") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def codes(report: Any) -> list[str]:
    return [d.code for d in report.diagnostics]


def lines_changed(before: str, after: str) -> set[str]:
    return set(after.splitlines()) ^ set(before.splitlines())


def test_two_labels_get_three_channels_and_every_other_line_stays(tmp_path: Path) -> None:
    patched = patch_paddleseg(str(write(tmp_path)), 2)
    assert lines_changed(BASE, patched.text) == {
        "  num_classes: 2  # vessel, tumour",
        "  num_classes: 3  # vessel, tumour",
        "  num_classes: 2",
        "  num_classes: 3",
        "    - type: AddMultiLabelAuxiliaryCategory",
        "  - type: AddMultiLabelAuxiliaryCategory",
    }
    tree = yaml.safe_load(patched.text)
    for dataset in ("train_dataset", "val_dataset"):
        assert tree[dataset]["transforms"][0] == {"type": "AddMultiLabelAuxiliaryCategory"}
    assert patched.remaining == ()


def test_a_second_patch_has_nothing_to_do(tmp_path: Path) -> None:
    path = write(tmp_path, patch_paddleseg(str(write(tmp_path)), 2).text, "y.yml")
    again = patch_paddleseg(str(path), 2)
    assert (again.applied, again.text) == ((), path.read_text())
    assert codes(check(path)) == []


def test_what_is_inherited_is_overridden_in_the_config_itself(tmp_path: Path) -> None:
    base = write(tmp_path, BASE, "base.yml")
    patched = patch_paddleseg(str(write(tmp_path, CHILD)), 2)
    out = tmp_path / "y.yml"
    assert patched.write(out)
    config = read(out)
    assert set(config.counts.values()) == {3}
    assert [s["type"] for s in config.transforms("train_dataset")] == [
        "AddMultiLabelAuxiliaryCategory",
        "ResizeStepScaling",
        "RandomPaddingCrop",
        "Normalize",
    ]
    assert base.read_text() == BASE
    assert "  num_classes: 3   # of the backbone's features\n" in out.read_text()
    assert config.tree["train_dataset"]["dataset_root"] == "data/vessels"
    assert codes(check(out)) == []


def test_a_config_of_one_label_a_pixel_gets_its_classes(tmp_path: Path) -> None:
    patched = patch_paddleseg(str(write(tmp_path, SOFTMAX)), 5)
    assert patched.text == SOFTMAX.replace("19", "5")


def test_a_config_of_one_label_becomes_one_of_several_when_asked(tmp_path: Path) -> None:
    patched = patch_paddleseg(str(write(tmp_path, SOFTMAX)), 5, multilabel=True)
    tree = yaml.safe_load(patched.text)
    assert tree["model"]["num_classes"] == 6
    assert [s["type"] for s in tree["train_dataset"]["transforms"]] == [
        "AddMultiLabelAuxiliaryCategory",
        "Resize",
        "Normalize",
    ]
    assert tree["loss"]["types"] == [
        {
            "type": "MixedLoss",
            "losses": [{"type": "BCELoss"}, {"type": "LovaszHingeLoss"}],
            "coef": [0.5, 0.5],
        }
    ]
    assert patched.remaining == ()


def test_without_classes_the_training_data_says_how_many_labels(tmp_path: Path) -> None:
    patched = patch_paddleseg(str(write(tmp_path)))
    assert "num_classes: 3" in patched.text
    assert patched.notes == ("2 labels, as train_dataset.num_classes says, need 3 channels",)


def test_without_training_data_the_model_says_how_many_classes(tmp_path: Path) -> None:
    alone = SOFTMAX[SOFTMAX.index("val_dataset") :].replace("num_classes: 19", "num_classes: 5", 1)
    patched = patch_paddleseg(str(write(tmp_path, alone)))
    assert "num_classes: 5" not in patched.text
    assert patched.text.count("num_classes: 19") == 2


CASES = {
    "two channels with LovaszHinge": (BASE, ["MSF652", "MSF652", "MSF653"]),
    "transform in one list": (
        BASE.replace("- type: ResizeStepScaling", "- type: AddMultiLabelAuxiliaryCategory").replace(
            "      min_scale_factor: 0.5\n", ""
        ),
        ["MSF652", "MSF653"],
    ),
    "transform not first": (
        BASE.replace("num_classes: 2", "num_classes: 3")
        .replace("- type: Normalize", "- type: Normalize\n  - type: AddMultiLabelAuxiliaryCategory")
        .replace("\n  - type: AddMultiLabelAuxiliaryCategory\n  mode: train", "\n  mode: train"),
        ["MSF652", "MSF652"],
    ),
    "counts differ": (SOFTMAX.replace("19", "7", 1), ["MSF651", "MSF651"]),
    "a model takes the count of its data": (
        SOFTMAX.replace("  type: PSPNet\n  num_classes: 19\n", "  type: PSPNet\n"),
        [],
    ),
    "one label a pixel": (SOFTMAX, []),
    "a softmax beside the transform": (
        SOFTMAX.replace("transforms: [", "transforms: [{type: AddMultiLabelAuxiliaryCategory}, "),
        ["MSF654"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=list(CASES))
def test_findings(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert codes(check(write(tmp_path, text))) == expected


def test_a_transform_that_stands_later_is_moved(tmp_path: Path) -> None:
    text = CASES["transform not first"][0]
    patched = patch_paddleseg(str(write(tmp_path, text)), 2)
    steps = yaml.safe_load(patched.text)["val_dataset"]["transforms"]
    assert [s["type"] for s in steps] == ["AddMultiLabelAuxiliaryCategory", "Normalize"]


def test_findings_say_where(tmp_path: Path) -> None:
    report = check(write(tmp_path))
    assert [d.location.line for d in report.diagnostics if d.location] == [9, 23, 32]


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    patched = patch_paddleseg(str(write(tmp_path, BASE.replace("\n", "\r\n"))), 2)
    assert patched.text.count("\n") == patched.text.count("\r\n") == BASE.count("\n") + 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train_dataset: [", "is not YAML"),
        ("- a\n- b\n", "is list, but a config is a mapping"),
        ("_base_: x.yml\nloss: {}\n", "inherits from itself"),
        ("_base_: gone.yml\nloss: {}\n", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(FixkitError, match=said):
        read(path)
    assert not is_paddleseg(str(path))


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_the_commands(tmp_path: Path) -> None:
    path = write(tmp_path)
    found = run("check", str(path), "--output-format", "json")
    assert {d["code"] for d in json.loads(found.stdout)} == {"MSF652", "MSF653"}
    assert found.exit_code == 1
    diff = run("patch", str(path), "--classes", "vessel,tumour", "--diff")
    assert diff.exit_code == 1
    assert "+    - type: AddMultiLabelAuxiliaryCategory" in diff.stdout
    done = run("patch", str(path), "--classes", "vessel,tumour")
    assert done.exit_code == 0, done.output
    assert "model.num_classes: 2 -> 3" in done.stdout
    assert f"wrote {tmp_path / 'x_fixed.yml'}" in done.stdout
    assert path.read_text() == BASE
    assert run("check", str(tmp_path / "x_fixed.yml")).exit_code == 0
    again = run("patch", str(path), "--classes", "vessel,tumour")
    assert "is up to date" in again.stdout
    there = run("patch", str(path), "--classes", "a,b,c")
    assert isinstance(there.exception, FixkitError)
    assert "exists already" in str(there.exception)


def test_in_place_and_options_that_mean_nothing(tmp_path: Path) -> None:
    path = write(tmp_path)
    odd = run("patch", str(path), "--num-classes", "2", "--class-weight", "none")
    assert "--class-weight is for MMSegmentation configs" in str(odd.exception)
    assert run("patch", str(path), "--num-classes", "2", "--in-place").exit_code == 0
    assert codes(check(path)) == []


def test_another_folder_would_lose_what_is_inherited(tmp_path: Path) -> None:
    write(tmp_path, BASE, "base.yml")
    (tmp_path / "out").mkdir()
    patched = patch_paddleseg(str(write(tmp_path, CHILD)), 2)
    with pytest.raises(FixkitError, match="would not find what"):
        patched.write(tmp_path / "out" / "x.yml")


@pytest.mark.parametrize("null", ["", " null", " ~", " # to do"])
def test_a_part_that_is_null_is_written(null: str, tmp_path: Path) -> None:
    text = f"iters: 9\nmodel:{null}\ntrain_dataset: {{type: Dataset, num_classes: 2}}\n"
    planned = patch_paddleseg(str(write(tmp_path, text)), 3)
    assert yaml.safe_load(planned.text)["model"] == {"num_classes": 3}
    assert planned.text.endswith("num_classes: 3}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loss: {}\nmodel: [1]\n", r"model is \[1\], but PaddleSeg needs a mapping"),
        ("loss: {types: 5}\n", "loss.types is 5, but PaddleSeg needs a list"),
        ("train_dataset: {num_classes: '2'}\n", "num_classes is '2', .* a whole number"),
        ("train_dataset: {num_classes: true}\n", "num_classes is True, .* a whole number"),
        ("val_dataset: {transforms: {type: X}}\n", "transforms is .* a list"),
    ],
)
def test_a_part_of_another_type_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    for use in (check, lambda p: patch_paddleseg(str(p), 3)):
        with pytest.raises(FixkitError, match=said):
            use(path)


def test_a_ring_of_files_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "_base_: b.yml\nloss: {}\n", "a.yml")
    write(tmp_path, "_base_: a.yml\nloss: {}\n", "b.yml")
    with pytest.raises(FixkitError, match=r"in a ring: .*a\.yml -> .*b\.yml -> .*a\.yml"):
        patch_paddleseg(str(path), 3)


@pytest.mark.parametrize("base", ["5", "[gone.yml]", "{a: b}", "[[a.yml]]"])
def test_a_base_that_is_no_file(base: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"_base_: {base}\nloss: {{}}\n")
    with pytest.raises(FixkitError, match="cannot be read"):
        patch_paddleseg(str(path), 3)
    with pytest.raises(FixkitError, match=path.name):
        check(path)


def test_each_loss_of_a_multi_label_config_is_looked_at(tmp_path: Path) -> None:
    types = "types: [{type: BCELoss}, {type: CrossEntropyLoss}, {type: LovaszHingeLoss}, {type: X}]"
    text = (
        BASE[: BASE.index("loss:")]
        + f"loss:\n  {types}\n  coef: [1, 1, 1, 1]\nmodel: {{type: A}}\n"
    )
    found = patch_paddleseg(str(write(tmp_path, text)), 2, multilabel=True)
    losses = [d.found for d in (*found.applied, *found.remaining) if d.code == "MSF654"]
    assert losses == ["CrossEntropyLoss", "X"]
