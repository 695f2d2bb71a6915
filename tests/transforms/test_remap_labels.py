"""``RemapLabels``: values and colours to class indices."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mmseg_fixkit.runtime import AssertLabelBounds, LabelOutOfBounds, RemapLabels

FILE = "data/ann/07.png"
PALETTE = [(0, 0, 0), (128, 64, 128), (1, 2, 3)]


def remap(label: Any, results: dict[str, Any] | None = None, **options: Any) -> Any:
    step = RemapLabels(**options)
    return step({"gt_seg_map": label, "seg_map_path": FILE, **(results or {})})["gt_seg_map"]


def labels(*values: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.array([values, values], dtype=dtype)


def colors(*found: Any, order: str = "bgr") -> np.ndarray:
    array = np.array([found, found], np.uint8)
    return array[:, :, ::-1] if order == "bgr" else array


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64, np.float32])
def test_values_become_those_of_the_table_and_the_loaded_array_stays(dtype: Any) -> None:
    label = labels(0, 7, 8, 99, 255, dtype=dtype)
    before = label.copy()
    new = remap(label, mapping={7: 0, 8: 1})
    assert new.tolist() == [[0, 0, 1, 99, 255]] * 2
    assert new.dtype == dtype
    assert np.array_equal(label, before)


def test_wide_and_negative_values() -> None:
    assert (
        remap(labels(-1, 300, 7, dtype=np.int32), mapping={-1: 255, 300: 1}).tolist()
        == [[255, 1, 7]] * 2
    )
    far = labels(-(10**12), 5, 10**15, dtype=np.int64)
    assert remap(far, mapping={10**15: 3}, default=9).tolist() == [[9, 9, 3]] * 2


def test_a_new_value_that_no_byte_holds_widens_the_map() -> None:
    new = remap(labels(1, 2), mapping={1: 300, 2: -1})
    assert new.tolist() == [[300, -1]] * 2
    assert new.dtype == np.int16


def test_labels_of_which_none_is_listed_pass_as_the_same_array() -> None:
    label = labels(0, 3)
    assert remap(label, mapping={7: 0}) is label


@pytest.mark.parametrize(
    ("default", "becomes"),
    [("keep", [0, 9, 255]), (None, [0, 9, 255]), ("ignore", [0, 255, 255]), (2, [0, 2, 255])],
)
def test_what_is_not_listed(default: Any, becomes: Any) -> None:
    assert remap(labels(7, 9, 255), mapping={7: 0}, default=default).tolist() == [becomes] * 2


def test_the_ignored_label_stays_unless_it_is_listed() -> None:
    assert remap(labels(0, 5), mapping={5: 1}, default=3, ignore_index=0).tolist() == [[0, 1]] * 2
    assert remap(labels(255), mapping={255: 4}).tolist() == [[4]] * 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_raising_names_the_file_and_the_values(dtype: Any) -> None:
    with pytest.raises(LabelOutOfBounds) as caught:
        remap(labels(7, 9, 9, 11, 255, dtype=dtype), mapping={7: 0}, default="raise")
    assert str(caught.value) == (
        f"{FILE} is labelled 9 (4 pixels), 11 (2 pixels), but the mapping of RemapLabels does not "
        "list that; add it, or set default='ignore' to train without these pixels"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.int8, np.uint16, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    ),
    st.dictionaries(st.integers(-3, 300), st.integers(0, 255), min_size=1, max_size=5),
    st.sampled_from(["keep", "ignore", 3]),
)
def test_every_pixel_as_a_plain_reading_has_it(
    label: np.ndarray, mapping: dict[int, int], default: Any
) -> None:
    other = {"keep": None, "ignore": 255}.get(default, default)
    plain = [
        [mapping.get(v, v if other is None or v == 255 else other) for v in row]
        for row in label.astype(int).tolist()
    ]
    before = label.copy()
    assert remap(label, mapping=mapping, default=default).astype(int).tolist() == plain
    assert np.array_equal(label, before)


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_values_that_no_float_holds_stay(kind: type) -> None:
    large = 2**53 + 1
    new = remap(np.array([[large, 40]], kind), mapping={40: 9})
    assert new.astype(int).tolist() == [[large, 9]]


def test_values_of_both_signs_that_no_float_holds_stay() -> None:
    values = [-(2**63) + 1, 2**53 + 1, 40]
    new = remap(np.array([values]), mapping={40: 9})
    assert new.astype(int).tolist() == [[*values[:2], 9]]


def test_views_that_are_not_contiguous() -> None:
    wide = np.arange(48, dtype=np.uint8).reshape(6, 8)
    new = remap(wide[::-1, ::2], mapping={40: 9})
    assert new[0, 0] == 9
    assert new.shape == (6, 4)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_colours_become_the_index_of_their_class(order: str) -> None:
    label = colors(PALETTE[1], PALETTE[2], PALETTE[0], order=order)
    before = label.copy()
    new = remap(label, palette=PALETTE, channel_order=order)
    assert new.tolist() == [[1, 2, 0]] * 2
    assert new.dtype == np.uint8
    assert np.array_equal(label, before)


def test_colours_with_labels_of_their_own_and_a_constant_alpha() -> None:
    pairs = [((128, 64, 128), 4), ((0, 0, 0), 255)]
    label = np.dstack([colors((0, 0, 0), (128, 64, 128)), np.full((2, 2), 7, np.uint8)])
    assert remap(label, palette=pairs).tolist() == [[255, 4]] * 2
    label[0, 0, 3] = 1
    with pytest.raises(LabelOutOfBounds, match="more transparent in some pixels"):
        remap(label, palette=pairs)


def test_colours_that_are_not_listed() -> None:
    label = colors(PALETTE[1], (9, 9, 9), (9, 9, 9), (7, 7, 7))
    with pytest.raises(LabelOutOfBounds) as caught:
        remap(label, palette=PALETTE)
    assert str(caught.value).startswith(
        f"{FILE} is labelled #090909 (4 pixels), #070707 (2 pixels), but the palette of RemapLabels"
    )
    assert remap(label, palette=PALETTE, default="ignore").tolist() == [[1, 255, 255, 255]] * 2
    assert remap(label, palette=PALETTE, default=0).tolist() == [[1, 0, 0, 0]] * 2


@pytest.mark.parametrize("backend", ["pillow", "cv2"])
def test_colours_as_the_host_loads_them(tmp_path: Path, backend: str) -> None:
    from mmseg.datasets.transforms import LoadAnnotations

    file = tmp_path / "c.png"
    Image.fromarray(colors(*PALETTE, order="rgb")).save(file)
    loader = LoadAnnotations(imdecode_backend=backend)
    results = loader({"seg_map_path": str(file), "reduce_zero_label": False, "seg_fields": []})
    results = RemapLabels(palette=PALETTE)(results)
    assert AssertLabelBounds(3)(results)["gt_seg_map"].tolist() == [[0, 1, 2]] * 2


@pytest.mark.parametrize(
    ("name", "content", "label", "becomes"),
    [
        ("t.json", '{"7": 0, "8": 1}', labels(7, 8, 9), [0, 1, 9]),
        ("t.csv", "old,new\n7,0\n8,1\n", labels(7, 8, 9), [0, 1, 9]),
        ("t.json", '{"#804080": 5}', colors((128, 64, 128)), [5]),
        ("t.csv", "128,64,128,5\n", colors((128, 64, 128)), [5]),
    ],
)
def test_tables(tmp_path: Path, name: str, content: str, label: Any, becomes: Any) -> None:
    (tmp_path / name).write_text(content)
    assert remap(label, table=str(tmp_path / name)).tolist() == [becomes] * 2


@pytest.mark.parametrize("name", ["reduce_zero_label", "label_map"])
def test_colours_that_the_dataset_has_changed_already_stop(name: str) -> None:
    with pytest.raises(LabelOutOfBounds, match=f"has gone through {name} of the dataset"):
        remap(colors(PALETTE[0]), {name: {1: 0}}, palette=PALETTE)


@pytest.mark.parametrize(
    ("label", "options", "said"),
    [
        (colors((1, 2, 3)), {"mapping": {7: 0}}, r"shape \(2, 1, 3\).*for colours, give it a pal"),
        (labels(1), {"palette": PALETTE}, "for values, give it a mapping"),
        (np.array([[0.5]]), {"mapping": {7: 0}}, "labels are whole"),
        ([[1]], {"mapping": {7: 0}}, "is list, but"),
    ],
)
def test_what_does_not_fit_the_table_stops(label: Any, options: Any, said: str) -> None:
    with pytest.raises(LabelOutOfBounds, match=said):
        remap(label, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "none of them is given, but exactly one of mapping, table and palette"),
        ({"mapping": {1: 0}, "palette": PALETTE}, "mapping and palette is given"),
        ({"mapping": {"a": 0}}, "a value is 'a', but a whole number"),
        ({"mapping": {1: 0.5}}, "that of 1 is 0.5"),
        ({"mapping": [(1, 0), (1, 2)]}, "1 is listed for 0 and for 2"),
        ({"mapping": {1: 0}, "default": "drop"}, "default is 'drop'"),
        ({"mapping": {1: 0}, "default": True}, "default is True"),
        ({"mapping": {1: 0}, "ignore_index": None}, "ignore_index is None"),
        ({"palette": PALETTE, "default": "keep"}, "cannot be kept as a label"),
        ({"palette": [(0, 0, 0), (0, 0, 0)]}, "#000000 is listed for 0 and for 1"),
        ({"palette": [(0, 0, 300)]}, "is no colour"),
        ({"palette": []}, "palette is empty"),
        ({"palette": PALETTE, "channel_order": "gbr"}, "channel_order is 'gbr'"),
        ({"mapping": {"#000000": 1, 7: 0}}, "lists colours and values"),
        ({"table": "not_there.json"}, r"not_there\.json cannot be read"),
    ],
)
def test_wrong_arguments_are_one_sentence(options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RemapLabels(**options)


def test_pipelines_without_labels_pass_and_another_key() -> None:
    results = {"img": 1}
    assert RemapLabels({7: 0})(results) is results
    step = RemapLabels({7: 0}, key="gt_edge_map")
    assert step({"gt_edge_map": labels(7)})["gt_edge_map"].tolist() == [[0]] * 2


def test_it_survives_pickling_copying_and_being_shown() -> None:
    step = RemapLabels({7: 0}, default="ignore")
    for again in (pickle.loads(pickle.dumps(step)), copy.deepcopy(step), eval(repr(step))):
        assert again({"gt_seg_map": labels(7, 9)})["gt_seg_map"].tolist() == [[0, 255]] * 2
        assert repr(again) == repr(step)


def test_maps_without_a_pixel_pass() -> None:
    empty = np.zeros((0, 4), np.int64)
    assert remap(empty, mapping={7: 0}, default="raise") is empty
