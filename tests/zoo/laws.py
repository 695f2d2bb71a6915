"""What holds for every plan, whatever the config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.config.plan import FixPlan
from mmseg_fixkit.config.tree import differences, same
from mmseg_fixkit.core.diagnostics import Edit, EditKind, KeyPath, format_key


def strays(plan: FixPlan) -> Iterator[str]:
    """Yield the keys that differ between the two trees of a plan and that no edit names."""
    for key, old, new in differences(plan.before, plan.after):
        if not any(_covers(edit, key, old, new, plan.edits) for edit in plan.edits):
            yield format_key(key)


def _covers(edit: Edit, key: KeyPath, old: Any, new: Any, edits: tuple[Edit, ...]) -> bool:
    if key[: len(edit.key)] == edit.key:
        return True
    if edit.key[: len(key)] != key:
        return False
    # The edit is inside: it made room for itself, or it moved the entries of a list.
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return _moved_only(key, list(old), list(new), edits)
    return not isinstance(old, dict)


def _moved_only(key: KeyPath, old: list[Any], new: list[Any], edits: tuple[Edit, ...]) -> bool:
    """Whether the entries that no edit names stand in ``new`` as in ``old``, in their order."""
    inside = [e for e in edits if len(e.key) > len(key) and e.key[: len(key)] == key]
    named = {e.key[len(key)] for e in inside if e.kind is not EditKind.INSERT or e.key[:-1] != key}
    rest = iter(new)
    kept = (entry for index, entry in enumerate(old) if index not in named)
    grown = sum(e.kind is EditKind.INSERT and e.key[:-1] == key for e in inside)
    return len(new) <= len(old) + grown and all(any(same(k, r) for r in rest) for k in kept)
