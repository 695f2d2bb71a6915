"""Laws of config trees: edits, child configs, written literals and diffs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_fixkit.config.diff import unified
from mmseg_fixkit.config.overlay import child_config
from mmseg_fixkit.config.render import render
from mmseg_fixkit.config.tree import apply_edits, differences, lookup, plain, same, walk
from mmseg_fixkit.core.diagnostics import Edit, EditKind, format_key, parse_key
from mmseg_fixkit.core.errors import FixkitError

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.text(max_size=30))
NAMES = st.sampled_from(["type", "model", "num_classes", "a", "b", "class", "not an identifier"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(NAMES, inner, max_size=4),
    ),
    max_leaves=20,
)
TREES = st.dictionaries(NAMES, VALUES, max_size=5)


@given(VALUES)
def test_a_written_value_reads_back(value: Any) -> None:
    assert same(eval(render(value)), value)


@given(VALUES, st.integers(0, 60))
def test_so_it_does_anywhere_on_a_line(value: Any, lead: int) -> None:
    assert same(eval(render(value, indent=4, lead=lead)), value)


@given(TREES, TREES)
def test_merging_the_child_into_the_base_gives_the_patched_tree(before: dict, after: dict) -> None:
    # Top-level keys are only ever added or changed: a child file cannot take one out.
    after = {**before, **after}
    child = copy.deepcopy(child_config(before, after))
    merged = plain(Config._merge_a_into_b(child, copy.deepcopy(before)))
    assert same(merged, after)


@given(TREES)
def test_nothing_to_say_where_nothing_changed(tree: dict) -> None:
    assert child_config(tree, plain(tree)) == {}
    assert list(differences(tree, plain(tree))) == []
    assert unified(tree, plain(tree), "a", "b") == ""


@given(TREES, TREES)
def test_a_difference_shows_in_the_diff(before: dict, after: dict) -> None:
    assert (unified(before, after, "a", "b") != "") == (not same(before, after))


@given(TREES, st.data())
def test_an_edit_changes_its_key_and_nothing_else(tree: dict, data: st.DataObject) -> None:
    keys = [key for key, _ in walk(tree) if key]
    if not keys:
        return
    key = data.draw(st.sampled_from(keys))
    original = copy.deepcopy(tree)
    edited = apply_edits(tree, [Edit(key, "new")])
    assert same(tree, original)
    assert lookup(edited, key) == "new"
    for other, old, _ in differences(_lists(tree), _lists(edited)):
        assert other == key, old


def _lists(value: Any) -> Any:
    """Editing inside a tuple makes it a list; the law is about everything else."""
    if isinstance(value, dict):
        return {k: _lists(v) for k, v in value.items()}
    return [_lists(v) for v in value] if isinstance(value, (list, tuple)) else value


def test_inserts_and_removals_mean_positions_before_any_edit() -> None:
    edits = [
        Edit(("steps", 1), "x", EditKind.INSERT),
        Edit(("steps", 0), kind=EditKind.REMOVE),
        Edit(("steps", 3), "y", EditKind.INSERT),
        Edit(("steps", 2), "C"),
    ]
    assert apply_edits({"steps": ["a", "b", "c"]}, edits) == {"steps": ["x", "b", "C", "y"]}


def test_a_path_through_a_number_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"model\.depth\.wide"):
        apply_edits({"model": {"depth": 50}}, [Edit(("model", "depth", "wide"), 1)])


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (("model", "auxiliary_head", 0, "num_classes"), "model.auxiliary_head.0.num_classes"),
        (("load_from",), "load_from"),
    ],
)
def test_keys_can_be_pasted_after_cfg_options(key: tuple, text: str) -> None:
    assert format_key(key) == text
    assert parse_key(text) == key


def test_what_is_no_literal_is_refused() -> None:
    with pytest.raises(FixkitError, match="cannot be written into a config"):
        render({"a": object()})


def test_equality_tells_types_apart() -> None:
    assert not same(1, True)
    assert not same((1, 2), [1, 2])
    assert same(float("nan"), float("nan"))


def test_a_hunk_names_the_key_that_changed() -> None:
    before = {"model": {"type": "A", "depth": 50, "head": {"type": "F", "num_classes": 19}}}
    after = apply_edits(before, [Edit(("model", "head", "num_classes"), 8)])
    text = unified(before, after, "old.py", "new.py")
    assert "@@ model.head.num_classes" in text
    assert "-        num_classes=19," in text
    assert "+        num_classes=8," in text
