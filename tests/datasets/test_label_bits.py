"""Several labels a pixel as the bits of one map."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit import FixkitError
from mmseg_fixkit.datasets.label_bits import (
    IGNORED,
    MAX_LABELS,
    MAX_PNG_LABELS,
    LabelFileError,
    bit_of,
    checked_map,
    ignored_in,
    label_bits,
    label_mask,
    map_type,
    pack,
    swap,
    unpack,
)
from mmseg_fixkit.models import label_bits as bits

COUNTS = st.integers(1, MAX_LABELS)


@st.composite
def labelled(draw: Any) -> tuple[Any, Any]:
    """Planes (L, H, W) and ignored pixels (H, W)."""
    count, height, width = draw(COUNTS), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random((count, height, width)) < 0.4, rng.random((height, width)) < 0.2


def test_labels_take_the_bits_around_the_ignore_flag() -> None:
    assert label_bits(9) == (0, 1, 2, 3, 4, 5, 6, 8, 9)
    assert [bit_of(6), bit_of(7), bit_of(29)] == [6, 8, 30]
    assert label_mask(8) == 0b1_0111_1111


@pytest.mark.parametrize(
    ("count", "kind"),
    [(1, np.uint8), (7, np.uint8), (8, np.uint16), (15, np.uint16), (16, np.int32), (30, np.int32)],
)
def test_the_narrowest_type_holds_every_bit(count: int, kind: Any) -> None:
    assert map_type(count) == kind
    everything = pack(np.ones((count, 1, 1)))
    assert everything.dtype == kind
    assert int(everything[0, 0]) == label_mask(count)
    assert not ignored_in(everything).any()


@pytest.mark.parametrize("count", [0, 31])
def test_there_are_bits_for_thirty_labels(count: int) -> None:
    with pytest.raises(FixkitError, match=f"{count} labels are given, but .* 1 to 30"):
        label_bits(count)


def test_opencv_narrows_sixty_four_bit_so_no_more_than_thirty_labels_fit() -> None:
    wide = np.full((4, 4), 1 << 40, np.int64)
    try:
        kind: Any = cv2.resize(wide, (2, 2), interpolation=cv2.INTER_NEAREST).dtype
    except cv2.error:
        kind = "refused"
    assert kind != np.int64


@given(labelled())
def test_what_is_packed_unpacks(sample: tuple[Any, Any]) -> None:
    planes, ignored = sample
    packed = pack(planes, ignored)
    found, where = unpack(packed, len(planes))
    assert (where == ignored).all()
    assert (found == planes & ~ignored).all()
    assert (packed[ignored] == IGNORED).all()
    assert (packed[~ignored] != IGNORED).all()


@given(labelled())
def test_tensors_unpack_alike(sample: tuple[Any, Any]) -> None:
    planes, ignored = sample
    packed = pack(planes, ignored)
    narrow = packed.view(np.int16) if packed.dtype == np.uint16 else packed
    for array in (narrow, packed.astype(np.int64)):
        found, where = bits.unpack(torch.from_numpy(array), len(planes))
        assert (found.numpy() == planes & ~ignored).all()
        assert (where.numpy() == ignored).all()
        assert bits.invalid_values(torch.from_numpy(array), len(planes)).numel() == 0


@given(labelled())
def test_tensors_pack_alike(sample: tuple[Any, Any]) -> None:
    planes, ignored = sample
    packed = bits.pack(torch.from_numpy(planes), torch.from_numpy(ignored))
    assert (packed.numpy() == pack(planes, ignored)).all()
    assert bits.pack(torch.from_numpy(planes)).dtype == bits.tensor_type(len(planes))


@given(COUNTS, st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.int64]))
def test_255_is_ignored_in_every_width_and_carries_no_label(count: int, kind: Any) -> None:
    full = np.full((2, 2), IGNORED, kind)
    planes, ignored = unpack(full, count)
    assert ignored.all()
    assert not planes.any()
    if kind is not np.uint16:
        found, where = bits.unpack(torch.from_numpy(full), count)
        assert where.all()
        assert not found.any()


@given(st.integers(1, 29), st.integers(0, 2**31 - 1))
def test_a_bit_of_no_label_is_found_by_both(count: int, value: int) -> None:
    legal = value == IGNORED or not value & ~label_mask(count)
    packed = np.array([[value]], np.int32)
    foreign = bits.invalid_values(torch.from_numpy(packed), count).numel() > 0
    # In memory whatever has the flag is ignored; a file has to say 255.
    assert foreign == (not legal and not value >> 7 & 1)
    if legal:
        assert int(checked_map(packed, count, "x.png")[0, 0]) == value
    else:
        with pytest.raises(LabelFileError):
            checked_map(packed, count, "x.png")


@given(labelled(), st.data())
def test_exchanged_labels_are_exchanged_planes(sample: tuple[Any, Any], data: Any) -> None:
    planes, ignored = sample
    one, other = (data.draw(st.integers(0, len(planes) - 1)) for _ in range(2))
    order = list(range(len(planes)))
    order[one], order[other] = other, one
    swapped = swap(pack(planes, ignored), [(one, other)])
    assert (swapped == pack(planes[order], ignored)).all()
    assert swapped.dtype == map_type(len(planes))


def test_a_value_of_no_label_says_which_bits_there_are() -> None:
    with pytest.raises(LabelFileError) as caught:
        checked_map(np.array([[0, 8], [9, 8]], np.uint8), 3, "ann/07.png")
    text = str(caught.value)
    assert text.startswith("ann/07.png holds 8 (2 pixels), 9 (1 pixel), but 3 labels have the bits")
    assert "0, 1, 2, and ignored pixels are 255" in text


def test_a_single_label_map_is_called_so() -> None:
    with pytest.raises(LabelFileError, match=r"every value of 0..18, as a single-label map does"):
        checked_map(np.arange(19, dtype=np.uint8).reshape(1, 19), 3, "ann/07.png")


def test_a_file_says_ignored_with_255_alone() -> None:
    with pytest.raises(LabelFileError, match=r"holds 129 \(1 pixel\)"):
        checked_map(np.array([[129]], np.uint8), 7, "x.png")
    assert MAX_PNG_LABELS == 15


def test_the_light_parts_load_without_torch_and_the_host() -> None:
    code = (
        "import sys\n"
        "from mmseg_fixkit.datasets import coco, label_bits, multilabel_files\n"
        "import mmseg_fixkit.apis.convert_labels, mmseg_fixkit.cli.convert_labels\n"
        "print({'torch', 'mmcv', 'mmseg', 'mmengine', 'pycocotools'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
