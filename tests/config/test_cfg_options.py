"""``--cfg-options``: what MMEngine's own parser and merge make of the printed line."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from mmengine.config import Config, DictAction

from mmseg_fixkit import FixkitError, patch
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.config.tree import plain, same

PSPNET = zoo_path("mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py")
OCRNET = zoo_path("mmseg::ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py")
MASK2FORMER = zoo_path("mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py")


def merged_as_in_training(config: Path, line: str) -> dict:
    """Do what ``tools/train.py`` does with its arguments."""
    parser = ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    loaded = Config.fromfile(str(config))
    loaded.merge_from_dict(parser.parse_args(shlex.split(line)).cfg_options)
    tree: dict = plain(loaded._cfg_dict)
    return tree


@pytest.mark.parametrize("config", [PSPNET, OCRNET, MASK2FORMER], ids=lambda p: p.parent.name)
def test_the_line_gives_the_patched_config(config: Path) -> None:
    planned = patch(config, ["weed", "crop", "soil"], load_from="c.pth", guards=False)
    line = planned.cfg_options()
    assert line.startswith("--cfg-options ")
    assert same(merged_as_in_training(config, line), planned.plan.after)


def test_list_heads_are_named_by_index() -> None:
    line = patch(OCRNET, 5, guards=False).cfg_options()
    assert "model.decode_head.0.num_classes=5 model.decode_head.1.num_classes=5" in line


def test_the_command_prints_it_and_nothing_else(tmp_path: Path) -> None:
    arguments = ["patch", str(PSPNET), "--num-classes", "3", "--no-guards", "--cfg-options"]
    with CliRunner().isolated_filesystem(tmp_path) as folder:
        done = CliRunner().invoke(app, arguments)
        assert list(Path(folder).iterdir()) == []
    assert done.exit_code == 0
    assert "model.decode_head.num_classes=3" in done.stdout
    assert done.stdout == f"{patch(PSPNET, 3, guards=False).cfg_options()}\n"


@pytest.mark.parametrize(
    ("labels", "guards", "words"),
    [
        (["a", "b"], True, "holds a dict.*--no-guards"),
        (["traffic light", "b"], False, "would be read as"),
        (["1", "b"], False, "would be read as"),
    ],
)
def test_what_cannot_be_said_is_refused(labels: list[str], guards: bool, words: str) -> None:
    with pytest.raises(FixkitError, match=words):
        patch(PSPNET, labels, guards=guards).cfg_options()


def test_nothing_to_say(tmp_path: Path) -> None:
    config = tmp_path / "c.py"
    config.write_text("model = dict(type='E', decode_head=dict(type='FCNHead', num_classes=2))\n")
    assert patch(config, guards=False).cfg_options() == ""
