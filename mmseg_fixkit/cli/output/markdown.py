"""What rules and messages use of Markdown: paragraphs, lists, blocks of code, and code in text."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """One of the three: code as it is, the items of a list, or the text of a paragraph."""

    code: str = ""
    items: tuple[str, ...] = ()
    text: str = ""


def blocks(markdown: str) -> list[Block]:
    """Return the blocks of a section."""
    parts = (part.strip() for part in re.split(r"\n\s*\n", markdown))
    return [_block(part) for part in parts if part]


def _block(part: str) -> Block:
    if part.startswith("```"):
        return Block(code=re.sub(r"^```\w*\n|\n?```$", "", part))
    if part.startswith("- "):
        return Block(items=tuple(re.split(r"^- ", part, flags=re.M)[1:]))
    return Block(text=part)


def code_spans(text: str) -> list[str]:
    """Split a text of one paragraph: every second part stood between backticks."""
    return re.split(r"(?<!`)`+([^`]+)`+", " ".join(text.split()))
