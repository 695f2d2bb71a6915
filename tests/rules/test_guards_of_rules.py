"""What the page of a rule leaves out: for each of these a config on either side of the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import pytest

from mmseg_fixkit import check, patch
from mmseg_fixkit.core.diagnostics import Diagnostic, EditKind

SIGMOID = {"type": "CrossEntropyLoss", "use_sigmoid": True}


def found(path: Path, code: str) -> list[Diagnostic]:
    return [d for d in check(path).diagnostics if d.code == code]


# Two classes in one channel ---------------------------------------------------------------------


def binary(folder: Path, classes: tuple[str, ...] = ("soil", "weed"), **head: Any) -> Path:
    base = {"type": "FCNHead", "in_channels": 8, "channels": 8, "num_classes": 2, **head}
    path = folder / "config.py"
    dataset = {"type": "BaseSegDataset", "metainfo": {"classes": classes}}
    path.write_text(
        f"model = dict(type='EncoderDecoder', decode_head={base!r})\n"
        f"train_dataloader = dict(dataset={dataset!r})\n"
    )
    return path


def test_a_head_with_neither_threshold_nor_loss_has_a_finding_for_each(tmp_path: Path) -> None:
    path = binary(tmp_path, out_channels=1)
    (loss,), (threshold,) = found(path, "MSF109"), found(path, "MSF112")
    assert loss.fix is not None
    assert threshold.fix is not None
    assert [edit.key[-1] for edit in loss.fix.edits] == ["loss_decode"]
    assert loss.expected == {**SIGMOID, "loss_weight": 1.0}
    assert [edit.key[-1] for edit in threshold.fix.edits] == ["threshold"]
    config = patch(path, guards=False).config
    # Only the threshold that was in force is written out, not that of a new set-up.
    assert config.model.decode_head.threshold == 0.3


@pytest.mark.parametrize(
    ("head", "codes"),
    [
        ({"out_channels": 1, "threshold": 0.5}, ["MSF109"]),
        ({"out_channels": 1, "loss_decode": SIGMOID}, ["MSF112"]),
        ({"out_channels": 1, "threshold": 0.5, "loss_decode": SIGMOID}, []),
        ({}, []),
    ],
)
def test_each_part_alone(head: dict[str, Any], codes: list[str], tmp_path: Path) -> None:
    assert [d.code for d in check(binary(tmp_path, **head)).diagnostics] == codes


@pytest.mark.parametrize(
    ("classes", "head", "expected"),
    [
        (("soil", "weed"), {"threshold": 0.5}, 1),
        (("soil", "weed", "crop"), {"threshold": 0.5}, 1),
        (("weed",), {"threshold": 0.5}, 0),  # MSF108 speaks, and a patch adds the background
        (("soil", "weed"), {"threshold": 0.5, "num_classes": 1}, 0),
        (("soil", "weed"), {"threshold": 0.5, "type": "TheirHead"}, 0),
        (("soil", "weed"), {"threshold": None}, 0),
        (("soil", "weed"), {"threshold": 0.5, "type": "STDCHead"}, 0),
    ],
)
def test_a_threshold_without_use(
    classes: tuple[str, ...], head: dict[str, Any], expected: int, tmp_path: Path
) -> None:
    drops = [d for d in found(binary(tmp_path, classes, **head), "MSF112") if d.fix]
    assert [d.fix.edits[0].kind for d in drops if d.fix] == [EditKind.REMOVE] * expected


# How label files of two splits are read -----------------------------------------------------------


def splits(folder: Path, train: dict[str, Any], val: dict[str, Any]) -> Path:
    labels = ("person", "shadow")
    text = """
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
"""
    for name, arguments in {"train": train, "val": val}.items():
        loader = {"type": "LoadMultiLabelAnnotations", "labels": labels, **arguments}
        dataset = {"type": "BaseSegDataset", "metainfo": {"classes": labels}, "pipeline": [loader]}
        text += f"{name}_dataloader = dict(dataset={dataset!r})\n"
    path = folder / "config.py"
    path.write_text(text)
    return path


FILES = {"label_format": "files"}

DIFFERENT: list[tuple[str, dict[str, Any], dict[str, Any], Optional[dict[str, Any]]]] = [
    ("label_format", {"label_format": "planes"}, {}, {"label_format": "planes"}),
    ("file_pattern", FILES, {**FILES, "file_pattern": "{label}/{stem}.png"},
     {"file_pattern": "{stem}.{label}.png"}),
    ("values", {**FILES, "values": 1}, {**FILES, "values": 255}, {"label_values": 1}),
    ("missing_ok", {**FILES, "missing_ok": True}, FILES, None),
    ("missing_ok", FILES, {**FILES, "missing_ok": True}, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "train", "val", "option"), DIFFERENT)
def test_splits_that_are_read_in_two_ways_and_the_option_that_helps(
    name: str,
    train: dict[str, Any],
    val: dict[str, Any],
    option: Optional[dict[str, Any]],
    tmp_path: Path,
) -> None:
    path = splits(tmp_path, train, val)
    (finding,) = found(path, "MSF618")
    assert finding.key[-1] == name
    assert finding.found == val.get(name, finding.found)
    if option is None:
        assert "--" not in finding.message
        assert "write the same in all splits" in finding.message
        return
    (argument,) = option
    assert f"`--{argument.replace('_', '-')}` of `mmseg-fix patch`" in finding.message
    helped = patch(path, guards=False, **option)
    assert "MSF618" not in [d.code for d in helped.plan.remaining]


@pytest.mark.parametrize("both", [{}, FILES, {**FILES, "missing_ok": True}, {"values": "auto"}])
def test_splits_that_are_read_in_one_way(both: dict[str, Any], tmp_path: Path) -> None:
    assert found(splits(tmp_path, both, dict(both)), "MSF618") == []
    # What is written out as the default is the default.
    assert found(splits(tmp_path, both, {"missing_ok": False, **both}), "MSF618") == []
