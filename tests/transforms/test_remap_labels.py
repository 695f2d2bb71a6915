"""``RemapLabels``, and what the log says of labels that were changed."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mmseg_fixkit.runtime import AssertLabelBounds, LabelOutOfBounds, RemapLabels
from mmseg_fixkit.transforms.label_changes import OTHERS, LabelChanges
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_log,
    run_model,
    run_names,
    run_runner,
)
from tests.hooks.test_distributed import train_on_two

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
    assert new.dtype == np.int32


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


# Counting


def test_counts_are_those_since_the_last_look() -> None:
    step = RemapLabels({7: 0, 8: 1})
    step({"gt_seg_map": labels(7, 7, 8, 0), "seg_map_path": "a.png"})
    step({"gt_seg_map": labels(0), "seg_map_path": "b.png"})
    taken = step.changes.take()
    assert (taken.files, taken.pixels, taken.first) == (1, ((7, 4), (8, 2)), "a.png")
    assert [step.described_change(place) for place, _ in taken.pixels] == ["7 to 0", "8 to 1"]
    assert step.changes.take().files == 0
    step({"gt_seg_map": labels(8), "seg_map_path": "c.png"})
    assert (step.changes.take().pixels, step.changes.take().pixels) == (((8, 2),), ())


def test_the_first_file_is_that_of_the_round() -> None:
    step = AssertLabelBounds(8, action="ignore")
    step.changes.watch()
    for name in ("a.png", "b.png"):
        step({"gt_seg_map": labels(9), "seg_map_path": name})
        assert step.changes.take().first == name


def test_values_without_a_place_are_counted_together() -> None:
    step = AssertLabelBounds(8, action=0)
    step.changes.watch()
    step({"gt_seg_map": labels(-1, 300, 9, dtype=np.int32)})
    assert step.changes.take().pixels == ((9, 2), (OTHERS, 4))
    assert step.described_change(OTHERS) == "other values to 0"


def test_a_deep_copy_counts_for_itself() -> None:
    step = AssertLabelBounds(8, action="ignore")
    step.changes.watch()
    again = copy.deepcopy(step)
    again.changes.watch()
    again({"gt_seg_map": labels(9)})
    assert step.changes.take().files == 0
    assert again.changes.take().files == 1


def test_a_long_path_keeps_its_end() -> None:
    changes = LabelChanges()
    changes.add({1: 1}, "x" * 600 + "/label.png")
    assert changes.take().first.endswith("xx/label.png")


def dataset(root: Path, *steps: dict[str, Any]) -> dict[str, Any]:
    config = run_dataset_config(root, run_names(5))
    config["pipeline"][2:2] = steps
    return config


CLEAN = {"type": "AssertLabelBounds", "num_classes": 5, "action": "ignore"}
TO_ZERO = {"type": "RemapLabels", "mapping": [(9, 0)]}
HOOK = {"type": "ClassCountHook"}
EPOCHS = {"type": "EpochBasedTrainLoop", "max_epochs": 2, "val_interval": 1}


def said(log: str) -> list[str]:
    return re.findall(r"- ((?:AssertLabelBounds|RemapLabels) changed .*)", log)


@pytest.mark.parametrize(
    "loader",
    [
        {"num_workers": 0},
        {"num_workers": 2},
        {"num_workers": 2, "persistent_workers": True},
        {"num_workers": 2, "multiprocessing_context": "spawn"},
    ],
    ids=["none", "fork", "persistent", "spawn"],
)
def test_each_epoch_says_what_was_changed_over_all_workers(
    tmp_path: Path, loader: dict[str, Any]
) -> None:
    root = run_dataset(tmp_path / "data", 5, images=6, extra={0: 7, 3: 7, 5: 9})
    data = dataset(root, TO_ZERO, CLEAN)
    config = run_config(
        tmp_path / "work", run_model(run_head(5)), data, hooks=[HOOK], train_cfg=EPOCHS
    )
    config.train_dataloader.update(loader)
    config.log_processor = {"by_epoch": True}
    runner = run_runner(config)
    runner.train()
    ann = root / "ann"
    expected = [
        [
            f"RemapLabels changed labels of the training dataset in epoch {epoch}: "
            f"9 to 0 (2 pixels); in 1 file, first in {ann / '05.png'}",
            f"AssertLabelBounds changed labels of the training dataset in epoch {epoch}: "
            f"7 to 255 (4 pixels); in 2 files, first in {ann / '0'}",
        ]
        for epoch in (1, 2)
    ]
    found = said(run_log(runner))
    assert len(found) == 4
    assert found[::2] == [first for first, _ in expected]
    for line, (_, start) in zip(found[1::2], expected):
        assert re.fullmatch(re.escape(start) + r"[03]\.png", line)
    assert "without another word" not in run_log(runner)


def test_without_epochs_it_is_said_once_for_as_many_iterations(tmp_path: Path) -> None:
    root = run_dataset(tmp_path / "data", 5, images=4, extra={1: 7})
    config = run_config(
        tmp_path / "work",
        run_model(run_head(5)),
        dataset(root, CLEAN),
        dataset(root, {**CLEAN, "action": 0}),
        hooks=[HOOK],
        iters=5,
        workers=2,
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 5, "val_interval": 4},
    )
    config.train_dataloader.sampler = {"type": "InfiniteSampler", "shuffle": False}
    runner = run_runner(config)
    runner.train()
    found = said(run_log(runner))
    wheres = [re.search(r"of the (.*?): (7 to \d+)", line).groups() for line in found]  # type: ignore[union-attr]
    assert wheres[:2] == [
        ("training dataset up to iteration 2", "7 to 255"),
        ("training dataset up to iteration 4", "7 to 255"),
    ]
    assert ("validation dataset up to iteration 4", "7 to 0") in wheres


def test_a_test_run_says_it_too(tmp_path: Path) -> None:
    root = run_dataset(tmp_path / "data", 5, extra={1: 7})
    data = dataset(root, CLEAN)
    config = run_config(tmp_path / "work", run_model(run_head(5)), data, data, hooks=[HOOK])
    runner = run_runner(config)
    runner.test()
    (line,) = said(run_log(runner))
    assert "of the test dataset: 7 to 255 (2 pixels); in 1 file, first in" in line


def test_transforms_within_wrappers_and_choices_are_found(tmp_path: Path) -> None:
    root = run_dataset(tmp_path / "data", 5, extra={1: 7})
    choice = {"type": "RandomChoice", "transforms": [[CLEAN]]}
    twice = {"type": "RepeatDataset", "times": 2, "dataset": dataset(root, choice)}
    both = {"type": "ConcatDataset", "datasets": [twice, dataset(root, CLEAN)]}
    config = run_config(
        tmp_path / "work", run_model(run_head(5)), both, hooks=[HOOK], iters=6, workers=2
    )
    runner = run_runner(config)
    runner.train()
    found = said(run_log(runner))
    assert sum(int(re.search(r"\((\d+) pixels\)", line)[1]) for line in found) == 6  # type: ignore[index]


def test_two_processes_are_counted_together(tmp_path: Path) -> None:
    root = run_dataset(tmp_path / "data", 5, images=8, extra={0: 7, 1: 7, 2: 7, 7: 9})
    config = run_config(
        tmp_path / "work",
        run_model(run_head(5)),
        dataset(root, CLEAN),
        hooks=[HOOK],
        workers=1,
        train_cfg=EPOCHS,
        launcher="pytorch",
        model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
    )
    for text in train_on_two(config):
        assert "trained" in text
    logs = "".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    found = said(logs)
    assert [line.partition("; ")[0] for line in found] == [
        "AssertLabelBounds changed labels of the training dataset in epoch "
        f"{epoch}: 7 to 255 (6 pixels), 9 to 255 (2 pixels)"
        for epoch in (1, 2)
    ]
    assert all("; in 4 files, first in" in line for line in found)
