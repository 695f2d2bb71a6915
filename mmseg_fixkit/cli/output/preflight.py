"""What a preflight found: for people, and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmseg_fixkit.apis.preflight.runner import StageResult, State
from mmseg_fixkit.cli.output.json import record
from mmseg_fixkit.core.diagnostics import Report
from mmseg_fixkit.core.text import printable, wrapped

_MARKS = {
    State.PASSED: "ok",
    State.WARNED: "look",
    State.FAILED: "FAILED",
    State.SKIPPED: "skipped",
}
_INDENT = " " * 28


def lines_of(result: StageResult, width: int = 100) -> Iterator[str]:
    """Yield the lines of one stage: how it went, and below it what is wrong."""
    seconds = "" if result.state is State.SKIPPED else f"{result.seconds:.1f} s"
    head = f"{result.name:<11} {_MARKS[result.state]:<8}{seconds:>6}"
    yield from _wrapped(result.text, width, f"{head}  ")
    for found in result.findings:
        yield from _wrapped(f"{found.code} {found.message}", width, _INDENT)
    for cause in result.explanations:
        yield from _wrapped(f"{cause.title}. {cause.what}", width, _INDENT)
        for advice in cause.next:
            yield from _wrapped(f"- {advice}", width, _INDENT)


def _wrapped(text: str, width: int, lead: str) -> list[str]:
    return wrapped(printable(" ".join(text.split())), max(width, 60), lead, _INDENT)


def closing(results: Sequence[StageResult], seconds: float) -> str:
    """Return the last line: how many stages went how."""
    words = {State.PASSED: "passed", State.WARNED: "to look at", State.FAILED: "failed"}
    words[State.SKIPPED] = "skipped"
    counts = {state: sum(o.state is state for o in results) for state in words}
    parts = [f"{count} {words[state]}" for state, count in counts.items() if count]
    return f"{len(results)} stages in {seconds:.0f} s: {', '.join(parts)}."


def exit_code(results: Sequence[StageResult]) -> int:
    """Return 0 where nothing is to be said, 1 where something is."""
    return int(any(o.state in (State.FAILED, State.WARNED) for o in results))


def as_json(config: str, results: Sequence[StageResult]) -> dict[str, Any]:
    """Return everything as plain data."""
    report = Report(config, None, ())
    return {"config": config, "stages": [_stage(report, result) for result in results]}


def _stage(report: Report, result: StageResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "state": result.state.value,
        "seconds": round(result.seconds, 3),
        "text": result.text,
        "findings": [record(report, d) for d in result.findings],
        "explanations": [
            {"id": e.id, "title": e.title, "what": e.what, "next": list(e.next)}
            for e in result.explanations
        ],
    }
