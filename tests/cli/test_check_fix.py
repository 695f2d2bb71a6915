"""``mmseg-fix check --fix`` and ``--diff``: files repaired in place, bases first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_fixkit import check

COMMAND = [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", "check"]

HEAD = "dict(type='FCNHead', in_channels=4, channels=4, num_classes={count})"
RIGHT = (
    "model = dict(type='EncoderDecoder', decode_head=" + HEAD.format(count=2) + ")\n"
    "train_dataloader = dict(\n"
    "    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))\n"
)
WRONG = RIGHT.replace("num_classes=2", "num_classes=19")
CHILD = "_base_ = './a_parent.py'\nwork_dir = 'here'  # mine\n"
#: Labels that hold 0 for the background, which is ignored: the fix changes what is learned.
UNSAFE = RIGHT.replace("'weed', 'crop'", "'background', 'polyp'").replace(
    "'BaseSegDataset'", "'BaseSegDataset', reduce_zero_label=True"
)


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.py").write_text(text)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


def test_what_can_be_repaired_is_and_the_rest_is_reported() -> None:
    write(a=WRONG, b=RIGHT, c=UNSAFE)
    done = run(".", "--fix")
    assert done.returncode == 1
    assert done.stdout.startswith("c.py:")
    assert done.stdout.count("\n") == 1
    assert "MSF302" in done.stdout
    assert "Repaired 1 finding in 1 file." in done.stderr
    assert "can be repaired with `check --fix --unsafe-fixes`" in done.stderr
    assert Path("a.py").read_text() == RIGHT
    assert Path("c.py").read_text() == UNSAFE


def test_unsafe_fixes_are_made_when_asked_for() -> None:
    write(c=UNSAFE)
    done = run("c.py", "--fix", "--unsafe-fixes")
    assert done.returncode == 0
    assert done.stdout == ""
    assert "reduce_zero_label=False" in Path("c.py").read_text()
    assert check("c.py").diagnostics == ()


def test_a_file_is_repaired_before_those_that_inherit_from_it() -> None:
    # By name, the child comes first.
    write(a_child=CHILD.replace("a_parent", "b_parent"), b_parent=WRONG)
    done = run(".", "--fix")
    assert done.returncode == 0
    assert Path("b_parent.py").read_text() == RIGHT
    assert Path("a_child.py").read_text() == CHILD.replace("a_parent", "b_parent")


def test_a_base_that_was_not_named_is_overridden_and_not_touched() -> None:
    write(a_parent=WRONG, child=CHILD)
    done = run("child.py", "--fix")
    assert done.returncode == 0
    assert Path("a_parent.py").read_text() == WRONG
    text = Path("child.py").read_text()
    assert text == CHILD + "\nmodel = dict(decode_head=dict(num_classes=2))\n"


def test_the_diff_shows_what_a_fix_would_do_and_writes_nothing() -> None:
    write(a=WRONG, b=RIGHT)
    done = run("a.py", "b.py", "--diff")
    assert done.returncode == 1
    assert done.stdout == (
        "--- a.py\n+++ a.py\n@@ -1,3 +1,3 @@\n"
        f"-{WRONG.splitlines()[0]}\n+{RIGHT.splitlines()[0]}\n"
        + "".join(f" {line}\n" for line in RIGHT.splitlines()[1:])
    )
    assert "Would repair 1 finding in 1 file." in done.stderr
    assert Path("a.py").read_text() == WRONG
    applied = subprocess.run(["git", "apply", "-p0"], input=done.stdout, text=True, check=False)
    assert applied.returncode == 0
    assert Path("a.py").read_text() == RIGHT


def test_nothing_to_do_is_said_and_no_diff_is_shown() -> None:
    write(b=RIGHT)
    for option in ("--fix", "--diff"):
        done = run("b.py", option)
        assert (done.returncode, done.stdout) == (0, "")
        assert "Nothing to repair." in done.stderr


def test_what_cannot_be_repaired_is_one_message_and_does_not_stop_the_others() -> None:
    Path("site-packages").mkdir()
    Path("site-packages/a.py").write_text(WRONG)
    write(b=WRONG, broken="model = dict(")
    done = run("site-packages/a.py", "b.py", "broken.py", "--fix")
    assert done.returncode == 2
    assert "belongs to an installed package" in done.stderr
    assert "broken.py is not a Python config" in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("b.py").read_text() == RIGHT
    assert Path("site-packages/a.py").read_text() == WRONG


def test_programs_read_what_is_left() -> None:
    write(a=WRONG, c=UNSAFE)
    done = run(".", "--fix", "--output-format", "json")
    found = json.loads(done.stdout)
    assert {d["code"] for d in found} == {"MSF302"}


def test_only_selected_rules_are_repaired() -> None:
    write(a=WRONG)
    done = run("a.py", "--fix", "--select", "MSF2")
    assert done.returncode == 0
    assert Path("a.py").read_text() == WRONG


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unsafe-fixes",), "--unsafe-fixes needs --fix or --diff"),
        (("--fix", "--diff"), "give one of them"),
    ],
)
def test_wrong_use(options: tuple[str, ...], message: str) -> None:
    write(a=WRONG)
    done = run("a.py", *options)
    assert done.returncode == 2
    assert message in done.stderr
