"""The label space and its limits."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit import FixkitError, LabelSpace
from mmseg_fixkit.core.labels import voc_palette


def test_a_count_is_enough() -> None:
    space = LabelSpace.of(3)
    assert space.classes == ("class_0", "class_1", "class_2")
    assert space.num_classes == 3
    assert (space.ignore_index, space.reduce_zero_label, space.multilabel) == (255, False, False)


@given(st.integers(1, 255))
def test_colours_are_distinct_bytes(count: int) -> None:
    palette = voc_palette(count)
    assert len(set(palette)) == count
    assert all(0 <= value <= 255 for color in palette for value in color)


def test_the_voc_colours_are_those_of_the_development_kit() -> None:
    expected = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128))
    assert voc_palette(6) == expected
    assert voc_palette(16)[15] == (192, 128, 128)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"classes": ()}, "no classes"),
        ({"classes": ("a", "b", "a")}, "'a' is given for labels 0, 2"),
        ({"classes": ("a", " ")}, "not a text"),
        ({"classes": "water"}, "comma"),
        ({"classes": tuple(f"c{i}" for i in range(256))}, "256 classes are given.*at most 255"),
        ({"classes": ("a", "b"), "palette": ((0, 0, 0),)}, "1 colours, but there are 2 classes"),
        ({"classes": ("a",), "palette": ((0, 0, 256),)}, "0..255"),
        ({"classes": ("a",), "palette": ((0, 0),)}, "three whole numbers"),
        ({"classes": ("a",), "ignore_index": 300}, "ignore_index is 300"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_no_label_space_can_be(arguments: dict, words: str) -> None:
    with pytest.raises(FixkitError, match=words):
        LabelSpace(**arguments)


def test_255_classes_fit() -> None:
    assert LabelSpace.of(255).num_classes == 255


def test_one_class_means_two() -> None:
    assert LabelSpace(("water",), ((0, 0, 255),)).with_background() == LabelSpace(
        ("background", "water"), ((0, 0, 0), (0, 0, 255))
    )


def test_the_message_survives_a_process() -> None:
    error = FixkitError("one sentence")
    assert str(pickle.loads(pickle.dumps(error))) == "one sentence"
