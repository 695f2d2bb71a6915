"""Explanations as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Callable

from mmseg_fixkit.apis.explain.explanation import Explanation, PossibleCause
from mmseg_fixkit.core.diagnostics import Diagnostic, format_key
from mmseg_fixkit.core.text import printable, wrapped

#: Marks up a text for a terminal: its words and what they are.
Style = Callable[[str, str], str]

_INDENT = "   "
_WORD = 6  # the width of the words in the margin
_EVIDENCE = 240

UNKNOWN = (
    "No known fault is in this text.",
    "For a clearer one:",
    "- give the whole log, with the lines above the traceback: mmseg-fix explain run.log",
    "- run again with CUDA_LAUNCH_BLOCKING=1, or on the CPU with CUDA_VISIBLE_DEVICES= before the "
    "command: messages then name the value and the line;",
    "- mmseg-fix check CONFIG looks for the faults that a config can have.",
)


def plain(text: str, kind: str) -> str:
    """Leave the text as it is."""
    return text


def explain_text(explained: Sequence[Explanation], width: int = 80, style: Style = plain) -> str:
    """Return the explanations for people, numbered if there are several."""
    numbers = {each.id: number for number, each in enumerate(explained, 1)}
    several = len(explained) > 1
    blocks = ["\n".join(_block(e, numbers, several, width, style)) for e in explained]
    return "\n\n".join(blocks) + "\n"


def unknown_text(width: int = 80) -> str:
    """Return what to say of a text in which nothing is known."""
    return "".join(f"{line}\n" for text in UNKNOWN for line in wrapped(text, width, indent="  "))


def _block(
    explained: Explanation, numbers: dict[str, int], several: bool, width: int, style: Style
) -> Iterator[str]:
    number = f"{numbers[explained.id]}. " if several else ""
    yield style(f"{number}{explained.title}", "title")
    yield from _evidence(explained, width, style)
    if explained.consequence_of:
        root = numbers[explained.consequence_of]
        yield f"{_INDENT}A consequence of {root}: repair that one first."
        return
    yield from _paragraph("what", explained.what, width, style)
    yield from _paragraph("why", explained.why, width, style)
    for possibility in explained.possibilities:
        yield from _possibility(possibility, width, style)
    for found in _other_findings(explained):
        yield from _paragraph("found", _finding(found), width, style)
    yield from _paragraph("sure", explained.sure, width, style)
    yield from _steps(explained.next, width, style)
    yield from _paragraph("see", _sources(explained), width, style)


def _evidence(explained: Explanation, width: int, style: Style) -> Iterator[str]:
    more = f" (and {explained.count - 1} more)" if explained.count > 1 else ""
    quoted = explained.evidence
    if len(quoted) > _EVIDENCE:
        quoted = f"{quoted[: _EVIDENCE - 1]}…"
    text = f"line {explained.line}{more}: {quoted}"
    lines = wrapped(printable(text), width, _INDENT, f"{_INDENT}  ", break_words=True)
    yield from (style(line, "evidence") for line in lines)


def _paragraph(word: str, text: str, width: int, style: Style) -> Iterator[str]:
    if not text:
        return
    margin = " " * (len(_INDENT) + _WORD + 1)
    first, *rest = wrapped(printable(text), width, margin, margin)
    yield f"{_INDENT}{style(word.ljust(_WORD), 'word')} {first[len(margin) :]}"
    yield from rest


def _possibility(possibility: PossibleCause, width: int, style: Style) -> Iterator[str]:
    verdict = {None: "cause", True: "fits", False: "not"}[possibility.fits]
    why = f" In the config: {possibility.because}." if possibility.because else ""
    yield from _paragraph(verdict, f"{possibility.what}{why}", width, style)


def _steps(steps: Sequence[str], width: int, style: Style) -> Iterator[str]:
    word = "next"
    for step in steps:
        command, _, note = step.partition("  # ")
        if not step.startswith("mmseg-fix"):
            yield from _paragraph(word, step, width, style)
        else:
            shown = style(printable(command), "command")
            yield f"{_INDENT}{style(word.ljust(_WORD), 'word')} $ {shown}"
            yield from _paragraph("", f"({note})", width, style) if note else ()
        word = ""


def _other_findings(explained: Explanation) -> list[Diagnostic]:
    """Return the findings that no cause has named."""
    shown = " ".join(p.because for p in explained.possibilities)
    return [found for found in explained.findings if found.message not in shown]


def _finding(found: Diagnostic) -> str:
    from mmseg_fixkit.cli.output.text import shown_path

    at = found.location
    place = f"{shown_path(at.file)}{f':{at.line}' if at.line else ''}: " if at else ""
    return f"{place}{found.code} {found.message}"


def _sources(explained: Explanation) -> str:
    rules = [f"`mmseg-fix rule {code}`" for code in explained.rules[:2]]
    return ", ".join([*rules, *explained.references])


def as_json(explained: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Return the explanations for ``json``."""
    return [
        {
            **vars(each),
            "possibilities": [vars(cause) for cause in each.possibilities],
            "findings": [_found(finding) for finding in each.findings],
        }
        for each in explained
    ]


def _found(found: Diagnostic) -> dict[str, Any]:
    return {
        "code": found.code,
        "message": found.message,
        "key": format_key(found.key),
        "location": str(found.location) if found.location else None,
    }
