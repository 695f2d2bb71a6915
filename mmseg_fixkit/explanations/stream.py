"""A text of any size, read once, in memory that does not grow with it.

The first look is a search in a copy without white space, so that neither wrapping nor the width
of a terminal hides a literal. Only the surroundings of a hit are looked at closer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Callable

_CHUNK = 1 << 21
#: What is looked at before a hit, and behind it; a table of 1000 classes fits behind.
BEFORE, BEHIND = 1 << 13, 1 << 16
_SHORTLY = 1 << 13
_BLOCK = 1 << 12
#: A literal that begins before the end of what is searched may end this far behind.
_LITERAL = 1 << 9

#: White space, and the zero bytes that every other byte is in UTF-16 (PowerShell's ``>``).
_NO_TEXT = b" \t\n\r\x0b\x0c\x00"
_ANSI = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]")

#: A log may repeat one message for each thread of a GPU; the first ones say all there is.
_ENOUGH = 300

#: Text without white space, and where to stop -> places before that, and what is there.
Finder = Callable[[bytes, int], Iterable[tuple[int, str]]]


@dataclass(frozen=True)
class Window:
    """A piece of the text around one or more hits.

    Args:
        text: the piece.
        line: the number of its first line.
        hits: what was found in it.
    """

    text: str
    line: int
    hits: frozenset[str]

    def line_at(self, position: int) -> int:
        """Return the number of the line of a character."""
        return self.line + self.text.count("\n", 0, position)


def literals(texts: Iterable[str], *, all_of: Sequence[str] = ()) -> Finder:
    """Return a finder of literals without white space.

    Args:
        texts: of each, the first few hundred places are found.
        all_of: of these, every place.
    """
    parts = [*map(_rare_part, texts), *all_of]
    together = _any_of(part for part in parts if part[0] not in _COMMON)
    alone = [_any_of([part]) for part in parts if part[0] in _COMMON]
    seen: Counter[str] = Counter()

    def find(squeezed: bytes, stop: int) -> Iterator[tuple[int, str]]:
        for match in chain.from_iterable(e.finditer(squeezed) for e in (together, *alone)):
            text = match[0].decode()
            seen[text] += match.start() < stop
            if match.start() < stop and (seen[text] <= _ENOUGH or text in all_of):
                yield match.start(), text

    return find


#: Bytes that the lines of a training are full of; a search for another one is over them soon.
_COMMON = frozenset("abcdegilmnorstuxy_0123456789.:-/[]INFO")
_SHORTEST = 6


def _rare_part(text: str) -> str:
    """Return the end of a literal that begins with a rare character, or the whole."""
    places = range(max(1, len(text) - _SHORTEST + 1))
    return next((text[i:] for i in places if text[i] not in _COMMON), text)


def _any_of(texts: Iterable[str]) -> re.Pattern[bytes]:
    """Compile an alternation that decides by the first byte, or a literal by itself.

    A literal by itself is found by its whole text, fast wherever its bytes are common.
    """
    by_first: dict[str, list[str]] = {}
    for text in sorted(set(texts), key=len, reverse=True):
        by_first.setdefault(text[0], []).append(re.escape(text[1:]))
    parts = (
        re.escape(first) + (rest[0] if len(rest) == 1 else f"(?:{'|'.join(rest)})")
        for first, rest in by_first.items()
    )
    return re.compile("|".join(parts).encode())


def windows(
    stream: BinaryIO, finders: Sequence[Finder], far: Sequence[str] = ()
) -> Iterator[Window]:
    """Yield the surroundings of each place that a finder finds; they may overlap.

    Args:
        stream: is read to its end.
        finders: called with one piece of the text after the other.
        far: hits behind which more text belongs to them.
    """
    data, line, begin = b"", 1, 0
    while True:
        new = stream.read(_CHUNK)
        data += _ANSI.sub(b"", new) if b"\x1b" in new else new
        end = max(begin, len(data) - BEHIND) if new else len(data)
        counted, number = 0, line
        for start, stop, hits in _pieces(_hits(data, begin, end, finders), far):
            number, counted = number + data.count(b"\n", counted, start), start
            yield Window(data[start:stop].decode("utf-8", "replace"), number, hits)
        if not new:
            return
        keep = max(0, end - BEFORE)
        line += data.count(b"\n", 0, keep)
        data, begin = data[keep:], end - keep


def _pieces(
    found: Iterable[tuple[int, str]], far: Sequence[str]
) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Yield start, end and hits of the pieces around hits, which are in order."""
    start, stop, hits = 0, -1, frozenset[str]()
    for place, text in found:
        reach = place + (BEHIND if text in far else _SHORTLY)
        if hits and place > stop:
            yield start, stop, hits
            hits, stop = frozenset(), -1
        start = start if hits else max(0, place - BEFORE)
        hits, stop = hits | {text}, max(stop, reach)
    if hits:
        yield start, stop, hits


def _hits(
    data: bytes, begin: int, end: int, finders: Sequence[Finder]
) -> Iterator[tuple[int, str]]:
    """Yield where hits begin, to a block, and what they are; in order."""
    squeezed = data[begin:end].translate(None, _NO_TEXT)
    stop = len(squeezed)
    squeezed += data[end : end + _LITERAL].translate(None, _NO_TEXT)
    found = sorted(hit for find in finders for hit in find(squeezed, stop))
    if not found:
        return
    passed, block = 0, begin - _BLOCK
    for place, text in found:
        while passed <= place:
            block += _BLOCK
            passed += len(data[block : min(block + _BLOCK, end)].translate(None, _NO_TEXT))
        yield block, text
