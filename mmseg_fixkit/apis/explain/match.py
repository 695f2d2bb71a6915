"""Faults found in a piece of text."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Optional

from mmseg_fixkit.apis.explain.clean_text import Cleaned
from mmseg_fixkit.apis.explain.fault import CONDITIONS, Fault, all_faults, merged
from mmseg_fixkit.apis.explain.pieces import Piece

#: First and last character of a match in the plain text.
Span = tuple[int, int]

#: What the lines of a training are full of; a search for another character is over them soon.
COMMON = frozenset("abcdegilmnorstux_0123456789.:-/[]INFO")
#: The least of an anchor that is searched for.
SHORTEST = 4


@dataclass(frozen=True)
class Match:
    """A fault, found once."""

    fault: Fault
    line: int  # counted from 1
    evidence: str  # the line, joined where it was wrapped
    groups: dict[str, str]  # what the pattern took out of it


def matches(piece: Piece, left_out: Container[str]) -> Iterator[Match]:
    """Yield what is found in a piece of text: line by line, then what was wrapped.

    Without line breaks, the number at the end of a line runs into the next one, so what was found
    in the lines is not looked at again. Faults whose ids are ``left_out`` are not looked for.
    """
    if not _first_look().search(piece.squeezed):
        return
    squeezed = piece.squeezed.decode("utf-8", "replace")
    wanted = (f for f in all_faults().values() if f.id not in left_out)
    candidates = [f for f in wanted if any(text in squeezed for text in f.literals)]
    in_lines = [found for f in candidates for found in _found(f, piece.lines, piece, ())]
    taken = [span for span, _ in in_lines]
    wrapped = [found for f in candidates for found in _found(f, piece.joined, piece, taken)]
    yield from (m for (_, last), m in (*in_lines, *wrapped) if piece.begin <= last < piece.end)


@cache
def _first_look() -> re.Pattern[bytes]:
    """One pattern for the anchors of all faults, each from its first rare character on."""
    parts = {rare_part(text) for fault in all_faults().values() for text in fault.literals}
    return re.compile("|".join(map(re.escape, sorted(parts))).encode())


def rare_part(text: str) -> str:
    """Return the end of a literal that begins with a rare character, or the whole."""
    places = range(max(1, len(text) - SHORTEST + 1))
    return next((text[i:] for i in places if text[i] not in COMMON), text)


def _found(
    fault: Fault, text: Cleaned, piece: Piece, taken: Sequence[Span]
) -> Iterator[tuple[Span, Match]]:
    """Yield matches and their spans: at each place, that of the first pattern that has one."""
    spans = list(taken)
    for expression in fault.expressions:
        for match in expression.finditer(text.without_spaces):
            span = text.places[match.start()], text.places[match.end() - 1]
            if any(start <= span[1] and span[0] <= end for start, end in spans):
                continue
            groups = {name: _group(match, name, text) for name in _present(match)}
            if CONDITIONS[fault.only_if](merged([groups])):
                spans.append(span)
                evidence = text.lines_of(*match.span())
                yield span, Match(fault, piece.line_at(span[0]), evidence, groups)


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
