"""Starts the host in a process of its own and gathers what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Callable, Optional

import mmseg_fixkit
from mmseg_fixkit.errors import FixkitError

Listener = Callable[[Mapping[str, Any]], None]

_LOG_LINE = re.compile(r"^\d\d/\d\d \d\d:\d\d:\d\d - \S+ - [A-Z]+ - ")
#: The host prints this one without time and level.
_UNSTAMPED = "The model and loaded state dict do not match exactly"


@dataclass(frozen=True)
class RunResult:
    """What came of one run of the host.

    Args:
        config: the file that was run.
        log: everything the host printed.
        error: the host's own error, as ``Type: message``; None if it went through.
        losses: the loss of each iteration.
        metrics: of the validation at the end.
    """

    config: Path
    log: Path
    error: Optional[str]
    losses: tuple[float, ...]
    metrics: Mapping[str, float]

    @property
    def predictions(self) -> Path:
        """The folder of the predicted label maps."""
        return self.log.parent / "predictions"

    def said(self, words: str) -> Optional[str]:
        """Return the first message in the host's log that holds these words, from there on."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        start = next((i for i, line in enumerate(lines) if words in line), None)
        if start is None:
            return None
        message = [_LOG_LINE.sub("", lines[start]), *takewhile(_goes_on, lines[start + 1 :])]
        return "\n".join(message)


def _goes_on(line: str) -> bool:
    """Whether a line belongs to the message of the line before it."""
    return bool(line.strip()) and not _LOG_LINE.match(line) and not line.startswith(_UNSTAMPED)


def ignore(event: Mapping[str, Any]) -> None:
    """Listen to nothing."""


def train(config: Path, work_dir: Path, listen: Listener) -> RunResult:
    """Train with a config, from its own folder, where its relative paths lead."""
    return _run("train", config, work_dir, work_dir, listen)


def make_checkpoint(config: Path, path: Path, work_dir: Path) -> None:
    """Save the config's untrained model."""
    result = _run("checkpoint", config, path, work_dir, ignore)
    if result.error:
        raise FixkitError(f"{path} could not be made: {result.error}; see {result.log}")


def _run(verb: str, config: Path, target: Path, work_dir: Path, listen: Listener) -> RunResult:
    work_dir.mkdir(parents=True, exist_ok=True)
    log = work_dir / "host.log"
    command = [sys.executable, "-m", "mmseg_fixkit.demo.worker", verb]
    with (
        log.open("w", encoding="utf-8") as printed,
        subprocess.Popen(
            [*command, config.name, str(target.resolve())],
            cwd=config.parent,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        assert process.stdout is not None
        events = list(_heard(process.stdout, listen))
    return _result(config, log, events, process.returncode)


def _environment() -> dict[str, str]:
    """Find this package wherever it was imported from, print no colours, use no GPU."""
    home = str(Path(mmseg_fixkit.__file__).resolve().parent.parent)
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    settled = {"PYTHONPATH": os.pathsep.join(paths), "NO_COLOR": "1", "CUDA_VISIBLE_DEVICES": ""}
    # Threads that wait without spinning: a third faster where other work keeps the cores busy.
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, **settled}


def _heard(lines: Iterator[str], listen: Listener) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        event: Mapping[str, Any] = json.loads(line)
        listen(event)
        yield event


def _result(config: Path, log: Path, events: list[Mapping[str, Any]], code: int) -> RunResult:
    errors = [str(e["text"]) for e in events if e["event"] == "error"]
    if code and not errors:
        errors = [f"the process ended with code {code}"]
    if errors and not any(e["event"] == "ready" for e in events):
        raise FixkitError(f"the installed stack cannot be imported: {errors[0]}; see {log}")
    metrics: Mapping[str, Any] = next((e for e in events if e["event"] == "metrics"), {})
    return RunResult(
        config=config,
        log=log,
        error=errors[0] if errors else None,
        losses=tuple(e["loss"] for e in events if e["event"] == "iteration"),
        metrics={name: value for name, value in metrics.items() if name != "event"},
    )
