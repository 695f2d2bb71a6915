"""A disk without room, and two writers of one file: the old file stays, or one new one is whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mmseg_fixkit.config.load import load
from tests.faults.children import Children, rounds
from tests.faults.test_killed import fresh
from tests.faults.verbs import CONFIG, VERBS, files_in, verb
from tests.helpers.paths import PACKAGE


# To read a config, MMEngine copies it, which is longer than what is said of it here.
@pytest.mark.parametrize("name", [name for name in VERBS if name != "check --output-file"])
def test_a_file_that_cannot_grow(children: Children, room: Path, name: str) -> None:
    what = verb(name)
    folder = fresh(room, name, what)
    whole = children.run(what.arguments, folder)
    new = files_in(folder, what.written)
    sizes = [min(map(len, new.values())) // 2, max(map(len, new.values())) - 1]
    for size in sizes:
        folder = fresh(room, name, what)
        old = files_in(folder, ".")
        shutil.rmtree(room / f"{folder.name}.cache", ignore_errors=True)
        done = children.run(what.arguments, folder, limit=size, out="/dev/null", err="/dev/null")
        assert done.code in (1, 2)
        left = files_in(folder, ".")
        assert {n: left.get(n) for n in old} == old or what.written == "all"
        assert all(content in (old.get(n), new.get(n)) for n, content in left.items())
        assert not [p for p in folder.rglob(".*") if p.is_file()]
        assert children.run(what.arguments, folder).code == whole.code


#: Runs in a mount namespace of its own, where a file system of 1 MB is at $1: what verbs say there.
_SMALL = """
set -e
mount -t tmpfs -o size=1m none "$1"
cp -r "$2"/. "$1"; cd "$1"
head -c 2m /dev/zero > filler 2>/dev/null || true
set +e
shift 2
"$@"
echo "exit code $?"
ls -A
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("patch", "c.py", "--classes", "a,b", "-o", "out.py"),
        ("patch", "c.py", "--classes", "a,b", "--in-place"),
        ("check", "c.py", "--fix"),
    ],
    ids=" ".join,
)
def test_a_file_system_that_is_full(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    small, source = tmp_path / "small", tmp_path / "source"
    small.mkdir()
    source.mkdir()
    (source / "c.py").write_text(CONFIG)
    command = "from mmseg_fixkit.cli import main; main()"
    mounted = ["unshare", "--mount", "bash", "-c", _SMALL, "-", str(small), str(source)]
    done = subprocess.run(
        [*mounted, sys.executable, "-c", command, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=False,
    )
    if "exit code" not in done.stdout:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    said = [line for line in done.stderr.splitlines() if line.startswith("mmseg-fix: error: ")]
    assert len(said) == 1
    assert "cannot be written: No space left on device in" in said[0]
    assert "exit code 2\nc.py\nfiller\n" in done.stdout
    assert "Traceback" not in done.stderr


def _pair(
    children: Children, folder: Path, first: Sequence[str], second: Sequence[str]
) -> list[int]:
    with children.started(first, folder) as one, children.started(second, folder) as two:
        return [one.end().code, two.end().code]


@pytest.mark.parametrize("overwrite", [True, False])
def test_two_writers_of_one_new_file(children: Children, room: Path, overwrite: bool) -> None:
    options = ["-o", "out.py", "--no-guards", *(["--overwrite"] if overwrite else [])]
    commands = [["patch", "c.py", "--num-classes", str(n), *options] for n in (3, 4)]
    folder = fresh(room, "two writers", VERBS["patch --in-place"])
    for _ in range(rounds(3)):
        (folder / "out.py").unlink(missing_ok=True)
        codes = _pair(children, folder, *commands)
        assert sorted(codes) == ([0, 0] if overwrite else [0, 2])
        count = load(folder / "out.py").tree["model"]["decode_head"]["num_classes"]
        assert count in (3, 4)
        if not overwrite:
            assert codes == ([0, 2] if count == 3 else [2, 0])
        assert sorted(p.name for p in folder.iterdir()) == ["c.py", "out.py"]


@pytest.mark.parametrize("name", ["scan --fix", "convert-labels", "check --fix"])
def test_two_runs_into_one_folder(children: Children, room: Path, name: str) -> None:
    what = verb(name)
    folder = fresh(room, name, what)
    whole = children.run(what.arguments, folder)
    new = files_in(folder, what.written)
    for _ in range(rounds(2)):
        folder = fresh(room, name, what)
        codes = {*_pair(children, folder, what.arguments, what.arguments)}
        assert codes <= {whole.code, 2}
        found = files_in(folder, what.written)
        assert all(content == new[n] for n, content in found.items())
        assert children.run(what.arguments, folder).code == whole.code
        assert files_in(folder, what.written) == new
        assert not [p for p in folder.rglob(".*") if p.is_file()]
