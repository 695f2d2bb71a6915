"""Entries found in a piece of text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from mmseg_fixkit.explanations.cleaned import Cleaned, without_decoration
from mmseg_fixkit.explanations.entries import by_anchor
from mmseg_fixkit.explanations.entry import Entry, merged
from mmseg_fixkit.explanations.stream import Window

#: First and last character of a match in the plain text.
Span = tuple[int, int]


@dataclass(frozen=True)
class Match:
    """An entry, found once.

    Args:
        entry: which.
        line: where, counted from 1.
        evidence: the line, joined where it was wrapped.
        groups: what the pattern took out of it.
    """

    entry: Entry
    line: int
    evidence: str
    groups: dict[str, str]


def matches(window: Window) -> Iterator[Match]:
    """Yield what is found in a piece of text: line by line, then what was wrapped.

    Without line breaks, the number at the end of a line runs into the next one, so what was found
    in the lines is not looked at again.
    """
    plain = without_decoration(window.text)
    whole, lines = Cleaned(plain, keep_lines=False), Cleaned(plain, keep_lines=True)
    candidates = _candidates(whole.squeezed)
    in_lines = {e.id: list(_found(e, lines, window, ())) for e in candidates}
    taken = [span for found in in_lines.values() for span, _ in found]
    for entry in candidates:
        found = in_lines[entry.id] or _found(entry, whole, window, taken)
        yield from (match for _, match in found)


def _candidates(squeezed: str) -> list[Entry]:
    table = by_anchor()
    found = [e for anchor, entries in table.items() if anchor in squeezed for e in entries]
    return list(dict.fromkeys(found))


def _found(
    entry: Entry, text: Cleaned, window: Window, taken: Sequence[Span]
) -> Iterator[tuple[Span, Match]]:
    """Yield matches and their spans: at each place, that of the first pattern that has one."""
    spans = list(taken)
    for expression in entry.expressions:
        for match in expression.finditer(text.squeezed):
            span = text.places[match.start()], text.places[match.end() - 1]
            if any(start <= span[1] and span[0] <= end for start, end in spans):
                continue
            groups = {name: _group(match, name, text) for name in _present(match)}
            if entry.only_if(merged([groups])):
                spans.append(span)
                evidence = text.lines_of(*match.span())
                yield span, Match(entry, window.line_at(span[0]), evidence, groups)


def _present(match: re.Match[str]) -> list[str]:
    return [name for name, value in match.groupdict().items() if value is not None]


def _group(match: re.Match[str], name: str, text: Cleaned) -> str:
    """Return a group as it was written.

    Without white space, a word at an end of the match may have words beside it stick to it.
    """
    squeezed = match[name]
    if re.fullmatch(r"[\d,]+", squeezed):
        return squeezed.replace(",", ", ")
    written = text.original(*match.span(name))
    words = written.split()
    if len(words) < 2 or _is_quoted(match, name) or re.search(r"[\[('\",]", written):
        return written
    return words[0] if match.end(name) == match.end() else words[-1]


def _is_quoted(match: re.Match[str], name: str) -> bool:
    start: Optional[int] = match.start(name)
    return bool(start) and match.string[match.start(name) - 1] in "'\"`["
