"""Python literals as a person would write them in a config: ``dict(a=1)``, wrapped and indented."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from keyword import iskeyword
from typing import Any

from mmseg_fixkit.core.diagnostics import KeyPath
from mmseg_fixkit.core.errors import FixkitError

WIDTH = 88
STEP = 4

#: As ``lead``: so far left of the margin that no value is wrapped.
UNWRAPPED = -100_000


class Name(str):
    """A variable's name, written without quotes."""


def comment(text: str) -> str:
    """Return a comment of one line: what ends a line would let the rest of a name be run."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"# {''.join(shown)}"


def render(
    value: Any,
    indent: int = 0,
    lead: int = 0,
    notes: Mapping[KeyPath, str] | None = None,
    key: KeyPath = (),
) -> str:
    """Return Python source for a config value.

    Args:
        value: built-in containers, numbers, texts, None and :class:`Name`.
        indent: spaces that continuation lines are indented by, before one more step.
        lead: columns taken on the first line by what stands before the value.
        notes: comments to put on the line above the entry at a key path.
        key: the key path of ``value`` itself, for ``notes``.

    Raises:
        FixkitError: the value cannot be written as a literal.
    """
    notes = notes or {}
    inside = any(path[: len(key)] == key and path != key for path in notes)
    flat = None if inside else _flat(value)
    if flat is not None and lead + len(flat) <= WIDTH:
        return flat
    if isinstance(value, dict) and value:
        return _dict_lines(value, indent, notes, key)
    if isinstance(value, (list, tuple)) and value:
        return _sequence_lines(value, indent, notes, key)
    return flat if flat is not None else _flat(value)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        if _keyword_style(value):
            return "dict(" + ", ".join(f"{k}={_flat(v)}" for k, v in value.items()) + ")"
        return "{" + ", ".join(f"{k!r}: {_flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_flat, value)) + ("," if len(value) == 1 else "") + ")"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    raise FixkitError(
        f"{value!r} cannot be written into a config file: it is a {type(value).__name__}, but "
        "only numbers, texts, lists and dicts can be"
    )


def _keyword_style(value: dict[Any, Any]) -> bool:
    return all(isinstance(k, str) and k.isidentifier() and not iskeyword(k) for k in value)


def _dict_lines(
    value: dict[Any, Any], indent: int, notes: Mapping[KeyPath, str], key: KeyPath
) -> str:
    inner = indent + STEP
    keyword = _keyword_style(value)
    entries = []
    above: str | None = None
    for name, child in value.items():
        head = f"{name}=" if keyword else f"{name!r}: "
        path = (*key, name)
        text = render(child, inner, inner + len(head) + 1, notes, path)
        note = notes.get(path)
        entries.append(_noted(note if note != above else None, inner) + " " * inner + head + text)
        above = note
    opening, closing = ("dict(", ")") if keyword else ("{", "}")
    return opening + "\n" + ",\n".join(entries) + closing


def _sequence_lines(
    value: Iterable[Any], indent: int, notes: Mapping[KeyPath, str], key: KeyPath
) -> str:
    inner = indent + STEP
    opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
    items = list(value)
    texts = [
        render(child, inner, inner + 1, notes, (*key, index)) for index, child in enumerate(items)
    ]
    packed = not any(isinstance(item, dict) or "\n" in text for item, text in zip(items, texts))
    lines = _packed(texts, inner) if packed else [" " * inner + text for text in texts]
    tail = "," if isinstance(value, tuple) and len(items) == 1 else ""
    return opening + "\n" + ",\n".join(lines) + tail + "\n" + " " * indent + closing


def _packed(texts: list[str], indent: int) -> list[str]:
    """Fill lines with short entries, such as class names and colours."""
    lines = [" " * indent + texts[0]]
    for text in texts[1:]:
        if len(lines[-1]) + 2 + len(text) + 1 <= WIDTH:
            lines[-1] += ", " + text
        else:
            lines.append(" " * indent + text)
    return lines


def _noted(note: str | None, indent: int) -> str:
    return f"{' ' * indent}{comment(note)}\n" if note else ""
