"""A text of any size, read once, in memory that does not grow with it."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from mmseg_fixkit.apis.explain.clean_text import Cleaned, without_decoration

_SIZE = 1 << 17
#: What is seen around a piece: a message may begin before it, a table of 1000 classes end behind.
_BEFORE, _BEHIND = 1 << 13, 1 << 16

_SPACE = b" \t\n\r\x0b\x0c"
#: Control characters but for white space and the two of ANSI sequences. UTF-16, of a Windows
#: shell's `>`, is ASCII with a zero byte after each other one.
_CONTROLS = bytes({*range(0x20), 0x7F} - {*_SPACE, 0x07, 0x1B})
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]")
#: No ANSI sequence is longer.
_LONGEST = 1 << 10
#: Characters that nobody sees, among them those that turn the direction of writing.
_UNSEEN = re.compile("[\x80-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


@dataclass(frozen=True)
class Piece:
    """A piece of a text, and what stands around it.

    What ends within the piece belongs to it, and to no other.
    """

    text: str  # both
    begin: int  # of the piece in it
    end: int
    line: int  # the number of the first one of ``text``

    @cached_property
    def squeezed(self) -> bytes:
        """The text up to the end of the piece without white space: no line break hides a word."""
        return self.text[: self.end].encode("utf-8", "replace").translate(None, _SPACE)

    @cached_property
    def plain(self) -> str:
        """The text without colours and prefixes; each character is where it was."""
        return without_decoration(self.text)

    @cached_property
    def lines(self) -> Cleaned:
        """Its lines without white space."""
        return Cleaned(self.plain, keep_lines=True)

    @cached_property
    def joined(self) -> Cleaned:
        """The text without any white space."""
        return Cleaned(self.plain, keep_lines=False)

    def line_at(self, position: int) -> int:
        """Return the number of the line of a character."""
        return self.line + self.text.count("\n", 0, position)


def pieces(stream: BinaryIO) -> Iterator[Piece]:
    """Yield a text piece by piece to its end."""
    decode = getincrementaldecoder("utf-8")("replace").decode
    text, begin, line, more, held = "", 0, 1, True, ""
    while more:
        data = stream.read(_SIZE)
        more = bool(data)
        read = held + decode(data.translate(None, _CONTROLS), final=not more)
        whole = _whole(read) if more else len(read)
        held = read[whole:]
        text += _shown(read[:whole])
        end = max(begin, len(text) - _BEHIND) if more else len(text)
        yield Piece(text, begin, end, line)
        cut = max(0, end - _BEFORE)
        line += text.count("\n", 0, cut)
        text, begin = text[cut:], end - cut


def _whole(text: str) -> int:
    """Return where an ANSI sequence begins whose end has not been read yet, else the length."""
    begin = text.find("\x1b", max(0, len(text) - _LONGEST))
    while begin >= 0:
        sequence = _ANSI.match(text, begin)
        if sequence is None:
            return begin
        begin = text.find("\x1b", sequence.end())
    return len(text)


def _shown(text: str) -> str:
    """Return a text without what a terminal takes as an order: what is quoted of it is printed."""
    if "\x1b" in text:
        text = _ANSI.sub("", text).replace("\x1b", "")
    return text.replace("\x07", "") if text.isascii() else _UNSEEN.sub("", text).replace("\x07", "")
