"""What a config inherits from is known before anything runs; a ring is named by its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.config import host
from mmseg_fixkit.config.inheritance import MAX_DEPTH, inheritance

MODEL = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=19))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
"""

#: Shows that a file ran: MMEngine runs a base before what inherits from it.
RUNS = "open('{{fileDirname}}/ran.txt', 'a').write('x')\n"


def put(folder: Path, files: dict[str, str]) -> Path:
    """Write the files and return the first one."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / next(iter(files))


def inherits(*names: str) -> str:
    return f"_base_ = {list(names)!r}\n{RUNS}{MODEL}"


NEW = "from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n" + RUNS

RINGS: dict[str, dict[str, str]] = {
    "itself": {"a.py": inherits("a.py")},
    "itself as a text": {"a.py": f"_base_ = './a.py'\n{RUNS}{MODEL}"},
    "two": {"a.py": inherits("b.py"), "b.py": inherits("a.py")},
    "three": {"a.py": inherits("b.py"), "b.py": inherits("c.py"), "c.py": inherits("a.py")},
    "below": {"a.py": inherits("b.py"), "b.py": inherits("c.py"), "c.py": inherits("b.py")},
    "behind another base": {"a.py": inherits("x.py", "b.py"), "x.py": "", "b.py": inherits("a.py")},
    "another folder": {"a.py": inherits("f/b.py"), "f/b.py": inherits("../f/../a.py")},
    "new style": {"a.py": NEW.format("b"), "b.py": NEW.format("a")},
    "new style, itself": {"a.py": NEW.format("a")},
    "yaml": {"a.yml": "_base_: b.yaml\n", "b.yaml": "_base_: [a.yml]\n"},
    "python and yaml": {"a.py": inherits("b.yml"), "b.yml": "_base_: ./a.py\n"},
    "json": {"a.json": json.dumps({"_base_": ["a.json"]})},
}  # fmt: skip


@pytest.mark.parametrize("files", RINGS.values(), ids=RINGS)
def test_a_ring_is_named_and_nothing_of_it_runs(files: dict[str, str], tmp_path: Path) -> None:
    config = put(tmp_path, files)
    for use in (check, lambda c: patch(c, 3)):
        with pytest.raises(FixkitError, match=r"inherits (from itself|in a ring)") as caught:
            use(config)
        named = {name for name in files if str(tmp_path / name) in str(caught.value)}
        assert named
        assert len(files) == 1 or len(named) > 1
    assert not list(tmp_path.rglob("ran.txt"))


def test_a_ring_through_links(tmp_path: Path) -> None:
    config = put(tmp_path, {"a.py": inherits("link.py")})
    (tmp_path / "link.py").symlink_to(config)
    with pytest.raises(FixkitError, match="inherits from itself"):
        check(config)
    (tmp_path / "here").symlink_to(tmp_path, target_is_directory=True)
    deep = put(tmp_path, {"deep.py": inherits("here/deep.py")})
    with pytest.raises(FixkitError, match=r"deep\.py"):
        check(deep)


def test_a_ring_through_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = put(tmp_path, {"a.py": inherits("mmseg::b.py"), "zoo/b.py": inherits("../a.py")})
    monkeypatch.setattr(host, "zoo_path", lambda name: tmp_path / "zoo" / name.partition("::")[2])
    with pytest.raises(FixkitError, match=r"a\.py -> .*b\.py -> .*a\.py"):
        check(config)


def test_a_file_with_the_name_of_another_is_no_ring(tmp_path: Path) -> None:
    put(tmp_path, {"one/x.py": "_base_ = ['y.py']\n", "one/y.py": MODEL})
    put(tmp_path, {"two/y.py": "_base_ = ['../one/x.py']\n"})
    (tmp_path / "two" / "x.py").symlink_to(tmp_path / "one" / "x.py")
    # The link is the same file as one above it, but what it inherits stands elsewhere.
    assert [d.code for d in check(tmp_path / "two" / "x.py").diagnostics] == ["MSF101"]


def test_a_long_line_of_bases_ends(tmp_path: Path) -> None:
    files = {f"c{i}.py": inherits(f"c{i + 1}.py") for i in range(MAX_DEPTH + 5)}
    with pytest.raises(FixkitError, match=f"more than {MAX_DEPTH} files"):
        check(put(tmp_path, files))
    assert not (tmp_path / "ran.txt").exists()


def test_a_config_runs_once_although_it_fails(tmp_path: Path) -> None:
    config = put(tmp_path, {"a.py": f"{RUNS}{MODEL}raise ValueError('no')\n"})
    with pytest.raises(FixkitError, match="ValueError: no"):
        check(config)
    assert (tmp_path / "ran.txt").read_text() == "x"


def test_the_files_of_a_config(tmp_path: Path) -> None:
    files = {
        "a.py": "_base_ = ['b.py', 'd.yml']\n" + MODEL,
        "b.py": "_base_ = ('c.py')\n",
        "c.py": "from math import pi\nlr = pi\n",
        "d.yml": "epochs: 3\n",
    }
    found = inheritance(put(tmp_path, files))
    assert [path.name for path in found.files] == ["a.py", "b.py", "c.py", "d.yml"]
    assert (found.known, found.imports) == (True, True)
    computed = put(tmp_path, {"e.py": "_base_ = ['b' + '.py']\n"})
    assert inheritance(computed).known is False


@pytest.mark.parametrize("value", ["5", "None", "[5]", "dict(a=1)", "['a\\0.py']", "'x' * 5000"])
def test_names_of_bases_that_are_none(value: str, tmp_path: Path) -> None:
    with pytest.raises(FixkitError, match=r"a\.py"):
        check(put(tmp_path, {"a.py": f"_base_ = {value}\n{MODEL}"}))


def test_a_fault_of_syntax_is_named_by_its_own_file_and_line(tmp_path: Path) -> None:
    config = put(tmp_path, {"a.py": "_base_ = 'b.py'\n", "b.py": f"{MODEL}\nx = (\n"})
    with pytest.raises(FixkitError, match=r"b\.py is not a Python config: line \d+: '\(' was"):
        check(config)
