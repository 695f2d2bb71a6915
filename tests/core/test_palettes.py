"""The palettes that are written here are those of MMSegmentation, and explain what they should."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageColor

from mmseg_fixkit.config.host import dataset_info
from mmseg_fixkit.core.palettes import (
    ADE20K,
    CITYSCAPES,
    KNOWN,
    VOC,
    Palette,
    as_hex,
    best_match,
    candidates,
    is_grey,
    pack,
    pack_image,
    parse_color,
    unpack,
)


@pytest.mark.parametrize(
    ("palette", "kind"),
    [(CITYSCAPES, "CityscapesDataset"), (ADE20K, "ADE20KDataset"), (VOC, "PascalVOCDataset")],
)
def test_the_colours_are_those_of_the_host(palette: Palette, kind: str) -> None:
    info = dataset_info(kind)
    assert info is not None
    assert palette.colors == info.palette


def test_a_colour_survives_packing() -> None:
    assert pack((1, 2, 3)) == 0x010203
    assert unpack(0x010203) == (1, 2, 3)


PARTS = st.integers(0, 255)


@given(st.tuples(PARTS, PARTS, PARTS))
def test_colours_are_what_pillow_says_of_them(color: tuple[int, int, int]) -> None:
    packed = pack(color)
    assert unpack(packed) == color
    assert as_hex(packed) == f"#{bytes(color).hex()}"
    assert ImageColor.getrgb(as_hex(packed)) == color
    assert is_grey(packed) is (len(set(color)) == 1)
    assert parse_color(as_hex(packed)) == parse_color(" ".join(map(str, color))) == color
    assert pack_image(np.array([[color]], np.uint8)).tolist() == [[packed]]


@pytest.mark.parametrize(
    "color", [(7, 7, 7), (7, 7, 6), (7, 7, 8), (7, 6, 7), (7, 8, 7), (6, 7, 7), (8, 7, 7)]
)
def test_grey_is_three_equal_parts(color: tuple[int, int, int]) -> None:
    assert is_grey(pack(color)) is (color == (7, 7, 7))


def test_each_palette_explains_its_own_colours_best() -> None:
    for palette in KNOWN:
        match = best_match({pack(color): 10 for color in palette.colors}, KNOWN)
        assert match is not None
        assert (match.palette, match.share, match.left) == (palette, 1.0, ())


def test_colours_that_are_left_are_named_most_frequent_first() -> None:
    colors = {pack((128, 64, 128)): 80, pack((1, 1, 1)): 5, pack((2, 2, 2)): 15}
    match = best_match(colors, KNOWN)
    assert match is not None
    assert match.palette is CITYSCAPES
    assert match.share == pytest.approx(0.8)
    assert match.left == (pack((2, 2, 2)), pack((1, 1, 1)))


def test_the_palette_of_the_classes_comes_before_the_known_ones() -> None:
    own = VOC.colors[:3]
    match = best_match({pack(color): 1 for color in own}, candidates(own))
    assert match is not None
    assert match.palette.colors == own


def test_colours_of_ignored_pixels_are_the_ignored_label() -> None:
    table = CITYSCAPES.labels(254)
    assert table[pack((81, 0, 81))] == 254  # ground
    assert table[pack((0, 0, 142))] == 13  # car
    assert VOC.labels()[pack((224, 224, 192))] == 255


def test_of_two_classes_with_one_colour_the_first_has_it() -> None:
    ((color, labels),) = ADE20K.duplicates
    assert len(labels) == 2
    assert ADE20K.labels()[pack(color)] == labels[0]
    assert Counter(ADE20K.colors)[color] == 2
