"""Names that no file can have, or that may not be looked at: one sentence, and exit code 2."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from tests.faults.children import Children
from tests.faults.verbs import CONFIG
from tests.helpers import labels as scan_data

LONG = "n" * 300
#: A user that is nobody on any machine.
NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that anybody may read, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as made:
        place = Path(made, "here")
        place.mkdir()
        Path(made).chmod(0o777)
        place.chmod(0o777)
        (place / "c.py").write_text(CONFIG)
        scan_data.save(scan_data.areas(range(3)), place / "in" / "a.png")
        (place / "loop").symlink_to("loop")
        (place / "loop.py").symlink_to("loop.py")
        yield place
        for closed in ("closed", "shut.py"):
            if (place / closed).exists():
                (place / closed).chmod(0o700)


def refused(children: Children, folder: Path, arguments: list[str], **options: object) -> str:
    done = children.run(arguments, folder, **options)
    assert done.code == 2, done.err
    assert "Traceback" not in done.err
    assert done.err.lower().count("error: ") == 1, done.err
    return done.err


#: What each names as if it were there; NAME stands for it.
READS = {
    "check": "check NAME.py",
    "check --fix": "check NAME.py --fix",
    "patch": "patch NAME.py",
    "patch --classes-file": "patch c.py --classes-file NAME",
    "patch --palette": "patch c.py --palette NAME",
    "scan": "scan NAME",
    "scan --images": "scan in --num-classes 3 --images NAME",
    "scan --classes-file": "scan in --classes-file NAME",
    "weights": "weights NAME",
    "explain --file": "explain --file NAME",
    "explain --config": "explain OutOfMemoryError:CUDAoutofmemory. --config NAME.py",
    "adapt": "adapt NAME c.py -o out.pth",
    "convert-labels": "convert-labels NAME --from bits --labels a,b -o out",
    "convert-labels --images": "convert-labels in --from bits --labels a,b -o out --images NAME",
    "preflight": "preflight NAME.py",
}
#: Where each writes.
WRITES = {
    "patch -o": "patch c.py --num-classes 3 -o NAME.py",
    "check --output-file": "check c.py --output-file NAME",
    "scan --html": "scan in --num-classes 3 --html NAME",
    "scan --save": "scan in --num-classes 3 --save NAME",
    "scan --output-file": "scan in --num-classes 3 --output-file NAME",
    "scan --fix": "scan in --num-classes 3 --fix ignore --out NAME",
    "adapt -o": "adapt in/a.png c.py -o NAME",
    "convert-labels -o": "convert-labels in --from bits --labels a,b -o NAME",
    "demo": "demo NAME",
}
_ANY_NAME = {
    "~nobody-of-this-name/x": READS,
    LONG: {**READS, **WRITES},
    "loop": {**READS, **WRITES},
}


@pytest.mark.parametrize(
    ("name", "verb"),
    [(n, v) for n, verbs in _ANY_NAME.items() for v in verbs],
    ids=lambda text: text[:8],
)
def test_a_name_that_is_no_file(children: Children, folder: Path, name: str, verb: str) -> None:
    command = {**READS, **WRITES}[verb].replace("NAME", name).split()
    if verb == "explain --config" or (verb == "scan --images" and name != LONG):
        done = children.run(command, folder)  # images that are not there are a finding
        assert done.code in (0, 1, 2)
        assert "Traceback" not in done.err
        return
    said = refused(children, folder, command)
    assert name[:50] in said or verb in ("scan --images",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("verb", {**READS, **WRITES})
def test_what_may_not_be_looked_at(children: Children, folder: Path, verb: str) -> None:
    closed = folder / "closed"
    closed.mkdir()
    for name in ("x.py", "x"):
        (closed / name).write_text(CONFIG)
    closed.chmod(0)
    command = {**READS, **WRITES}[verb].replace("NAME", "closed/x").split()
    done = children.run(command, folder, user=NOBODY)
    assert "Traceback" not in done.err
    if verb not in ("scan --images", "explain --config"):
        assert done.code == 2, done.err
        assert "closed" in done.err
    closed.chmod(0o755)
    assert sorted(p.name for p in closed.iterdir()) == ["x", "x.py"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_what_cannot_be_read_does_not_stop_the_others(children: Children, folder: Path) -> None:
    for name in ("d/a.py", "d/closed/b.py", "d/e/c.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(CONFIG)
    (folder / "shut.py").write_text(CONFIG)
    (folder / "shut.py").chmod(0)
    (folder / "d/closed").chmod(0)
    done = children.run(["check", "d", "shut.py", "loop.py", f"{LONG}.py"], folder, user=NOBODY)
    (folder / "d/closed").chmod(0o755)
    assert done.code == 2
    assert [line.split(":")[0] for line in done.out.splitlines()] == ["d/a.py", "d/e/c.py"]
    errors = [line for line in done.err.splitlines() if "error: " in line][:-1]
    assert "d/closed: Permission denied" in errors[0]
    assert "shut.py" in errors[1]
    assert "loop.py" in errors[2]
    assert "Checked 2 configs: 2 errors." in done.err
    assert "4 configs could not be read." in done.err


# Names that are no text, or that would write to a terminal or to the log of GitHub Actions


NASTY: dict[str, str] = {
    "a line end": "a\nEVIL::error::b",
    "a return": "a\rEVIL",
    "a colour": "a\x1b[31mEVIL",
    "one character for a colour": "a\x9b31mEVIL",
    "another direction": "a\u202eEVIL",
    "no UTF-8": os.fsdecode(b"a\xffEVIL"),
}


def _config_commands(name: str) -> Iterator[list[str]]:
    for form in ("text", "json", "sarif", "github"):
        yield ["check", f"{name}.py", "--output-format", form]
        yield ["check", f"{name}-gone.py", "--output-format", form]
    yield ["check", f"{name}-folder"]
    yield ["patch", f"{name}.py", "--num-classes", "3", "-o", f"{name}-out.py"]
    yield ["check", f"{name}-out.py"]
    yield ["patch", f"{name}.py", "--classes", f"{name},b", "--diff"]
    yield ["patch", f"{name}.py", "--classes", f"{name},b", "--in-place"]
    yield ["check", f"{name}.py", "--fix"]


def _label_commands(name: str) -> Iterator[list[str]]:
    labels = f"{name}-labels"
    for form in ("text", "json", "sarif", "github"):
        yield ["scan", labels, "--num-classes", "2", "--output-format", form, "--no-cache"]
    yield ["scan", labels, "--num-classes", "2", "--html", f"{name}.html", "--save", f"{name}.json"]
    yield ["scan", labels, "--num-classes", "2", "--fix", "ignore", "--out", f"{name}-fixed"]
    yield ["convert-labels", labels, "--from", "bits", "--labels", f"{name},b", "-o", f"{name}-c"]
    yield ["weights", labels, "--classes", f"{name},b,c"]


def _other_commands(name: str) -> Iterator[list[str]]:
    yield ["adapt", f"{name}.pth", "c.py", "-o", f"{name}-out.pth"]
    yield ["adapt", "in/a.png", "c.py", "-o", f"{name}/out.pth"]
    yield ["explain", "--file", f"{name}.log"]
    yield ["explain", f"IndexError: Target 19 is out of bounds. {name}"]
    yield ["explain", "IndexError: Target 19 is out of bounds.", "--config", f"{name}.py"]
    yield ["rule", name]
    yield ["check", "c.py", "--output-format", name]
    yield ["check", "c.py", "--select", name]
    yield ["patch", "c.py", f"{name}.py", name]
    yield ["patch", "c.py", "--palette", name]
    yield [name]
    yield [f"--{name}"]


COMMANDS: dict[str, Callable[[str], Iterator[list[str]]]] = {
    "configs": _config_commands,
    "labels": _label_commands,
    "others": _other_commands,
}


@pytest.mark.parametrize("commands", COMMANDS)
@pytest.mark.parametrize("kind", NASTY)
def test_a_name_is_text_and_one_line(
    children: Children, folder: Path, kind: str, commands: str
) -> None:
    name = NASTY[kind].replace("::", "##") if commands == "configs" else NASTY[kind]
    (folder / f"{name}.py").write_text(CONFIG)
    (folder / f"{name}-folder").mkdir()
    (folder / f"{name}-folder" / f"{name}.py").write_text(CONFIG)
    scan_data.save(scan_data.areas(range(3)), folder / f"{name}-labels" / f"{name}.png")
    (folder / f"{name}-labels" / f"{name}-broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for command in COMMANDS[commands](name):
        done = children.run(command, folder)
        assert done.code in (0, 1, 2)
        for text in (done.out, done.err):
            assert all(c.isprintable() or c == "\n" for c in text), command
            assert not any(line.lstrip().startswith("EVIL") for line in text.splitlines()), command
            assert "\ufffd" not in text, command
            assert "Traceback" not in text, command
        if "json" in command or "sarif" in command:
            json.loads(done.out)
    for page in folder.glob("*.html"):
        text = page.read_text("utf-8")
        assert all(c.isprintable() or c in "\n\t" for c in text)
