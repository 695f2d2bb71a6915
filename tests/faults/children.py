"""Verbs in processes of their own that start at once: forks of one that has everything loaded.

What is killed at a random instant is then killed in its work, and not in its imports.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("FAULTS_SEED", "13"))

#: What a child ends with that a signal reached before it called the command.
TOO_EARLY = 99

#: What the verbs import when they are called.
_MODULES = (
    "mmengine.config", "mmseg.apis", "mmseg_fixkit.apis.adapt",
    "mmseg_fixkit.apis.check_files", "mmseg_fixkit.apis.convert_labels",
    "mmseg_fixkit.apis.explain.explain", "mmseg_fixkit.apis.patch",
    "mmseg_fixkit.apis.preflight.runner", "mmseg_fixkit.cli.output.sarif",
    "mmseg_fixkit.cli.output.scan_html", "mmseg_fixkit.cli.output.scan_text",
    "mmseg_fixkit.cli.output.text", "mmseg_fixkit.config.in_place", "mmseg_fixkit.config.overlay",
    "mmseg_fixkit.config.write", "mmseg_fixkit.datasets.rewrite",
    "mmseg_fixkit.datasets.scan_files", "mmseg_fixkit.rules", "rich.markdown",
)  # fmt: skip
_IF_INSTALLED = (
    "importlib.readers",
    "importlib.resources.readers",
    "onnxruntime",
    "onnxscript",
    "mmseg_fixkit.apis.export",
    "safetensors.torch",
    "tomllib",  # another user may not read where Python is
    "tomli",
)


def rounds(few: int) -> int:
    """Return how many instants are tried: ``few`` in the suite, ``FAULTS`` where that is set."""
    return int(os.environ.get("FAULTS", few))


@dataclass(frozen=True)
class Ended:
    """How a child ended; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str
    seconds: float


class Children:
    """Starts verbs, each in a fork of a process that is ready."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.children"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
            text=True,
        )
        assert self._answer() == "ready"

    def close(self) -> None:
        """End the process."""
        self._server.communicate(timeout=30)

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline())

    def ask(self, **what: Any) -> Any:
        """Send an order, and return the answer."""
        assert self._server.stdin is not None
        print(json.dumps(what), file=self._server.stdin, flush=True)
        return self._answer()

    @contextmanager
    def started(self, arguments: Sequence[str], folder: Path, **streams: Any) -> Iterator[Child]:
        """Start ``mmseg-fix`` in ``folder``; it is killed in the end if it is still there."""
        child = Child(self, self.ask(start=[*arguments], folder=str(folder), **streams), folder)
        try:
            yield child
        finally:
            child.signal(signal.SIGKILL, whole=True)
            child.end()

    def run(self, arguments: Sequence[str], folder: Path, **streams: Any) -> Ended:
        """Run ``mmseg-fix`` to its end."""
        with self.started(arguments, folder, **streams) as child:
            return child.end()


class Child:
    """A running verb."""

    def __init__(self, children: Children, pid: int, folder: Path) -> None:
        self._children, self.pid, self._folder = children, pid, folder
        self._began = time.monotonic()
        self._ended: Optional[Ended] = None

    def signal(self, number: int, *, whole: bool = False) -> None:
        """Send a signal to the process, or with its workers to the ``whole`` group."""
        if self._ended is not None:
            return
        if whole:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
                return
        os.kill(self.pid, number)  # it is there until it is waited for

    def end(self) -> Ended:
        """Wait for the end of the process, and of the workers that it may have left."""
        if self._ended is None:
            code = self._children.ask(wait=self.pid)
            seconds = time.monotonic() - self._began
            out, err = (self._folder.with_name(f"{self._folder.name}.{n}") for n in ("out", "err"))
            texts = (file.read_text(errors="replace") for file in (out, err))
            self._ended = Ended(code, *texts, seconds)
            self._wait_for_workers()
        return self._ended

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.01)
        raise AssertionError("a worker outlives its process")


# --- the process that forks -----------------------------------------------------------------------


def _serve() -> None:
    import importlib

    for name in _MODULES:
        importlib.import_module(name)
    for name in _IF_INSTALLED:
        with suppress(ImportError):
            importlib.import_module(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until a child is ready for it
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _become(order)
            os.waitid(os.P_PID, answer, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        print(json.dumps(answer), flush=True)


def _become(order: dict[str, Any]) -> None:
    """Run the command in this process, and end it."""
    code = TOO_EARLY
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        folder = Path(order["folder"])
        os.chdir(folder)
        os.environ.update({"XDG_CACHE_HOME": str(folder.with_name(f"{folder.name}.cache"))})
        _redirect(order, folder)
        sys.argv = ["mmseg-fix", *order["start"]]
        if "user" in order:
            os.setgroups([])
            os.setgid(order["user"])
            os.setuid(order["user"])
        if "limit" in order:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
        from mmseg_fixkit.cli import main

        main()
    except SystemExit as done:
        code = int(done.code or 0)
    except KeyboardInterrupt:
        pass
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 98
    finally:
        _end(code)


def _redirect(order: dict[str, Any], folder: Path) -> None:
    """Give the process its own streams: files, or what the order names, or none."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    for number, name in ((1, "out"), (2, "err")):
        file = str(folder.with_name(f"{folder.name}.{name}"))
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        asked = order.get(name, file)
        opened = _broken_pipe() if asked == "pipe" else os.open(asked or file, os.O_WRONLY)
        os.dup2(opened, number)
        os.close(opened)
        if asked is None:
            os.close(number)
    os.close(empty)
    if order.get("out", "") is None:
        sys.stdout = sys.__stdout__ = None  # as Python finds it
    if order.get("err", "") is None:
        sys.stderr = sys.__stderr__ = None


def _broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _end(code: int) -> None:
    """End as Python does, with what is done at exit, but without what the server has to do."""
    import atexit

    try:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except BaseException:
        code = 120
    os._exit(code)


if __name__ == "__main__":
    _serve()
