from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmseg_fixkit.runtime import AssertLabelBounds, LabelOutOfBounds
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

FILE = "data/ann/07.png"


def labels(*values: int, dtype: Any = np.uint8) -> np.ndarray:
    return np.array([values, values], dtype=dtype)


def run(label: Any, **options: Any) -> dict[str, Any]:
    guard = AssertLabelBounds(**{"num_classes": 8, **options})
    result = guard({"gt_seg_map": label, "seg_map_path": FILE})
    assert result is not None
    return result


def message(label: Any, results: dict[str, Any] | None = None, **options: Any) -> str:
    guard = AssertLabelBounds(**{"num_classes": 8, **options})
    with pytest.raises(LabelOutOfBounds) as caught:
        guard({"gt_seg_map": label, "seg_map_path": FILE, **(results or {})})
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32])
def test_legal_labels_pass_as_the_same_array(dtype: Any) -> None:
    label = labels(0, 3, 7, 255, dtype=dtype)
    assert run(label)["gt_seg_map"] is label


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float64])
def test_a_label_beyond_the_set_names_file_values_counts_range_and_next_step(dtype: Any) -> None:
    text = message(labels(0, 8, 8, 12, 255, dtype=dtype))
    assert text.startswith(f"{FILE} is labelled 8")
    assert "4 pixels" in text
    assert "12" in text
    assert "2 pixels" in text
    assert "0..7, and 255 for ignored pixels" in text
    assert "mmseg-fix scan" in text


def test_negative_labels_are_outside() -> None:
    assert "-1 (2 pixels)" in message(labels(0, -1, dtype=np.int32))


@pytest.mark.parametrize("ignore_index", [-1, 300])
def test_an_ignore_index_that_no_byte_holds(ignore_index: int) -> None:
    assert run(labels(0, 7), ignore_index=ignore_index)
    assert "255 (2 pixels)" in message(labels(0, 255), ignore_index=ignore_index)
    with pytest.warns(UserWarning, match=f"rewritten to {ignore_index}"):
        changed = run(labels(0, 9), ignore_index=ignore_index, action="ignore")["gt_seg_map"]
    assert changed.tolist() == [[0, ignore_index]] * 2


@given(
    label=hnp.arrays(
        st.sampled_from([np.uint8, np.int8, np.int16, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    ),
    num_classes=st.integers(1, 255),
    ignore_index=st.one_of(st.just(255), st.integers(-2, 256)),
)
def test_raises_exactly_when_a_plain_reading_would(
    label: np.ndarray, num_classes: int, ignore_index: int
) -> None:
    allowed = {*range(num_classes), ignore_index}
    legal = {int(v) for v in label.ravel()} <= allowed
    guard = AssertLabelBounds(num_classes, ignore_index)
    if legal:
        assert guard({"gt_seg_map": label})["gt_seg_map"] is label  # type: ignore[index]
    else:
        with pytest.raises(LabelOutOfBounds):
            guard({"gt_seg_map": label})


def test_every_byte_value_at_every_class_count() -> None:
    every = np.arange(256, dtype=np.uint8)
    for num_classes in range(1, 256):
        guard = AssertLabelBounds(num_classes)
        for value in (num_classes - 1, num_classes, 127, 128, 254, 255):
            label = every[value : value + 1].reshape(1, 1)
            results = {"gt_seg_map": label}
            if value < num_classes or value == 255:
                assert guard(results) is results
            else:
                with pytest.raises(LabelOutOfBounds):
                    guard(results)


def test_views_that_are_not_contiguous_are_read_right() -> None:
    wide = np.zeros((6, 8), dtype=np.uint8)
    wide[:, 1::2] = 200
    assert run(wide[::-1, ::2])
    assert "200 (24 pixels)" in message(wide[:, ::-1])


@pytest.mark.parametrize("num_classes", [127, 128, 129, 200])
def test_one_odd_pixel_anywhere_in_a_large_map_is_found(num_classes: int) -> None:
    label = np.zeros((700, 800), dtype=np.uint8)
    label[::2] = 255
    for place in ((0, 0), (163, 671), (163, 672), (699, 799)):
        label[place] = num_classes
        assert f"{num_classes} (1 pixel)" in message(label, num_classes=num_classes)
        label[place] = num_classes - 1


def test_only_some_of_many_values_are_listed() -> None:
    assert message(np.arange(8, 40, dtype=np.uint8).reshape(2, 16)).count("pixel)") == 10
    assert "(1 pixel) and 22 more" in message(np.arange(8, 40, dtype=np.uint8).reshape(2, 16))


@pytest.mark.parametrize(
    ("values", "results", "hint"),
    [
        ((1, 5, 8), {}, "reduce_zero_label=True"),
        ((0, 5, 8), {}, "or there are 9 classes"),
        ((0, 128), {}, "like a mask of one class"),
    ],
)
def test_hints_where_the_values_say_it(values: Any, results: Any, hint: str) -> None:
    assert hint in message(labels(*values), results)


def test_no_hint_at_zero_label_reduction_that_is_on_already() -> None:
    assert "reduce_zero_label" not in message(labels(1, 8), {"reduce_zero_label": True})


def test_255_with_another_ignore_index_is_explained() -> None:
    assert "set ignore_index=255 here" in message(labels(0, 255), ignore_index=0)


@pytest.mark.parametrize(("action", "value"), [("ignore", 255), (0, 0), (5, 5)])
def test_rewriting_leaves_the_loaded_array_alone(action: Any, value: int) -> None:
    label = labels(0, 7, 8, 255)
    before = label.copy()
    with pytest.warns(UserWarning, match=r"07\.png is labelled 8 \(2 pixels\)"):
        changed = run(label, action=action)["gt_seg_map"]
    assert changed.tolist() == [[0, 7, value, 255]] * 2
    assert changed.dtype == np.uint8
    assert np.array_equal(label, before)


def test_rewriting_warns_of_the_first_file_only() -> None:
    guard = AssertLabelBounds(8, action="ignore")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for index in range(3):
            guard({"gt_seg_map": labels(9), "seg_map_path": f"{index}.png"})
    assert [str(w.message).split()[0] for w in caught] == ["0.png"]


def test_rewriting_legal_labels_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(labels(0, 255), action="ignore")


@pytest.mark.parametrize("action", ["raise", "ignore", 0])
@pytest.mark.parametrize(
    ("label", "said"),
    [
        (np.zeros((4, 5, 3), np.uint8), r"shape \(4, 5, 3\).*colour mask"),
        (np.array([[0.5, 1.0]]), r"0\.5 \(1 pixel\), but class indices are whole numbers"),
        (np.array([[np.nan, 1.0]], np.float32), r"nan \(1 pixel\)"),
        (np.array([[np.inf, 1.0]]), "inf"),
        (np.array([["road"]]), "an array of whole numbers"),
        ([[0, 1]], "is list, but"),
    ],
)
def test_what_is_no_label_map_stops_with_any_action(label: Any, said: str, action: Any) -> None:
    with pytest.raises(LabelOutOfBounds, match=said):
        run(label, action=action)


def test_pipelines_without_labels_pass() -> None:
    results = {"img": 1}
    assert AssertLabelBounds(8)(results) is results


def test_another_key() -> None:
    guard = AssertLabelBounds(8, key="gt_edge_map")
    with pytest.raises(LabelOutOfBounds, match="gt_edge_map"):
        guard({"gt_seg_map": labels(99), "gt_edge_map": labels(9)})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_classes": 0}, "num_classes is 0"),
        ({"num_classes": 256}, "1..255 is needed"),
        ({"num_classes": "8"}, "num_classes is '8'"),
        ({"num_classes": True}, "num_classes is True"),
        ({"ignore_index": None}, "ignore_index is None"),
        ({"action": "drop"}, "action is 'drop'"),
        ({"action": 8}, r"action is 8, but .* \(0\.\.7\)"),
        ({"action": -1}, "action is -1"),
        ({"action": True}, "action is True"),
    ],
)
def test_wrong_arguments_are_one_sentence(options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AssertLabelBounds(**{"num_classes": 8, **options})


def test_repr_can_be_read_back() -> None:
    guard = AssertLabelBounds(8, 0, "raise", "x")
    again = eval(repr(guard))
    assert vars(again) == vars(guard)


def test_the_error_survives_pickling_and_torch() -> None:
    from torch._utils import ExceptionWrapper

    try:
        run(labels(9))
    except LabelOutOfBounds as error:
        again = pickle.loads(pickle.dumps(error))
        wrapped = ExceptionWrapper(where="in a worker")
    assert type(again) is LabelOutOfBounds
    assert FILE in str(again)
    with pytest.raises(LabelOutOfBounds, match=FILE):
        wrapped.reraise()


def build(config: dict[str, Any]) -> Any:
    import mmseg.datasets  # noqa: F401 - registers
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    init_default_scope("mmseg")
    return DATASETS.build(config)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader_stops_with_the_file_and_the_value(tmp_path: Path, workers: int) -> None:
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    run_dataset(tmp_path, 8, extra={3: 8})
    dataset = build(run_dataset_config(tmp_path, run_names(8), {"num_classes": 8}))
    loader = DataLoader(dataset, batch_size=2, num_workers=workers, collate_fn=pseudo_collate)
    batches = iter(loader)
    assert len(next(batches)["inputs"]) == 2
    with pytest.raises(LabelOutOfBounds, match=r"03\.png is labelled 8 \(2 pixels\)"):
        next(batches)


def test_zero_label_reduction_comes_first(tmp_path: Path) -> None:
    run_dataset(tmp_path, 8, images=1, extra={0: 8})
    config = run_dataset_config(tmp_path, run_names(8), {"num_classes": 8})
    label = build({**config, "reduce_zero_label": True})[0]["data_samples"].gt_sem_seg.data
    assert set(np.unique(label).tolist()) == {*range(8), 255}


@pytest.mark.parametrize("imports", ["mmseg_fixkit", "mmseg_fixkit.runtime"])
def test_training_with_workers_stops_before_the_loss(tmp_path: Path, imports: str) -> None:
    run_dataset(tmp_path / "data", 8, extra={2: 8})
    data = run_dataset_config(tmp_path / "data", run_names(8), {"num_classes": 8})
    model = run_model(run_head(8))
    config = run_config(tmp_path / "work", model, data, workers=2, imports=imports)
    with pytest.raises(
        LabelOutOfBounds, match=r"02\.png is labelled 8 \(2 pixels\), but .* 0\.\.7"
    ):
        run_runner(config).train()


def test_training_goes_on_when_odd_labels_are_ignored(tmp_path: Path) -> None:
    run_dataset(tmp_path / "data", 8, extra={2: 8})
    guard = {"num_classes": 8, "action": "ignore"}
    data = run_dataset_config(tmp_path / "data", run_names(8), guard)
    runner = run_runner(run_config(tmp_path / "work", run_model(run_head(8)), data))
    with pytest.warns(UserWarning, match=r"02\.png is labelled 8"):
        runner.train()
    assert "Iter(train) [2/2]" in run_log(runner)
