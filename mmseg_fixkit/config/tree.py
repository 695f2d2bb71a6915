"""Config trees as plain data: look up, edit, compare. Every function leaves its argument alone."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmseg_fixkit.core.diagnostics import Edit, EditKind, KeyPath, format_key


class Imported(str):
    """The dotted name of what a new-style config imports: ``mmseg.models.PSPHead``."""


_SCALARS = frozenset({str, int, float, bool, type(None)})


def plain(value: Any) -> Any:
    """Copy a config value with built-in containers only; tuples stay tuples."""
    if type(value) in _SCALARS:  # nearly all values, and ``Mapping`` is slow to ask
        return value
    if isinstance(value, Mapping):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain(child) for child in value]
    if type(value) is tuple:
        return tuple(plain(child) for child in value)
    return value


def nesting(value: Any, limit: int) -> int:
    """Return how deep containers stand in each other; more than ``limit`` is not looked into."""
    depth, level = 0, [value]
    while level and depth <= limit:
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list, tuple))
        ]
        depth += 1
    return depth


def lookup(tree: Any, key: KeyPath, default: Any = None) -> Any:
    """Return the value at ``key``, or ``default`` where the path leads nowhere."""
    for part in key:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return default
    return tree


def walk(value: Any, key: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield ``value`` and everything inside it, parents first."""
    yield key, value
    if isinstance(value, dict):
        for name, child in value.items():
            yield from walk(child, (*key, name))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from walk(child, (*key, index))


def without_key(value: Any, name: str) -> Any:
    """Copy a tree without the dict entries called ``name``, at any depth."""
    if isinstance(value, dict):
        return {k: without_key(v, name) for k, v in value.items() if k != name}
    if isinstance(value, (list, tuple)):
        return type(value)(without_key(child, name) for child in value)
    return value


def apply_edits(tree: dict[str, Any], edits: Iterable[Edit]) -> dict[str, Any]:
    """Return a copy of ``tree`` with ``edits`` made.

    List indices mean positions before any edit: values are set first, then list entries are
    removed and inserted from the back.

    Raises:
        KeyError: an edit leads through something that is not a container.
    """
    result: dict[str, Any] = plain(tree)
    ordered = list(edits)
    for edit in ordered:
        if edit.kind is EditKind.SET:
            _set(result, edit.key, plain(edit.value))
    moving = [edit for edit in ordered if edit.kind is not EditKind.SET]
    # At one place, what stands there goes before what comes in its stead is put there.
    backwards = sorted(
        moving, key=lambda e: (_order(e.key), e.kind is EditKind.REMOVE), reverse=True
    )
    for edit in backwards:
        _move(result, edit)
    return result


def _order(key: KeyPath) -> list[tuple[int, int, str]]:
    return [(0, p, "") if isinstance(p, int) else (1, 0, p) for p in key]


def _set(tree: Any, key: KeyPath, value: Any) -> None:
    *parents, last = key
    for part in parents:
        if isinstance(tree, dict) and tree.get(part) is None:
            tree[part] = {}
        tree = _writable(tree, part, key)
    if not isinstance(tree, (dict, list)):
        raise KeyError(format_key(key))
    tree[last] = value  # type: ignore[index]


def _writable(tree: Any, part: Any, key: KeyPath) -> Any:
    """Step into ``part``; a tuple on the way becomes a list so that it can be edited."""
    try:
        child = tree[part]
    except (KeyError, IndexError, TypeError):
        raise KeyError(format_key(key)) from None
    if isinstance(child, tuple):
        child = tree[part] = list(child)
    return child


def _move(tree: Any, edit: Edit) -> None:
    *parents, last = edit.key
    for part in parents:
        tree = _writable(tree, part, edit.key)
    if edit.kind is EditKind.INSERT:
        tree.insert(last, plain(edit.value))
    elif isinstance(tree, dict):
        tree.pop(last, None)
    else:
        del tree[last]


def differences(old: Any, new: Any, key: KeyPath = ()) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Yield ``(key, old, new)`` for the smallest differing parts; a missing one is ``ABSENT``.

    Lists of another length differ as a whole; tuples and lists are not the same.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(n for n in new if n not in old)]:
            child = (*key, name)
            yield from differences(old.get(name, ABSENT), new.get(name, ABSENT), child)
    elif _same_sequence(old, new):
        for index, (before, after) in enumerate(zip(old, new)):
            yield from differences(before, after, (*key, index))
    elif not same(old, new):
        yield key, old, new


def _same_sequence(old: Any, new: Any) -> bool:
    both = type(old) is type(new) and isinstance(old, (list, tuple))
    return both and len(old) == len(new)


def same(old: Any, new: Any) -> bool:
    """Whether two config values are equal, with types: ``1`` is not ``True``, nan is nan."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(old[k], new[k]) for k in old)
    if isinstance(old, (list, tuple)) and type(old) is type(new):
        return len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, float) and isinstance(new, float) and math.isnan(old):
        return math.isnan(new)
    return type(old) is type(new) and _equal(old, new)


def _equal(old: Any, new: Any) -> bool:
    try:
        if bool(old == new):
            return True
    except Exception:  # arrays have no one answer, and a foreign type may raise what it likes
        pass
    # Objects that a config makes are others each time that it is read.
    return type(old) not in _COMPARABLE and _described(old) == _described(new)


#: Types of which two equal values compare as equal.
_COMPARABLE = frozenset({bool, int, float, complex, str, bytes, type(None), Imported})


def _described(value: Any) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


class _Absent:
    def __repr__(self) -> str:
        return "absent"


#: Stands for a key that is not there.
ABSENT = _Absent()
