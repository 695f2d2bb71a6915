"""What a finding says of a key, also as JSON, is what the config has there."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mmseg_fixkit import patch
from mmseg_fixkit.config.load import load
from mmseg_fixkit.core.diagnostics import Diagnostic, KeyPath
from tests.rules.test_cases import FOLDERS, options

_NOTHING = object()


def at(tree: Any, key: KeyPath) -> Any:
    for part in key:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return _NOTHING
    return tree


def plain(value: Any) -> Any:
    """A part is named by its type, and whether classes are a list or a tuple says nothing.

    A nan is no value of its own.
    """
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, dict):
        return value.get("type", value)
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def is_of_another_change(found: Diagnostic, others: tuple[Diagnostic, ...]) -> bool:
    """Whether the finding is of what another one has changed, or adds a part."""
    keys = [e.key for o in others if o is not found and o.fix for e in o.fix.edits]
    return found.found is None or any(found.key[: len(key)] == key for key in keys)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_finding_has_the_value_of_the_config(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    found = patch("cfg.py", **options(folder)).diagnostics
    tree = load("cfg.py").tree
    pairs = [(d, at(tree, d.key)) for d in found if not is_of_another_change(d, found)]
    wrong = [
        (d.code, d.key, d.found, value)
        for d, value in pairs
        if value is not _NOTHING and plain(d.found) not in (plain(value), [plain(value)])
    ]
    assert wrong == []
