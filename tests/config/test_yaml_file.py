"""YAML is data: no tag makes an object, no alias fills the memory, whoever reads the file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, Callable

import pytest
import torch
import yaml
from click.testing import CliRunner
from mmengine.config import Config
from mmengine.fileio.handlers import yaml_handler

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.apis.check_files import CheckTarget, check_one
from mmseg_fixkit.apis.paddleseg import check_paddleseg, patch_paddleseg
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.paddleseg import is_paddleseg
from mmseg_fixkit.config.tree import plain
from mmseg_fixkit.config.yaml_file import MAX_VALUES, read_yaml

MODEL = """
model:
  type: EncoderDecoder
  decode_head: {type: FCNHead, in_channels: 64, channels: 16, num_classes: 19}
train_dataloader:
  dataset: {type: BaseSegDataset, metainfo: {classes: [road, car, sky]}}
"""
PADDLE = (
    "batch_size: 2\niters: 9\nmodel: {type: FCN, num_classes: %s}\ntrain_dataset: {type: Dataset}\n"
)


def runs(folder: Path) -> str:
    return f"!!python/object/apply:os.mkdir ['{folder / 'ran'}']"


USES: list[Callable[[Any], Any]] = [
    check,
    lambda path: patch(path, 3),
    load,
    check_paddleseg,
    lambda path: patch_paddleseg(str(path), 3),
]


def tagged(folder: Path) -> dict[str, str]:
    tag = runs(folder)
    return {
        "whole": tag,
        "value": f"{MODEL}x: {tag}\n",
        "key": f"{MODEL}? {tag}\n: 1\n",
        "list": f"{MODEL}x: [1, [{tag}]]\n",
        "anchor": f"{MODEL}x: &a {tag}\ny: *a\n",
        "paddle": PADDLE % tag,
        "name": f"{MODEL}x: !!python/name:os.system\n",
        "new": f"{MODEL}x: !!python/object/new:os.system []\n",
        "module": f"{MODEL}x: !!python/module:os\n",
        "own": f"{MODEL}x: !mine 3\n",
        "full": f"{MODEL}x: !<tag:yaml.org,2002:python/object/apply:os.mkdir> ['{folder}/ran']\n",
        "directive": "%TAG !p! tag:yaml.org,2002:python/\n---\n"
        + MODEL
        + f"x: !p!object/apply:os.mkdir ['{folder}/ran']\n",
    }  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", tagged(Path()))
def test_a_tag_is_refused_and_nothing_runs(
    kind: str, use: Callable[[Any], Any], tmp_path: Path
) -> None:
    path = tmp_path / "x.yml"
    path.write_text(tagged(tmp_path)[kind])
    with pytest.raises(FixkitError, match=r"x\.yml .*(tag|is not YAML)"):
        use(path)
    assert not (tmp_path / "ran").exists()
    assert not is_paddleseg(str(path))


@pytest.mark.parametrize("name", ["base.yml", "base.yaml"])
@pytest.mark.parametrize("child", ["x.py", "x.yml"])
def test_a_tag_in_a_base(name: str, child: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(f"{MODEL}x: {runs(tmp_path)}\n")
    path = tmp_path / child
    path.write_text(f"_base_ = '{name}'\n" if child == "x.py" else f"_base_: {name}\n")
    with pytest.raises(FixkitError, match=f"{name} is not read: line 7: the tag !!python/object"):
        check(path)
    assert "the tag" in check_one(CheckTarget(str(path))).error
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "line", ["x: {{$NOT_SET:!!python/object/apply:os.getcwd}} []", "x: {{$TAG:1}} []"]
)
def test_a_tag_that_mmengine_puts_into_the_text(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MMEngine replaces variables before it parses: the text of the file is not what it reads."""
    monkeypatch.setenv("TAG", "!!python/object/apply:os.getcwd")
    path = tmp_path / "x.yml"
    path.write_text(f"{MODEL}{line}\n")
    assert Config.fromfile(str(path)).x == str(Path.cwd())
    with pytest.raises(FixkitError, match=r"x\.yml"):
        check(path)


def test_a_name_that_only_running_can_tell(tmp_path: Path) -> None:
    (tmp_path / "base.yml").write_text(f"{MODEL}x: {runs(tmp_path)}\n")
    path = tmp_path / "x.py"
    path.write_text("_base_ = ['ba' + 'se.yml']\n")
    with pytest.raises(FixkitError, match="a file that it inherits from, is not read"):
        check(path)
    assert not (tmp_path / "ran").exists()


def test_the_loader_of_mmengine_is_its_own_again(tmp_path: Path) -> None:
    before = yaml_handler.Loader
    path = tmp_path / "x.yml"
    for text in (MODEL, "x: !mine 1\n"):
        path.write_text(text)
        with suppress(FixkitError):
            check(path)
        assert yaml_handler.Loader is before


def test_a_dumped_config_with_tuples_is_read_as_mmengine_reads_it(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text(
        "model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=3))\n"
        "scale = (512, (1, 2), ())\n"
    )
    dumped = tmp_path / "x.yaml"
    Config.fromfile(str(source)).dump(str(dumped))
    assert "!!python/tuple" in dumped.read_text()
    assert load(dumped).tree == plain(Config.fromfile(str(dumped))._cfg_dict)
    assert load(dumped).tree["scale"] == (512, (1, 2), ())


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    names = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join([*lines, *names]) + "\n"


def doubles(levels: int) -> str:
    """Merge keys: each mapping holds the one before twice."""
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{i}: &a{i} {{a: *a{i - 1}, b: *a{i - 1}}}" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        laughs(12),
        "x: &a [*a]\n",
        "x: &a {y: *a}\n",
        doubles(30),
        "[" * 50_000,
        "x: 2001-13-45\n",
        "x: " + "9" * 5000 + "\n",
        "? [1, 2]\n: 3\n? {a: b}\n: 4\n",
        "x: !!binary a\n",
        "a: b: c\n",
        "\x00",
    ],
)  # fmt: skip
def test_what_would_fill_the_memory_or_is_no_yaml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    for content in (text, MODEL + text):
        path.write_text(content)
        for use in USES[:4]:
            with pytest.raises(FixkitError, match=r"x\.yml"):
                use(path)


def test_aliases_that_people_write_are_read() -> None:
    text = "a: &a {k: [1, 2]}\nb: {<<: *a, c: *a}\nd: [*a, *a]\n"
    assert read_yaml(text, "x.yml") == yaml.safe_load(text)
    long = "x: [" + ", ".join(["1"] * (MAX_VALUES // 10)) + "]\n"
    assert len(read_yaml(long, "x.yml")["x"]) == MAX_VALUES // 10


VERBS = [
    ["check", "x.yml"],
    ["check", "x.yml", "--fix"],
    ["patch", "x.yml", "--num-classes", "3"],
    ["scan", "x.yml"],
    ["weights", "x.yml"],
    ["preflight", "x.yml"],
    ["adapt", "w.pth", "x.yml", "-o", "out.pth"],
    ["export", "x.yml", "w.pth", "-o", "out.onnx"],
    ["explain", "log.txt", "--config", "x.yml"],
]


@pytest.mark.parametrize("arguments", VERBS, ids=" ".join)
def test_no_command_runs_a_tag(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yml").write_text(f"{MODEL}x: {runs(tmp_path)}\n")
    (tmp_path / "log.txt").write_text("RuntimeError: CUDA error: device-side assert triggered\n")
    torch.save({"state_dict": {"decode_head.conv_seg.weight": torch.ones(3)}}, "w.pth")
    result = CliRunner().invoke(app, arguments)
    said = result.output + str(result.exception)
    assert not (tmp_path / "ran").exists()
    assert "!!python/object/apply:os.mkdir" in said, said
