"""Unified diffs: of two config trees by their fully merged text, and of two texts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher, unified_diff
from typing import Any

from mmseg_fixkit.config.render import UNWRAPPED, render
from mmseg_fixkit.core.diagnostics import KeyPath, format_key
from mmseg_fixkit.core.text import printable

CONTEXT = 2

#: What ``diff`` and ``patch`` write below a last line that does not end.
NO_NEWLINE = "\\ No newline at end of file"

#: A line of the text, and the key that it stands for.
_Line = tuple[str, KeyPath]


def unified(before: dict[str, Any], after: dict[str, Any], old_name: str, new_name: str) -> str:
    """Return the difference, empty if there is none; hunks name the key that changes first."""
    old, new = list(_lines(before)), list(_lines(after))
    old_texts, new_texts = [text for text, _ in old], [text for text, _ in new]
    keys = _first_keys(old, new)
    names = printable(old_name), printable(new_name)
    lines = unified_diff(old_texts, new_texts, *names, n=CONTEXT, lineterm="")
    return "".join(
        f"{line} {format_key(next(keys))}\n" if line.startswith("@@ ") else f"{line}\n"
        for line in lines
    )


def unified_text(before: str, after: str, name: str) -> str:
    """Return the difference of two texts of one file, empty if there is none."""
    old, new = (re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", text) for text in (before, after))
    names = printable(name), printable(name)
    return "".join(map(_ended, unified_diff(old, new, *names, n=CONTEXT)))


def _ended(line: str) -> str:
    if line.endswith("\n"):
        return line
    # A carriage return alone would let a terminal write over the line.
    return f"{line[:-1]}\n" if line.endswith("\r") else f"{line}\n{NO_NEWLINE}\n"


def _first_keys(old: list[_Line], new: list[_Line]) -> Iterator[KeyPath]:
    matcher = SequenceMatcher(None, [text for text, _ in old], [text for text, _ in new])
    for group in matcher.get_grouped_opcodes(CONTEXT):
        for kind, old_start, old_end, new_start, _ in group:
            if kind != "equal":
                yield old[old_start][1] if old_end > old_start else new[new_start][1]
                break


def _lines(value: Any, key: KeyPath = (), indent: int = 0) -> Iterator[_Line]:
    """Yield the text a line an entry: dicts and lists of dicts are always written out."""
    pad = " " * indent
    for name, child in value.items() if isinstance(value, dict) else enumerate(value):
        path = (*key, name)
        equals, comma = ("=", ",") if key else (" = ", "")
        lead = f"{pad}{name}{equals}" if isinstance(value, dict) else pad
        if not _nested(child):
            yield f"{lead}{render(child, indent, UNWRAPPED)}{comma}", path
            continue
        opening, closing = ("dict(", ")") if isinstance(child, dict) else ("[", "]")
        yield lead + opening, path
        yield from _lines(child, path, indent + 4)
        yield pad + closing + comma, path


def _nested(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value)
    return isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value)
