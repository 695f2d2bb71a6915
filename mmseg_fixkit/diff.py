"""Two config trees as a unified diff of their fully merged text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.diagnostics import KeyPath, format_key
from mmseg_fixkit.render import UNWRAPPED, render

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


def unified(before: dict[str, Any], after: dict[str, Any], old_name: str, new_name: str) -> str:
    """Return the difference, empty if there is none; hunks name the key that they begin at."""
    old, new = list(_lines(before)), list(_lines(after))
    texts = difflib.unified_diff(
        [text for text, _ in old], [text for text, _ in new], old_name, new_name, n=2, lineterm=""
    )
    return "".join(f"{_with_key(line, old)}\n" for line in texts)


def _with_key(line: str, old: list[tuple[str, KeyPath]]) -> str:
    match = _HUNK.match(line)
    if match is None:
        return line
    # The context lines come first: the hunk is about what stands behind them.
    first = min(int(match.group(1)) + 1, len(old) - 1)
    return f"{line} {format_key(old[first][1])}"


def _lines(value: Any, key: KeyPath = (), indent: int = 0) -> Iterator[tuple[str, KeyPath]]:
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
