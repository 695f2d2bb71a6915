"""What people get: the command by its module, and a package that says what may be done with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from mmseg_fixkit import __version__

ROOT = Path(__file__).parents[1]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmseg_fixkit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_the_command_runs_as_a_module(tmp_path: Path) -> None:
    assert run("--version").stdout == f"mmseg-fix {__version__}\n"
    assert run("check", "--help").stdout.startswith("Usage: mmseg-fix check ")
    done = run("check", "none.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "mmseg-fix: error: none.py: there is no such file\n",
    )


def test_the_license_is_in_all_that_is_handed_out(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.builders.wheel")
    from hatchling.builders.sdist import SdistBuilder

    text = (ROOT / "LICENSE").read_bytes()
    assert text.split()[:6] == b"Apache License Version 2.0, January 2004".split()
    wheel = next(hatchling.WheelBuilder(str(ROOT)).build(directory=str(tmp_path)))
    with zipfile.ZipFile(wheel) as archive:
        folder = f"mmseg_fixkit-{__version__}.dist-info"
        assert archive.read(f"{folder}/licenses/LICENSE") == text
        assert "License-Expression: Apache-2.0" in archive.read(f"{folder}/METADATA").decode()
    sdist = next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path)))
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"mmseg_fixkit-{__version__}/LICENSE")
        assert member is not None
        assert member.read() == text
        names = {Path(name).name for name in archive.getnames()}
    assert {"CHANGELOG.md", "CONTRIBUTING.md", "README.md", "README_zh-CN.md"} <= names
