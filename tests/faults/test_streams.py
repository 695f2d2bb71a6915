"""Results that cannot be printed: exit code 2 and one line on stderr, never that of findings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from tests.faults.children import Children
from tests.faults.verbs import CONFIG, model_files
from tests.helpers import labels as scan_data

FORMATS = ("text", "json", "sarif", "github")
MESSAGE = "mmseg-fix: error: standard output cannot be written: "
#: Standard output -> why it cannot be written.
BROKEN: dict[Optional[str], str] = {
    "/dev/full": "No space left on device",
    None: "it is closed",
    "pipe": "Broken pipe",
}
KNOWN = "IndexError: Target 19 is out of bounds."

#: Each prints something.
COMMANDS = {
    "--help": ("--help",),
    "--version": ("--version",),
    "check --help": ("check", "--help"),
    **{f"check, {f}": ("check", "c.py", "--output-format", f) for f in FORMATS},
    "check --diff": ("check", "c.py", "--diff"),
    "patch -o": ("patch", "c.py", "--num-classes", "3", "-o", "o.py", "--overwrite"),
    "patch --in-place": ("patch", "c.py", "--num-classes", "2", "--in-place"),
    "patch --diff": ("patch", "c.py", "--num-classes", "3", "--diff"),
    "patch --cfg-options": ("patch", "c.py", "--num-classes", "3", "--no-guards", "--cfg-options"),
    **{
        f"scan, {f}": ("scan", "in", "--num-classes", "2", "--no-cache", "--output-format", f)
        for f in FORMATS
    },
    **{
        f"weights, {f}": ("weights", "in", "--num-classes", "3", "--output-format", f)
        for f in ("text", "json", "list")
    },
    "convert-labels": ("convert-labels", "in", "--from", "bits", "--labels", "a,b", "-o", "out"),
    "explain": ("explain", KNOWN),
    "explain, json": ("explain", KNOWN, "--output-format", "json"),
    "rule": ("rule", "MSF101"),
    "rule --all": ("rule", "--all"),
}
OF_MODELS = {
    **{
        f"adapt, {f}": ("adapt", "old.pth", "new.py", "--dry-run", "--output-format", f)
        for f in ("text", "json")
    },
    "preflight": ("preflight", "old.py", "--samples", "2"),
    "preflight, json": ("preflight", "old.py", "--samples", "2", "--output-format", "json"),
}


@pytest.fixture(scope="module")
def folder(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streams")
    model_files(children, root)
    made = root / "model"
    (made / "c.py").write_text(CONFIG)
    for number in range(2):
        scan_data.save(scan_data.areas(range(3), seed=number), made / "in" / f"{number}.png")
    return made


@pytest.mark.parametrize("out", BROKEN, ids=str)
@pytest.mark.parametrize("name", [*COMMANDS, *OF_MODELS])
def test_a_result_that_cannot_be_printed(
    children: Children, folder: Path, name: str, out: Optional[str]
) -> None:
    arguments = {**COMMANDS, **OF_MODELS}[name]
    done = children.run(arguments, folder, out=out)
    (folder / "c.py").write_text(CONFIG)
    assert done.code == 2
    assert done.err.endswith(f"{MESSAGE}{BROKEN[out]}\n")
    assert done.err.count("error: ") == 1
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", [*COMMANDS, "no such file", "wrong use"])
def test_what_is_lost_on_stderr_changes_nothing(
    children: Children, folder: Path, name: str
) -> None:
    wrong = {"no such file": ("check", "gone.py"), "wrong use": ("check", "--gone")}
    arguments = {**COMMANDS, **wrong}[name]
    whole = children.run(arguments, folder)
    (folder / "c.py").write_text(CONFIG)
    for err in ("/dev/full", None, "pipe"):
        done = children.run(arguments, folder, err=err)
        (folder / "c.py").write_text(CONFIG)
        assert done.code == whole.code
        assert done.out == whole.out or name == "convert-labels"  # the next times they are there


def test_what_a_library_prints_is_no_exception_to_it(children: Children, folder: Path) -> None:
    # A logger catches every Exception of its stream, says so at length and goes on.
    code = (
        "import logging, sys\n"
        "from mmseg_fixkit.cli import process\n"
        "def verb():\n"
        "    logging.basicConfig(stream=sys.stdout, force=True)\n"
        "    logging.warning('x' * 10000)\n"
        "    print('result')\n"
        "sys.exit(process.run(verb))\n"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, f"{MESSAGE}No space left on device\n")
