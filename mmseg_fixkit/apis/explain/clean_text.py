"""Text as it was before a terminal, a logger or a launcher changed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

#: What loggers, launchers, mails and test runners put before a line.
_PREFIX = re.compile(
    r"""[^\S\n]* (?:
      \[? \d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d (?:[.,]\d+)? (?:Z|[+-]\d\d:?\d\d)? \]?
    | \d\d/\d\d[ ]\d\d:\d\d:\d\d
    | -[ ][\w.]+[ ]-[ ](?:DEBUG|INFO|WARNING|ERROR|CRITICAL)[ ]-
    | (?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]*:
    | \[(?:default|rank[ ]?)?\d+\]:
    | \d{1,4}:(?=[ ])
    | [\w.-]+[ ]+\|(?=[ ]\S)(?!.*\|[ ]*$)
    | E(?=[ ]{2,})
    | >(?=[ \n])
    )""",
    re.VERBOSE,
)
_MOST_PREFIXES = 8
#: The frames that rich draws around a traceback.
_FRAMES = str.maketrans("│┃", "  ")
_LINES = re.compile(r"^.*$", re.MULTILINE)
#: Colours whose escape character was lost on the way.
_LOST_ANSI = re.compile(r"(?:\^\[|\x1b)?\[(?:\d{1,2}(?:;\d{1,3})*)?m|\x1b\[[0-9;?]*[ -/]*[@-~]")


def without_decoration(text: str) -> str:
    """Blank colours and prefixes; every other character keeps its place."""
    plain = _LOST_ANSI.sub(_blank, text) if "[" in text else text
    return _LINES.sub(lambda line: _unprefixed(line[0]), plain.translate(_FRAMES))


def _unprefixed(line: str) -> str:
    end = 0
    for _ in range(_MOST_PREFIXES):
        if not (found := _PREFIX.match(line, end)):
            break
        end = found.end()
    return " " * end + line[end:]


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


@dataclass(frozen=True)
class Cleaned:
    """A text without decoration, and the same without white space, but for kept line breaks."""

    plain: str
    keep_lines: bool

    @property
    def _dropped(self) -> str:
        return " \t\x0b\x0c\xa0" if self.keep_lines else " \t\x0b\x0c\xa0\n\r"

    @cached_property
    def without_spaces(self) -> str:
        """The text that patterns are held against."""
        return self.plain.translate({13: "\n", **dict.fromkeys(map(ord, self._dropped))})

    @cached_property
    def places(self) -> list[int]:
        """Where in :attr:`plain` each character of :attr:`without_spaces` stands."""
        dropped = frozenset(self._dropped)
        return [i for i, character in enumerate(self.plain) if character not in dropped]

    def original(self, start: int, end: int) -> str:
        """Return what stands between two places of :attr:`without_spaces`, on one line."""
        if start >= end:
            return ""
        return unwrapped(self.plain[self.places[start] : self.places[end - 1] + 1])

    def lines_of(self, start: int, end: int, limit: int = 300) -> str:
        """Return the whole lines that hold the characters between two places."""
        first, last = self.places[start], self.places[end - 1]
        begin = max(self.plain.rfind("\n", 0, first) + 1, first - limit)
        stop = self.plain.find("\n", last)
        stop = min(len(self.plain) if stop < 0 else stop, last + limit)
        text = unwrapped(_last_progress(self.plain[begin:stop]))
        return text if len(text) <= 2 * limit else f"{text[: 2 * limit - 1]}…"


def _last_progress(text: str) -> str:
    """Drop what a progress bar wrote before on the same line."""
    return text.rstrip("\r").rpartition("\r")[2] if "\n" not in text else text


#: Lines of less than that are not broken by a terminal.
_NARROW = 60


def unwrapped(text: str) -> str:
    """Join lines: without a space where a terminal broke them in the middle of a word."""
    lines = text.replace("\r", "").split("\n")
    joined = lines[0]
    full = max(map(len, lines[:-1]), default=0)
    for before, line in zip(lines, lines[1:]):
        cut = len(before) == full >= _NARROW and not line.startswith(" ")
        joined += line if cut else f" {line}"
    return " ".join(joined.split())
