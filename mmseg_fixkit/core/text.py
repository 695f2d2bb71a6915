"""Numbers with their nouns, lists, paragraphs and foreign text, as messages write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import TextWrapper
from typing import Any


def printable(text: str) -> str:
    """Return text in one line that cannot write to a terminal: what does not print is escaped.

    So are line ends: at the start of a line, a log of GitHub Actions takes ``::`` for a command.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """Return text likewise, line by line."""
    return "\n".join(map(printable, text.split("\n")))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write ``1 file``, ``1,204 files``: the last word of ``noun`` is the one that changes.

    What takes more than an ending has its own plural: ``counted(2, "label has", "labels have")``.
    """
    return f"{number:,} {noun if number == 1 else plural or _plural(noun)}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def first_few(texts: Sequence[str], most: int, total: int = 0) -> str:
    """Write ``a, b and 3 more``; ``total`` counts all, where ``texts`` are only the first."""
    shown = texts[:most]
    left = max(total, len(texts)) - len(shown)
    return ", ".join(map(printable, shown)) + (f" and {left:,} more" if left else "")


def with_pixels(counts: Iterable[tuple[Any, int]], most: int) -> str:
    """Write values with their pixels, most frequent first: ``8 (1,200 pixels), 9 (1 pixel)``."""
    ordered = sorted(counts, key=lambda pair: -pair[1])
    texts = [f"{value} ({counted(pixels, 'pixel')})" for value, pixels in ordered[:most]]
    return first_few(texts, most, len(ordered))


def listed(texts: Sequence[str], word: str = "and") -> str:
    """Write all of them: ``a``, ``a and b``, ``a, b and c``; or with another word, as ``or``."""
    if len(texts) < 2:
        return printable("".join(texts))
    return printable(f"{', '.join(texts[:-1])} {word} {texts[-1]}")


def wrapped(
    text: str, width: int, lead: str = "", indent: str = "", *, break_words: bool = False
) -> list[str]:
    """Return the lines of a paragraph, each behind an indent; paths and options stay whole."""
    wrapper = TextWrapper(width, lead, indent, break_long_words=break_words, break_on_hyphens=False)
    return wrapper.wrap(text)
