"""Stages one after the other: each passes, fails with a cause, or is skipped with a reason."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.apis.explain.explain import explain
from mmseg_fixkit.apis.explain.explanation import Explanation
from mmseg_fixkit.core.diagnostics import Diagnostic
from mmseg_fixkit.core.errors import FixkitError


class State(str, Enum):
    """How a stage ended."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    SKIPPED = "skipped"


class Skipped(Exception):  # noqa: N818 - a way to end, and no error
    """A stage has nothing to try; the text says why."""


@dataclass(frozen=True)
class StageFindings:
    """What a stage that ran to completion has found; an error among ``findings`` fails it."""

    text: str
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class StageResult:
    """How one stage went."""

    name: str
    state: State
    text: str  # what was found; of a failure the error, of a skipped one the reason
    findings: tuple[Diagnostic, ...] = ()
    explanations: tuple[Explanation, ...] = ()  # known causes of the error
    seconds: float = 0.0


@dataclass
class PreflightRun:
    """What is tried, and what stages pass to later ones."""

    config: str  # a path or a zoo name
    checkpoint: Optional[Path] = None  # where left out, ``load_from`` of the config
    device: str = "cpu"
    samples: int = 4  # of the training data, to pass the pipeline
    parts: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.parts[name] = value


@dataclass(frozen=True)
class Stage:
    """One thing to try: ``run`` raises :class:`Skipped`, or whatever goes wrong.

    ``needs`` are the parts that earlier stages pass on.
    """

    name: str
    run: Callable[[PreflightRun], StageFindings]
    needs: tuple[str, ...] = ()


def run_stages(run: PreflightRun, stages: Sequence[Stage]) -> Iterator[StageResult]:
    """Yield the result of each stage as it ends. A failure does not stop what can go on."""
    for stage in stages:
        started = time.perf_counter()
        with quiet():
            result = _tried(run, stage)
        seconds = 0.0 if result.state is State.SKIPPED else time.perf_counter() - started
        yield replace(result, seconds=seconds)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the host's log and warnings: it writes a line for each tensor."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def _tried(run: PreflightRun, stage: Stage) -> StageResult:
    lacking = [need for need in stage.needs if need not in run.parts]
    if lacking:
        reason = f"needs the {lacking[0]}, which no earlier stage provided"
        return StageResult(stage.name, State.SKIPPED, reason)
    try:
        found = stage.run(run)
    except Skipped as reason:
        return StageResult(stage.name, State.SKIPPED, str(reason))
    except FixkitError as error:
        return StageResult(stage.name, State.FAILED, str(error))
    except Exception as error:  # whatever the host and the user's own modules raise
        return _failed(run, stage, error)
    errors = any(d.severity.value == "error" for d in found.findings)
    warned = State.WARNED if found.findings else State.PASSED
    state = State.FAILED if errors else warned
    return StageResult(stage.name, state, found.text, found.findings)


def _failed(run: PreflightRun, stage: Stage, error: Exception) -> StageResult:
    text = f"{type(error).__name__}: {error}".strip()
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        causes = explain(trace, run.config)
    except FixkitError:
        causes = explain(trace)
    return StageResult(stage.name, State.FAILED, text, explanations=tuple(causes))
