"""What the pages of the documentation show: their commands, and the output below these."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmseg_fixkit.cli import VERBS

_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```", re.M | re.S)
_HEADING = re.compile(r"^(#+) +(.*?)\s*$", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: its commands, each with the output that is shown below it."""

    language: str
    commands: tuple[tuple[str, str], ...]


def blocks(text: str) -> list[Block]:
    """Return the blocks that hold commands of ours."""
    found = [Block(m[2], tuple(_commands(_dedented(m[3], m[1])))) for m in _FENCE.finditer(text)]
    return [block for block in found if block.commands]


def _dedented(text: str, indent: str) -> str:
    return re.sub(rf"^{indent}", "", text, flags=re.M) if indent else text


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield commands: those behind a prompt with what follows, or each line that is one."""
    whole = re.sub(r"\\\n\s*", "", text)
    whole = re.sub(r"^\s*- run: (?=mmseg-fix )", "", whole, flags=re.M)
    if re.search(r"^\$ ", whole, re.M):
        for part in re.split(r"^\$ ", whole, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            if "mmseg-fix" in command.split():
                yield command, output
    else:
        for line in whole.splitlines():
            if re.match(rf"mmseg-fix (?:{'|'.join(VERBS)})\b", line) and "[OPTIONS]" not in line:
                yield line, ""


def arguments(command: str) -> list[str]:
    """Return what the verb is called with, without what a shell takes for itself."""
    words = shlex.split(command, comments=True)
    for stop in ("|", ">", "2>&1", "&&"):
        words = words[: words.index(stop)] if stop in words else words
    return words[words.index("mmseg-fix") + 1 :]


def headings(text: str) -> list[tuple[int, str]]:
    """Return the level and the text of each heading, those in code aside."""
    return [(len(m[1]), m[2]) for m in _HEADING.finditer(_FENCE.sub("", text))]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page as GitHub and MyST make them."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(text)}


def links(text: str) -> list[tuple[str, str]]:
    """Return path and anchor of each link that is not on the web, those in code aside."""
    plain = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))
    targets = re.findall(r"\]\((?!https?:)([^)\s]+)\)", plain)
    targets += re.findall(r"(?:src|srcset)=\"(?!https?:)([^\"]+)\"", plain)
    return [(path, anchor) for path, _, anchor in (t.partition("#") for t in targets)]


def chunks(shown: str) -> list[str]:
    """Return what is shown between lines of ``...``, each in one line."""
    return [one for part in re.split(r"^\.\.\.$", shown, flags=re.M) if (one := flat(part))]


def flat(text: str) -> str:
    """Put a text in one line, as lines are wrapped by what is in them."""
    return " ".join(text.split())


def without_numbers(text: str) -> str:
    """Replace numbers: times, losses and scores differ from run to run."""
    return re.sub(r"#(?:, #)+", "#", re.sub(r"\d[\d.x]*(?:e-?\d+)?|nan", "#", text))


def read(page: Path) -> str:
    return page.read_text("utf-8")
