"""Counted nouns and lists in messages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mmseg_fixkit.core.errors import CheckpointMismatch, FixkitError
from mmseg_fixkit.core.text import (
    counted,
    first_few,
    listed,
    printable,
    printable_lines,
    with_pixels,
    wrapped,
)


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (1204, "file", "1,204 files"),
        (2, "class", "2 classes"),
        (2, "more class", "2 more classes"),
        (2, "query", "2 queries"),
        (2, "day", "2 days"),
        (2, "box", "2 boxes"),
        (2, "patch", "2 patches"),
    ],
)
def test_counted(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


@pytest.mark.parametrize(("number", "text"), [(1, "1 label has"), (2, "2 labels have")])
def test_counted_words_that_change_in_two_places(number: int, text: str) -> None:
    assert counted(number, "label has", "labels have") == text


@pytest.mark.parametrize(
    ("texts", "total", "text"),
    [
        ("", 0, ""),
        ("a", 0, "a"),
        ("ab", 0, "a, b"),
        ("abcde", 0, "a, b and 3 more"),
        ("ab", 2000, "a, b and 1,998 more"),
        ("a", 5, "a and 4 more"),
        ("abcd", 3, "a, b and 2 more"),
    ],
)
def test_first_few(texts: str, total: int, text: str) -> None:
    assert first_few(list(texts), 2, total) == text


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([(9, 1), (8, 1200)], "8 (1,200 pixels), 9 (1 pixel)"),
        ([(7, 5), (3, 5), (2, 9)], "2 (9 pixels), 7 (5 pixels) and 1 more"),
        ([("#804080", 2)], "#804080 (2 pixels)"),
    ],
)
def test_with_pixels(counts: Sequence[tuple[object, int]], text: str) -> None:
    assert with_pixels(counts, 2) == text


@pytest.mark.parametrize(
    ("texts", "word", "text"),
    [
        ("", "and", ""),
        ("a", "and", "a"),
        ("ab", "and", "a and b"),
        ("abc", "and", "a, b and c"),
        ("abc", "or", "a, b or c"),
    ],
)
def test_listed(texts: str, word: str, text: str) -> None:
    assert listed(list(texts), word) == text


def test_wrapped() -> None:
    text = "run mmseg-fix check /a/very/long/path.py"
    assert wrapped(text, 14, "- ", "  ") == [
        "- run",
        "  mmseg-fix",
        "  check",
        "  /a/very/long/path.py",
    ]
    assert wrapped("abcdefgh", 4, break_words=True) == ["abcd", "efgh"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 🙂", "plain é 日本 🙂"),
        ("a\n::error::b", r"a\n::error::b"),
        ("a\r\x1b[31mb\t", r"a\r\x1b[31mb\t"),
        ("a\x9b\u2028\u202eb", r"a\x9b\u2028\u202eb"),
        ("a\udcff", r"a\udcff"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == printable(shown) == shown
    assert str(FixkitError(text)) == shown
    assert listed([text, "b"]) == f"{shown} and b"
    assert first_few([text, "b"], 1) == f"{shown} and 1 more"


def test_an_error_with_a_table_keeps_its_lines() -> None:
    assert str(CheckpointMismatch("a\x1b\n  b")) == printable_lines("a\x1b\n  b") == "a\\x1b\n  b"
