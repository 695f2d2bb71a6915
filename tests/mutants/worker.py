"""Runs tests in a process of their own, forked from one that has imported the host already.

That saves five seconds for each mutant. Nothing of what is tested is imported before the fork.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.record import PACKAGE, environment

HOST = ["torch", "mmengine.runner", "mmcv", "mmseg.models", "mmseg.datasets", "mmdet.models"]
PRELOADED = [*HOST, "hypothesis", "pytest"]

#: A test may take so many times its usual time, and so many seconds more.
_TIMES, _MORE = 10, 20
_MEMORY = 8 << 30


@dataclass(frozen=True)
class Run:
    """How a run of tests ended: with the first one that failed, or None."""

    failed: str | None
    timed_out: bool
    started: bool  # else pytest stopped before the first of them


class Tests:
    """Runs tests in a copy of the tree."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(PRELOADED)

    def run(self, tests: Sequence[tuple[str, float]]) -> Run:
        """Run tests, which usually take so many seconds each, up to the first that fails."""
        scratch = Path(tempfile.mkdtemp(prefix="mutant-"))
        child = self._processes.Process(target=_run, args=(self._tree, scratch, dict(tests)))
        child.start()
        child.join(60 + sum(_TIMES * seconds + 1 for _, seconds in tests))
        with suppress(ProcessLookupError):
            os.killpg(child.pid or 0, signal.SIGKILL)
        child.join()
        running, failed = _text(scratch / "running"), _text(scratch / "failed")
        crashed = running if child.exitcode != 0 else ""
        timed_out = "Timeout (" in _text(scratch / "out")
        shutil.rmtree(scratch, ignore_errors=True)
        return Run(failed or crashed or None, timed_out, bool(running or failed))


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _run(tree: Path, scratch: Path, tests: dict[str, float]) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    os.chdir(tree)
    given = {**environment(tree), "TMPDIR": str(scratch)}
    os.environ.clear()
    os.environ.update(given)
    tempfile.tempdir = None
    for name in list(sys.modules):
        if name.partition(".")[0] in {"tests", PACKAGE}:
            del sys.modules[name]
    sys.path[:] = [str(tree), *(path for path in sys.path if path)]
    out = os.open(scratch / "out", os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--tb=line"]
    listed = scratch / "tests"
    listed.write_text("\n".join(tests))
    code = pytest.main([*arguments, f"@{listed}"], plugins=[_Watch(scratch, tests)])
    os._exit(int(code))


class _Watch:
    """Writes which test runs and which failed; ends the process where one takes too long."""

    def __init__(self, scratch: Path, seconds: dict[str, float]) -> None:
        self._scratch = scratch
        self._seconds = seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        (self._scratch / "running").write_text(item.nodeid)
        limit = _MORE + _TIMES * self._seconds.get(item.nodeid, 0.0)
        with (self._scratch / "out").open("a") as out:
            faulthandler.dump_traceback_later(limit, exit=True, file=out)
            result = yield
            faulthandler.cancel_dump_traceback_later()
        return result

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            (self._scratch / "failed").write_text(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            (self._scratch / "failed").write_text(f"collection of {report.nodeid}")
