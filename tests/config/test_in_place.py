"""Configs changed in their own text: comments and layout stay, bases are never touched.

A folder is a test: ``tests/config/in_place/<slug>/before.py`` and ``after.py``; ``options.json``
holds arguments of ``mmseg_fixkit.patch`` (or ``unsafe`` of ``check --fix``). ``UPDATE_CASES=1``
writes ``after.py`` anew: read its diff.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmseg_fixkit import FixkitError, patch
from mmseg_fixkit.apis.patch import Patch, repair
from mmseg_fixkit.config.lazy_import import qualified
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.text_edits import RUNNER_KEYS
from mmseg_fixkit.config.tree import differences

FOLDERS = Path(__file__).parent / "in_place"
CASES = sorted(p for p in FOLDERS.iterdir() if (p / "before.py").is_file())


@pytest.fixture(params=CASES, ids=lambda p: p.name)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return the config of a copy of the whole folder."""
    shutil.copytree(FOLDERS, tmp_path / "configs")
    return tmp_path / "configs" / request.param.name / "before.py"


def planned(config: Path) -> Patch:
    file = config.with_name("options.json")
    options = json.loads(file.read_text()) if file.is_file() else {}
    if "unsafe" in options:
        return repair(config, **options)
    return patch(config, **{"guards": False, **options})


def texts(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*.py")}


def test_the_text_is_as_expected_and_nothing_else_is_written(case: Path) -> None:
    before = texts(case.parents[1])
    change = planned(case)
    assert change.write_in_place()
    text = case.read_text()
    after = FOLDERS / case.parent.name / "after.py"
    if os.environ.get("UPDATE_CASES"):
        after.write_text(text)
    assert text == after.read_text()
    written = {file for file, old in texts(case.parents[1]).items() if before.get(file) != old}
    assert written == {case}


def test_it_loads_as_planned_and_a_second_run_changes_nothing(case: Path) -> None:
    change = planned(case)
    change.write_in_place()
    trees = (qualified(tree) for tree in (change.plan.after, load(case).tree))
    differing = {key[0] for key, _, _ in differences(*trees)}
    # Variables of the file may have changed on the way; what the runner reads has not.
    assert not differing & RUNNER_KEYS
    again = planned(case)
    assert again.plan.empty
    assert not again.write_in_place()


def test_comments_stay(case: Path) -> None:
    comments = [line[line.index("#") :] for line in case.read_text().splitlines() if "#" in line]
    planned(case).write_in_place()
    text = case.read_text()
    kept = [comment for comment in comments if comment in text]
    # What stands above an entry that is taken out goes with it.
    assert kept == [c for c in comments if c != "# one channel for three classes"]


def test_the_diff_is_of_the_text_and_writes_nothing(case: Path) -> None:
    before = case.read_text()
    diff = planned(case).text_diff()
    assert case.read_text() == before
    assert diff.startswith(f"--- {case}\n+++ {case}\n@@")
    planned(case).write_in_place()
    removed = {line[1:] for line in diff.splitlines()[2:] if line.startswith("-")}
    assert removed <= set(before.splitlines())


CONFIG = """\
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=4, channels=4, num_classes=19))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('Straße', 'car'))))
"""


def config(folder: Path, text: str = CONFIG, name: str = "cfg.py") -> Path:
    file = folder / name
    file.write_bytes(text.encode())
    return file


def fixed(file: Path, **options: Any) -> str:
    patch(file, guards=False, **options).write_in_place()
    return file.read_bytes().decode()


def test_line_ends_stay(tmp_path: Path) -> None:
    file = config(tmp_path, CONFIG.replace("\n", "\r\n"))
    text = fixed(file, load_from="a.pth", reduce_zero_label=True)
    assert text.count("\n") == text.count("\r\n") > CONFIG.count("\n") - 1


def test_letters_of_several_bytes_do_not_shift_places(tmp_path: Path) -> None:
    file = config(tmp_path, "# ä\n" + CONFIG.replace("type='FCNHead'", "name='ß', type='FCNHead'"))
    assert "name='ß', type='FCNHead', in_channels=4, channels=4, num_classes=2))" in fixed(file)


def test_a_last_line_without_an_end_is_no_hurdle(tmp_path: Path) -> None:
    file = config(tmp_path, CONFIG.rstrip("\n"))
    diff = patch(file, guards=False, load_from="a.pth").text_diff()
    assert "\\ No newline at end of file" in diff
    assert fixed(file, load_from="a.pth").endswith("\n\nload_from = 'a.pth'\n")


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    file = config(tmp_path)
    file.chmod(0o640)
    link = tmp_path / "link.py"
    link.symlink_to(file.name)
    fixed(link)
    assert link.is_symlink()
    assert "num_classes=2" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640


def test_nothing_is_left_behind_and_nothing_lost_when_it_cannot_be_written(tmp_path: Path) -> None:
    file = config(tmp_path)
    change = patch(file, guards=False)
    file.write_text(CONFIG.replace("channels=4", "channels=8"))
    with pytest.raises(FixkitError, match="is not what was loaded"):
        change.write_in_place()
    assert "num_classes=19" in file.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["cfg.py"]


def test_a_config_of_an_installed_package_is_not_changed() -> None:
    from mmseg_fixkit.config.host import zoo_path

    file = zoo_path("mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py")
    before = file.read_bytes()
    with pytest.raises(FixkitError, match="belongs to an installed package"):
        patch(file, 3).write_in_place()
    assert file.read_bytes() == before


def test_a_config_made_in_python_has_no_file_to_change(tmp_path: Path) -> None:
    from mmengine.config import Config

    tree = Config.fromfile(str(config(tmp_path)))._cfg_dict
    with pytest.raises(FixkitError, match="made in Python"):
        patch(Config(tree), guards=False).write_in_place()


def test_an_entry_that_is_a_variable_is_taken_out_where_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "limit = 0.5\n"
        "model = dict(\n"
        "    type='EncoderDecoder',\n"
        "    decode_head=dict(\n"
        "        type='FCNHead', num_classes=2, threshold=limit))  # kept\n"
        "train_dataloader = dict(\n"
        "    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('a', 'b'))))\n"
    )
    assert patch(path, guards=False).write_in_place()
    lines = path.read_text().splitlines()
    assert lines[0] == "limit = 0.5"
    assert lines[4] == "        type='FCNHead', num_classes=2))  # kept"


@pytest.mark.parametrize("hooks", ["None", "[]", "()", "[dict(type='EMAHook')]", "HOOKS"])
def test_a_list_of_parts_takes_the_place_of_whatever_was_there(hooks: str, tmp_path: Path) -> None:
    config = tmp_path / "c.py"
    config.write_text(
        f"HOOKS = [dict(type='EMAHook')]\n"
        "model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=2))\n"
        "train_dataloader = dict(\n"
        "    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('a', 'b')), pipeline=[]))\n"
        f"custom_hooks = {hooks}  # mine\n"
    )
    change = patch(config)
    assert change.write_in_place()
    kinds = [hook["type"] for hook in load(config).tree["custom_hooks"]]
    before = ["EMAHook"] if "EMA" in hooks or hooks == "HOOKS" else []
    assert kinds == [*before, "ClassCountHook", "HeadAdaptHook"]
    assert patch(config).plan.empty
