"""Key path -> file, line and column, in the file itself and in what it inherits from."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.source import ConfigText
from mmseg_fixkit.core.diagnostics import parse_key

BASE = """\
norm_cfg = dict(type='BN')
num_classes = 19
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='PSPHead', num_classes=num_classes, norm_cfg=norm_cfg),
    auxiliary_head=[
        dict(type='FCNHead', num_classes=7),
        {'type': 'FCNHead', 'num_classes': 8},
    ])
pipeline = [dict(type='LoadAnnotations', reduce_zero_label=True)]
train_dataloader = dict(dataset=dict(type='A', pipeline=pipeline))
"""
CHILD = """\
_base_ = ['./sub/../base.py']
model = dict(decode_head=dict(num_classes=3))
val_dataloader = dict(dataset=dict(type='B', pipeline={{_base_.pipeline}}))
"""


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("model.decode_head.num_classes", "child.py:2:43"),
        ("model.decode_head.type", "base.py:6:14"),
        ("model.decode_head.norm_cfg.type", "base.py:1:22"),
        ("model.auxiliary_head.0.num_classes", "base.py:8:42"),
        ("model.auxiliary_head.1.num_classes", "base.py:9:44"),
        ("train_dataloader.dataset.pipeline.0.reduce_zero_label", "base.py:11:60"),
        ("val_dataloader.dataset.type", "child.py:3:41"),
        ("model.decode_head.ignore_index", "child.py:2:26"),  # nowhere written: its parent is
        ("no_such_key", "child.py"),
    ],
)
def test_places(key: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.py").write_text(BASE)
    child = tmp_path / "child.py"
    child.write_text(CHILD)
    location = load(child).locate(parse_key(key))
    assert location is not None
    parts = (Path(location.file).name, location.line, location.column)
    assert ":".join(str(p) for p in parts if p) == place
    assert ".." not in location.file


def test_columns_are_letters(tmp_path: Path) -> None:
    config = tmp_path / "c.py"
    config.write_text("model = dict(name='Straße', type='E')\n", encoding="utf-8")
    location = load(config).locate(("model", "type"))
    assert location is not None
    assert location.column == len("model = dict(name='Straße', type=") + 1


def test_bases_that_inherit_from_each_other_come_to_an_end(tmp_path: Path) -> None:
    from mmseg_fixkit.config.inheritance import resolve_base
    from mmseg_fixkit.config.source import ConfigSource

    (tmp_path / "a.py").write_text("_base_ = 'b.py'\n")
    (tmp_path / "b.py").write_text("_base_ = 'a.py'\n")
    source = ConfigSource(tmp_path / "a.py", resolve_base)
    assert source.locate(("model", "type")) is None


@pytest.mark.parametrize("text", [b"", b"\0", b"x = 1\0", b"a b", b"\xff", b'{"a": 1', b"("])
def test_a_text_that_is_no_python_writes_nothing(text: bytes) -> None:
    assert ConfigText(text).all_writes == ()
