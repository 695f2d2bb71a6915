"""How findings are written: values in a message, keys and places."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    Location,
    Report,
    Severity,
    brief,
    finding,
    format_key,
    parse_key,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "not set"),
        (0, "0"),
        (False, "False"),
        ("x" * 98, repr("x" * 98)),
        ("x" * 99, f"'{'x' * 98}…"),
        ([1.0] * 20, repr([1.0] * 20)),
        ([1.25] * 30, "[1.25, 1.25, 1.25, …] (30 entries)"),
        (tuple(range(100)), "(0, 1, 2, …) (100 entries)"),
        ({"type": "y" * 200}, f"{{'type': '{'y' * 89}…"),
    ],
)
def test_values_are_short_in_messages(value: Any, written: str) -> None:
    assert brief(value) == written
    if not isinstance(value, (list, tuple)):
        assert len(brief(value)) <= 100


@given(st.text(), st.integers(2, 60))
def test_no_text_is_longer_than_the_limit(text: str, limit: int) -> None:
    written = brief(text, limit)
    assert len(written) <= limit
    assert written == repr(text) or (written[-1] == "…" and repr(text).startswith(written[:-1]))


def test_keys_are_read_as_they_are_written() -> None:
    key = ("model", "auxiliary_head", 0, "loss_decode", 12, "name_2")
    assert format_key(key) == "model.auxiliary_head.0.loss_decode.12.name_2"
    assert parse_key(format_key(key)) == key


@pytest.mark.parametrize(
    ("place", "written"),
    [
        (Location("a.py"), "a.py"),
        (Location("a.py", 3), "a.py:3"),
        (Location("a.py", 3, 7), "a.py:3:7"),
    ],
)
def test_places_are_written_as_editors_read_them(place: Location, written: str) -> None:
    assert str(place) == written


def test_a_finding_says_what_was_found_who_wants_what_and_what_to_do() -> None:
    bare = finding(("a", 1), 3, "the dataset has", 4)
    assert bare.message == "a.1 is 3, but the dataset has 4"
    assert (bare.fix, bare.fixable, bare.severity) == (None, False, Severity.ERROR)
    edits = [Edit(("a", 1), 4)]
    full = finding(
        ("a",), None, "it needs", [1], then="set it", shown="some", edits=edits, title="Set it"
    )
    assert full.message == "a is not set, but it needs some; set it"
    assert full.fix is not None
    assert (full.fix.title, full.fix.edits) == ("Set it", tuple(edits))
    assert full.fixable
    assert full.fix.applicability is Applicability.SAFE
    hint = finding(("a",), 1, "x", 2, edits=edits, applicability=Applicability.DISPLAY)
    unsafe = finding(("a",), 1, "x", 2, edits=edits, applicability=Applicability.UNSAFE)
    assert (hint.fixable, unsafe.fixable) == (False, True)


def test_the_exit_code_of_a_report_tells_whether_something_was_found() -> None:
    found = Diagnostic("MSF101", "x", "m", ("a",), 1, 2)
    assert Report("c.py", None, ()).exit_code == 0
    assert Report("c.py", None, (found,)).exit_code == 1
