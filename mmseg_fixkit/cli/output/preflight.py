"""What a preflight found: for people, and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmseg_fixkit.apis.preflight.runner import Outcome, State
from mmseg_fixkit.cli.output.json import record
from mmseg_fixkit.core.diagnostics import Report
from mmseg_fixkit.core.text import wrapped

_MARKS = {
    State.PASSED: "ok",
    State.WARNED: "look",
    State.FAILED: "FAILED",
    State.SKIPPED: "skipped",
}
_INDENT = " " * 28


def lines_of(outcome: Outcome, width: int = 100) -> Iterator[str]:
    """Yield the lines of one stage: how it went, and below it what is wrong."""
    seconds = "" if outcome.state is State.SKIPPED else f"{outcome.seconds:.1f} s"
    head = f"{outcome.name:<11} {_MARKS[outcome.state]:<8}{seconds:>6}"
    yield from _wrapped(outcome.text, width, f"{head}  ")
    for found in outcome.findings:
        yield from _wrapped(f"{found.code} {found.message}", width, _INDENT)
    for cause in outcome.explanations:
        yield from _wrapped(f"{cause.title}. {cause.what}", width, _INDENT)
        for advice in cause.next:
            yield from _wrapped(f"- {advice}", width, _INDENT)


def _wrapped(text: str, width: int, lead: str) -> list[str]:
    return wrapped(" ".join(text.split()), max(width, 60), lead, _INDENT)


def closing(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the last line: how many stages went how."""
    words = {State.PASSED: "passed", State.WARNED: "to look at", State.FAILED: "failed"}
    words[State.SKIPPED] = "skipped"
    counts = {state: sum(o.state is state for o in outcomes) for state in words}
    parts = [f"{count} {words[state]}" for state, count in counts.items() if count]
    return f"{len(outcomes)} stages in {seconds:.0f} s: {', '.join(parts)}."


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 where nothing is to be said, 1 where something is."""
    return int(any(o.state in (State.FAILED, State.WARNED) for o in outcomes))


def as_json(config: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return everything as plain data."""
    report = Report(config, None, ())
    return {"config": config, "stages": [_stage(report, outcome) for outcome in outcomes]}


def _stage(report: Report, outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "state": outcome.state.value,
        "seconds": round(outcome.seconds, 3),
        "text": outcome.text,
        "findings": [record(report, d) for d in outcome.findings],
        "explanations": [
            {"id": e.id, "title": e.title, "what": e.what, "next": list(e.next)}
            for e in outcome.explanations
        ],
    }
