"""The pure part: which old class a new one comes from, and how axes follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit import FixkitError
from mmseg_fixkit.checkpoint.adapt import ModelSpec
from mmseg_fixkit.checkpoint.contents import Source
from mmseg_fixkit.checkpoint.names import (
    datasets_of,
    given_names,
    names_in_meta,
    names_of_dataset,
    palette_in_meta,
    suggestion,
)
from mmseg_fixkit.checkpoint.rows import (
    ClassMapping,
    ClassTensor,
    gather_rows,
    input_sources,
    is_identity,
    map_classes,
    one_to_two,
    output_sources,
    parse_mapping,
    shift,
    two_to_one,
    with_last,
)
from mmseg_fixkit.config.host import ClassAxis

NAMES = ("a", "b", "c", "d", "e", "f")
ORDERS = st.permutations(NAMES)
SOME = st.lists(st.sampled_from(NAMES), min_size=1, unique=True)


def rows_of(plan: ClassMapping, tensor: torch.Tensor) -> torch.Tensor:
    return gather_rows(tensor, {0: output_sources(plan)})


# The plan


@given(ORDERS, ORDERS)
def test_there_and_back_is_identity(old: list[str], new: list[str]) -> None:
    tensor = torch.randn(len(NAMES), 3)
    there = rows_of(map_classes(old, new), tensor)
    assert torch.equal(rows_of(map_classes(new, old), there), tensor)
    assert all(torch.equal(there[i], tensor[old.index(n)]) for i, n in enumerate(new))


@given(ORDERS, SOME, SOME)
def test_two_steps_are_as_good_as_one(old: list[str], middle: list[str], new: list[str]) -> None:
    within = [name for name in new if name in middle] or middle
    tensor = torch.randn(len(NAMES), 3)
    one = rows_of(map_classes(old, within), tensor)
    two = rows_of(map_classes(middle, within), rows_of(map_classes(old, middle), tensor))
    assert torch.equal(one, two)


@given(SOME, SOME)
def test_every_class_is_kept_new_or_left_out(old: list[str], new: list[str]) -> None:
    plan = map_classes(old, new)
    assert set(plan.kept) == set(old) & set(new)
    assert set(plan.fresh) == set(new) - set(old)
    assert set(plan.dropped) == set(old) - set(new)
    assert plan.is_identity == (old == new)


@given(ORDERS)
def test_input_columns_move_against_the_rows_that_feed_them(new: list[str]) -> None:
    plan = map_classes(NAMES, new)
    outputs, weight = torch.randn(len(NAMES)), torch.randn(2, len(NAMES))
    after = gather_rows(weight, {1: input_sources(plan)}) @ rows_of(plan, outputs)
    assert torch.allclose(after, weight @ outputs, atol=1e-5)


def test_a_class_that_was_split_feeds_as_the_whole_did() -> None:
    plan = map_classes("ab", "xyb", {"a": ["x", "y"]})
    outputs, weight = torch.randn(2), torch.randn(3, 2)
    after = gather_rows(weight, {1: input_sources(plan)}) @ rows_of(plan, outputs)
    assert torch.allclose(after, weight @ outputs)
    assert rows_of(plan, outputs)[0] == rows_of(plan, outputs)[1] == outputs[0]


@pytest.mark.parametrize(
    ("mapping", "sources"),
    [
        (None, [(), (1,), ()]),
        ({"car": "vehicle"}, [(0,), (1,), ()]),
        ({"car": "vehicle", "truck": "vehicle"}, [(0, 2), (1,), ()]),
        ({"car": ["vehicle", "wall"], "sky": "sky"}, [(0,), (1,), (0,)]),
        ([("car", "vehicle"), ("car", "sky")], [(0,), (0,), ()]),
        ({"car": "sky", "sky": "sky"}, [(), (0, 1), ()]),
    ],
    ids=["none", "rename", "merge", "split", "instead of its own", "its own too"],
)
def test_the_mapping_counts_before_equal_names(mapping: Any, sources: Any) -> None:
    plan = map_classes(["car", "sky", "truck"], ["vehicle", "sky", "wall"], mapping)
    assert list(plan.sources) == sources


@pytest.mark.parametrize(
    ("old", "new", "mapping", "said"),
    [
        ("ab", "cd", {"x": "c"}, "'x', which is not among the checkpoint's classes: a, b"),
        (["road"], ["street"], {"raod": "street"}, "near it are road"),
        (["road"], ["street"], {"road": "streat"}, "among the new classes; near it are street"),
        (["a", "a"], ["b"], None, "'a' is given for labels 0, 1"),
        (["a"], [], None, "no classes are given"),
    ],
)
def test_unknown_and_doubled_names_are_refused(old: Any, new: Any, mapping: Any, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        map_classes(old, new, mapping)


def test_the_command_lines_mapping() -> None:
    assert parse_mapping("a=b, traffic light = light,") == (("a", "b"), ("traffic light", "light"))
    for text in ("a", "a=b=c", "=b", "", ","):
        with pytest.raises(FixkitError, match="is not of the form old=new"):
            parse_mapping(text)


def test_names_that_are_alike_are_offered() -> None:
    plan = map_classes(["road", "Traffic_Light", "sky"], ["raod", "traffic light", "weed"])
    assert plan.likely_renames() == (("road", "raod"), ("Traffic_Light", "traffic light"))
    assert plan.kept == ()


# Axes


def test_averages_are_averages_and_new_rows_come_from_the_model() -> None:
    plan = map_classes("abc", ("m", "z", "c"), {"a": "m", "b": "m"})
    old, fresh = torch.arange(6.0).reshape(3, 2), torch.full((3, 2), 9.0)
    result = gather_rows(old, {0: output_sources(plan)}, fresh)
    assert result.tolist() == [[1.0, 2.0], [9.0, 9.0], [4.0, 5.0]]
    assert old.tolist() == torch.arange(6.0).reshape(3, 2).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_type_of_the_checkpoint_stays(dtype: torch.dtype) -> None:
    plan = map_classes("abc", ("m", "z"), {"a": "m", "b": "m"})
    old = torch.randn(3, 2).to(dtype)
    result = gather_rows(old, {0: output_sources(plan)}, torch.ones(2, 2))
    assert result.dtype is dtype
    assert torch.equal(result[0], ((old[0].double() + old[1].double()) / 2).to(dtype))


@given(ORDERS)
def test_no_object_stays_last_and_features_stay_in_front(new: list[str]) -> None:
    plan = map_classes(NAMES, new)
    tensor = torch.randn(len(NAMES) + 1, 4 + len(NAMES))
    rows, columns = with_last(output_sources(plan), len(NAMES)), shift(input_sources(plan), 4)
    result = gather_rows(tensor, {0: rows, 1: columns})
    assert torch.equal(result[-1, :4], tensor[-1, :4])
    index = [NAMES.index(name) for name in new]
    assert torch.equal(result[:-1, :4], tensor[index, :4])
    assert torch.equal(result[:-1, 4:], tensor[index][:, [4 + i for i in index]])
    assert is_identity(rows, len(tensor)) == (tuple(new) == NAMES)


def test_one_sigmoid_channel_is_two_classes() -> None:
    channel = torch.randn(1, 5)
    same, swapped = map_classes("ab", "ab"), map_classes("ab", "ba")
    two = gather_rows(channel, {0: one_to_two(output_sources(same))})
    assert torch.allclose(two.softmax(0)[1], channel.sigmoid()[0])
    for plan, sign in ((same, 1), (swapped, -1)):
        again = gather_rows(channel, {0: two_to_one(one_to_two(output_sources(plan)))})
        assert torch.equal(again, sign * channel)
        one = gather_rows(two, {0: two_to_one(output_sources(plan))})
        assert torch.allclose(one, sign * channel)
    assert two_to_one(output_sources(map_classes("ab", "az"))) == ((),)


# Tensors


def tensor(*shape: int, dims: tuple[int, ...] = (0,), **more: Any) -> ClassTensor:
    axes = tuple(ClassAxis(dim, inputs=dim > 0) for dim in dims)
    return ClassTensor("decode_head", shape, axes, **{"count": shape[0], **more})


@pytest.mark.parametrize(
    ("of_model", "found", "resizes"),
    [
        (tensor(4, 64, 1, 1), (8, 64, 1, 1), True),
        (tensor(4, 64, 1, 1), (4, 64, 1, 1), True),
        (tensor(4, 64, 1, 1), (1, 64, 1, 1), True),
        (tensor(4, 64, 1, 1), (0, 64, 1, 1), False),
        (tensor(4, 64, 1, 1), (8, 32, 1, 1), False),
        (tensor(4, 64, 1, 1), (8, 64, 3, 3), False),
        (tensor(4, 64, 1, 1), (8, 64), False),
        (tensor(4, 64, 1, 1), (8, 64, 1, 1, 1), False),
        (tensor(4, 64, 1, 1), (), False),
        (tensor(4), (8,), True),
        (tensor(4), (8, 1), False),
        (tensor(5, 256, count=4, no_object=True), (9, 256), True),
        (tensor(5, 256, count=4, no_object=True), (1, 256), False),
        (tensor(4, 260, dims=(0, 1)), (8, 264), True),
        (tensor(4, 260, dims=(0, 1)), (8, 257), True),
        (tensor(4, 260, dims=(0, 1)), (8, 256), False),
    ],
)
def test_another_count_of_classes_explains_another_shape(
    of_model: ClassTensor, found: tuple[int, ...], resizes: bool
) -> None:
    assert of_model.resizes(found) is resizes


def test_names_and_rows_that_are_not_equally_many_are_told_with_their_numbers() -> None:
    classes = map_classes("abc", "xy")
    assert [*tensor(2, 64).miscounts((3, 64), classes)] == []
    assert [*tensor(2, 64).miscounts((4, 64), classes)] == [("the checkpoint", 4, 3)]
    assert [*tensor(5, 64).miscounts((3, 64), classes)] == [("the model", 5, 2)]
    # One sigmoid channel is for two classes, and for no other number.
    assert [*tensor(1, 64).miscounts((3, 64), classes)] == []
    assert [*tensor(2, 64).miscounts((1, 64), classes)] == [("the checkpoint", 1, 3)]
    wide = ClassTensor("decode_head", (64, 1), (ClassAxis(1, inputs=True),), 1)
    assert [*wide.miscounts((64, 3), classes)] == [("the model", 1, 2)]


@pytest.mark.parametrize("names", [("decode_head.w", "auxiliary_head.w"), ("auxiliary_head.w",)])
def test_the_count_of_a_checkpoint_is_first_that_of_the_decode_head(names: tuple[str, ...]) -> None:
    rows = {"decode_head.w": 7, "auxiliary_head.w": 19}
    of_model = {
        name: ClassTensor(name.partition(".")[0], (4, 8), (ClassAxis(0),), 4)
        for name in ("auxiliary_head.w", "decode_head.w")
    }
    spec = ModelSpec(dict.fromkeys(of_model, (4, 8)), of_model, lambda names: {})
    tensors = {name: torch.zeros(rows[name], 8) for name in names}
    assert spec.class_count_of(Source("c.pth", tensors)) == rows[names[0]]
    assert spec.class_count_of(Source("c.pth", {"decode_head.w": torch.zeros(1, 8)})) == 2
    assert spec.class_count_of(Source("c.pth", {"decode_head.w": torch.zeros(5, 9)})) is None


# Names


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({"dataset_meta": {"classes": ["a", "b"]}}, ("a", "b")),
        ({"CLASSES": ("a", "b")}, ("a", "b")),
        ({"dataset_meta": {"classes": None}, "CLASSES": ["a"]}, ("a",)),
        ({"dataset_meta": {"classes": ()}}, None),
        ({"dataset_meta": {"classes": "abc"}}, None),
        ({"dataset_meta": None, "CLASSES": [1, 2]}, None),
        (None, None),
    ],
)
def test_names_that_a_checkpoint_carries(meta: Any, names: Any) -> None:
    assert names_in_meta(meta) == names


def test_colours_that_a_checkpoint_carries() -> None:
    palette = [[1, 2, 3], [4, 5, 6]]
    new = {"dataset_meta": {"classes": "ab", "palette": palette}, "CLASSES": ["a", "b"]}
    assert palette_in_meta({"CLASSES": ["a", "b"], "PALETTE": palette}) == ((1, 2, 3), (4, 5, 6))
    assert palette_in_meta(new) == ((1, 2, 3), (4, 5, 6))
    assert palette_in_meta({"CLASSES": ["a"], "PALETTE": palette}) is None


@pytest.mark.parametrize("name", ["cityscapes", "CityscapesDataset", "Cityscapes"])
def test_a_data_set_is_found_by_its_name(name: str) -> None:
    assert len(names_of_dataset(name)) == 19
    assert given_names(name) == names_of_dataset(name)
    assert given_names(["a"]) == ("a",)
    assert given_names(()) == ()
    assert given_names(None) is None


def test_an_unknown_data_set_is_refused_and_a_known_one_only_offered() -> None:
    with pytest.raises(FixkitError, match=r"'cityscape' is no dataset .* near it are Citysc"):
        given_names("cityscape")
    assert "ADE20KDataset has 150 classes" in suggestion(150, "--old-classes")
    assert "CityscapesDataset" in datasets_of(19)
    assert suggestion(77, "--old-classes").endswith("with --old-classes")
