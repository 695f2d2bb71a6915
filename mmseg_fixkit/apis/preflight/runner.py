"""Stages one after the other: each passes, fails with a cause, or is skipped with a reason."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
class Seen:
    """What a stage that ran to its end has seen.

    Args:
        text: in a few words.
        findings: what is wrong; any error among them fails the stage.
    """

    text: str
    findings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How one stage went.

    Args:
        name: of the stage.
        state: how it ended.
        seconds: how long it took.
        text: what was seen; of a failure, the error; of a skipped one, the reason.
        findings: what is wrong.
        explanations: known causes of the error.
    """

    name: str
    state: State
    seconds: float
    text: str
    findings: tuple[Diagnostic, ...] = ()
    explanations: tuple[Explanation, ...] = ()


@dataclass
class Flight:
    """What the stages hand on.

    Args:
        config: a path or a zoo name.
        checkpoint: what to start from; where left out, ``load_from`` of the config.
        device: where the model runs.
        samples: how many samples of the training data pass the pipeline.
    """

    config: str
    checkpoint: Optional[Path] = None
    device: str = "cpu"
    samples: int = 4
    parts: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.parts[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.parts[name] = value


@dataclass(frozen=True)
class Stage:
    """One thing to try.

    Args:
        name: a word.
        run: tries it; raises :class:`Skipped`, or whatever goes wrong.
        needs: parts that earlier stages hand on.
    """

    name: str
    run: Callable[[Flight], Seen]
    needs: tuple[str, ...] = ()


def fly(flight: Flight, stages: Sequence[Stage]) -> Iterator[Outcome]:
    """Yield the outcome of each stage as it ends. A failure does not stop what can go on."""
    for stage in stages:
        started = time.perf_counter()
        with quiet():
            outcome = _tried(flight, stage)
        seconds = 0.0 if outcome.state is State.SKIPPED else time.perf_counter() - started
        yield Outcome(
            stage.name,
            outcome.state,
            seconds,
            outcome.text,
            outcome.findings,
            outcome.explanations,
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the host's log and warnings to itself: it writes a line for each tensor."""
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


def _tried(flight: Flight, stage: Stage) -> Outcome:
    lacking = [need for need in stage.needs if need not in flight.parts]
    if lacking:
        reason = f"needs the {lacking[0]}, which an earlier stage did not bring"
        return Outcome(stage.name, State.SKIPPED, 0, reason)
    try:
        seen = stage.run(flight)
    except Skipped as reason:
        return Outcome(stage.name, State.SKIPPED, 0, str(reason))
    except FixkitError as error:
        return Outcome(stage.name, State.FAILED, 0, str(error))
    except Exception as error:  # whatever the host and the user's own modules raise
        return _failed(flight, stage, error)
    errors = any(d.severity.value == "error" for d in seen.findings)
    warned = State.WARNED if seen.findings else State.PASSED
    return Outcome(stage.name, State.FAILED if errors else warned, 0, seen.text, seen.findings)


def _failed(flight: Flight, stage: Stage, error: Exception) -> Outcome:
    text = f"{type(error).__name__}: {error}".strip()
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    try:
        causes = explain(trace, flight.config)
    except FixkitError:
        causes = explain(trace)
    return Outcome(stage.name, State.FAILED, 0, text, explanations=tuple(causes))
