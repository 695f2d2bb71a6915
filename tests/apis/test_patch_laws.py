"""Laws of patching, on configs made up by hypothesis and on configs of the zoo."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_fixkit import check, patch
from mmseg_fixkit.apis.patch import Patch
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.tree import apply_edits, lookup, plain, same, walk, without_key
from mmseg_fixkit.core.diagnostics import Edit, EditKind
from tests.helpers.runs import run_names
from tests.zoo.configs import ROOT, one_of_each_method
from tests.zoo.laws import strays
from tests.zoo.modes import read

# Configs as people write them: right, half patched, or wrong in several places at once.

WEIGHTED = ("CrossEntropyLoss", "OhemCrossEntropy", "MyLoss")
EQUAL = st.integers(1, 9).map(lambda n: [2.0] * n)
UNEQUAL = st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=9)


def losses(weights: Any) -> Any:
    """One loss or a list of them, with weights, ``None`` or nothing said."""
    one = st.fixed_dictionaries(
        {"type": st.sampled_from(WEIGHTED)}, optional={"class_weight": st.none() | weights}
    )
    return one | st.lists(one, min_size=1, max_size=2)


def query_head(count: int) -> dict[str, Any]:
    """Return a head whose weights end with that of "no object"."""
    weights = [2.0] * count + [0.1]
    loss = {"type": "mmdet.CrossEntropyLoss", "class_weight": weights}
    return {"type": "MaskFormerHead", "num_classes": count, "loss_cls": loss}


def heads(alike: bool, channels: bool) -> Any:
    """Heads of every kind, also nested ones and one that nobody knows.

    Args:
        alike: whether no weights tell the classes apart, and those of query heads are as many as
            they have to be.
        channels: whether there is an ``out_channels`` now and then.
    """
    weights = EQUAL if alike else EQUAL | UNEQUAL
    counts = st.integers(1, 12)
    loss = losses(weights)
    pixel = st.fixed_dictionaries(
        {
            "type": st.sampled_from(["FCNHead", "mmseg.PSPHead", "mypkg.MyHead"]),
            "num_classes": counts,
            "loss_decode": loss,
        },
        optional={"out_channels": counts} if channels else {},
    )
    query = st.fixed_dictionaries(
        {"type": st.just("MaskFormerHead"), "out_channels": st.just(256)},
        optional={
            "num_classes": counts,
            "loss_cls": st.fixed_dictionaries(
                {"type": st.just("mmdet.CrossEntropyLoss")}, optional={"class_weight": weights}
            ),
        },
    )
    if alike:
        query = counts.map(query_head)
    nested = st.fixed_dictionaries(
        {
            "type": st.just("IterativeDecodeHead"),
            "kernel_generate_head": pixel,
            "kernel_update_head": st.lists(
                st.fixed_dictionaries({"type": st.just("KernelUpdateHead")}), max_size=2
            ),
        }
    )
    edges = st.just({"type": "STDCHead", "num_classes": 2})
    decode = pixel | query | nested | st.lists(pixel, min_size=1, max_size=2)
    auxiliary = st.none() | pixel | st.lists(pixel | edges, min_size=1, max_size=2)
    return st.tuples(decode, auxiliary)


def datasets() -> Any:
    """Datasets with classes of their own or not, below any wrappers."""
    metainfo = st.integers(2, 6).map(lambda n: {"classes": tuple(f"old_{i}" for i in range(n))})
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations"},
        {"type": "LoadAnnotations", "reduce_zero_label": True},
        {"type": "mypkg.Crop", "size": (8, 8)},
        {"type": "PackSegInputs"},
    ]
    plain_dataset = st.fixed_dictionaries(
        {"type": st.sampled_from(["BaseSegDataset", "mypkg.MyDataset"])},
        optional={
            "metainfo": metainfo,
            "pipeline": st.lists(st.sampled_from(steps), max_size=4),
            "reduce_zero_label": st.booleans(),
        },
    )
    registered = st.fixed_dictionaries(
        {"type": st.sampled_from(["CityscapesDataset", "ADE20KDataset", "PotsdamDataset"])},
        optional={"pipeline": st.lists(st.sampled_from(steps), max_size=4)},
    )
    return st.recursive(
        plain_dataset | registered,
        lambda inner: st.one_of(
            inner.map(lambda d: {"type": "RepeatDataset", "times": 2, "dataset": d}),
            st.lists(inner, min_size=1, max_size=2).map(
                lambda d: {"type": "ConcatDataset", "datasets": d}
            ),
            inner.map(lambda d: {"type": "mypkg.MyWrapper", "dataset": d}),
        ),
        max_leaves=3,
    )


METRICS = st.sampled_from(
    [
        {"type": "IoUMetric", "iou_metrics": ["mIoU"]},
        [{"type": "CityscapesMetric", "output_dir": "x"}, {"type": "IoUMetric"}],
        {"type": "Evaluator", "metrics": [{"type": "mypkg.MyMetric"}]},
    ]
)


@st.composite
def trees(draw: Any, alike: bool = False, channels: bool = True) -> dict[str, Any]:
    decode, auxiliary = draw(heads(alike, channels))
    tree = {
        "model": {
            "type": "EncoderDecoder",
            "backbone": {"type": "ResNet", "num_classes": 1000},
            "decode_head": decode,
            "auxiliary_head": auxiliary,
        },
        "train_dataloader": {"batch_size": 2, "dataset": draw(datasets())},
    }
    optional = {
        "val_dataloader": datasets().map(lambda d: {"dataset": d}),
        "val_evaluator": METRICS,
        "test_evaluator": METRICS,
        "custom_hooks": st.sampled_from([[], [{"type": "mypkg.MyHook"}]]),
        "custom_imports": st.sampled_from([{"imports": "mypkg"}, {"imports": ["mypkg", "other"]}]),
    }
    return {**tree, **draw(st.fixed_dictionaries({}, optional=optional))}


#: What is asked for: class names that no dataset of the host has.
LABELS = st.integers(2, 12).map(run_names)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "guards": st.booleans(),
        "class_weight": st.sampled_from(["none", "keep"]),
        "load_from": st.just("weights.pth"),
        "data_root": st.just("data/farm"),
    },
)


def patched(planned: Patch) -> dict[str, Any]:
    tree: dict[str, Any] = plain(planned.config._cfg_dict)
    return tree


def without_weights(tree: dict[str, Any]) -> Any:
    return without_key(tree, "class_weight")


# The laws


@settings(max_examples=60)
@given(trees(), LABELS, OPTIONS)
def test_patching_again_changes_nothing(tree: dict, labels: Any, options: dict) -> None:
    once = patch(Config(tree), labels, **options)
    assert patch(once.config, labels, **options).plan.empty


@settings(max_examples=60)
@given(trees(), LABELS)
def test_what_was_patched_passes_the_check(tree: dict, labels: Any) -> None:
    # What is left is what a patch may not decide: an unsafe fix, or none.
    planned = patch(Config(tree), labels)
    left = {d.code for d in planned.plan.remaining}
    assert {d.code for d in check(planned.config, labels).diagnostics} <= left


@settings(max_examples=60)
@given(trees(alike=True, channels=False), LABELS, LABELS, OPTIONS)
def test_the_last_patch_is_the_one_that_counts(
    tree: dict, first: Any, last: Any, options: dict
) -> None:
    """Patching to A and then to B is patching to B.

    That is so for classes that the datasets do not have themselves, as long as the weights of a
    loss do not tell the classes apart (the next law is about those that do), and where
    ``out_channels`` follows the classes by default: one that is written may be a class count with
    A and something else without, and one channel is for two classes only.
    """
    detour = patch(patch(Config(tree), first, **options).config, last, **options)
    straight = patch(Config(tree), last, **options)
    assert same(patched(detour), patched(straight))


def test_a_query_head_that_grows_by_one_class_keeps_the_weight_of_no_object() -> None:
    head = query_head(2)
    head["loss_cls"]["class_weight"] = [2.0, 2.0, 0.3]
    tree = {"model": {"type": "EncoderDecoder", "decode_head": head}}
    after = patched(patch(Config(tree), 3))
    assert after["model"]["decode_head"]["loss_cls"]["class_weight"] == [2.0, 2.0, 2.0, 0.3]


@settings(max_examples=60)
@given(trees(channels=False), LABELS, LABELS)
def test_so_it_is_with_any_weights_but_for_the_weights(tree: dict, first: Any, last: Any) -> None:
    """Weights belong to classes: those of the first patch are gone when the second is made."""
    detour = patched(patch(patch(Config(tree), first).config, last))
    straight = patched(patch(Config(tree), last))
    assert same(without_weights(detour), without_weights(straight))
    for result in (detour, straight):
        document = ConfigDocument("", result)
        lists = [
            (loss, head)
            for head in document.class_heads
            for loss in document.losses(head)
            if isinstance(loss.class_weight, list)
        ]
        for loss, head in lists:
            query = head.type == "MaskFormerHead"
            assert len(loss.class_weight) == len(last) + query


@settings(max_examples=60)
@given(trees(), LABELS, OPTIONS)
def test_the_argument_is_never_changed(tree: dict, labels: Any, options: dict) -> None:
    config, original = Config(tree), copy.deepcopy(tree)
    planned = patch(config, labels, **options)
    changed = planned.config
    for _, value in list(walk(changed._cfg_dict)):
        if isinstance(value, dict):
            value["touched"] = True
        elif isinstance(value, list):
            value.append("touched")
    assert same(plain(config._cfg_dict), plain(Config(original)._cfg_dict))
    assert same(tree, original)
    assert "touched" not in str(planned.plan.after)


@settings(max_examples=60)
@given(trees(), LABELS, OPTIONS)
def test_nothing_changes_that_no_edit_names(tree: dict, labels: Any, options: dict) -> None:
    plan = patch(Config(tree), labels, **options).plan
    assert list(strays(plan)) == []
    assert plan.empty == same(plan.before, plan.after)


@settings(max_examples=25)
@given(trees(), LABELS, OPTIONS)
def test_every_way_of_writing_says_the_same(tree: dict, labels: Any, options: dict) -> None:
    with TemporaryDirectory() as folder:
        config = Path(folder) / "config.py"
        config.write_text("".join(f"{name} = {value!r}\n" for name, value in tree.items()))
        planned = patch(config, labels, **options)
        found = {}
        for mode in ("overlay", "flat"):
            planned.write(Path(folder) / f"{mode}.py", mode)
            found[mode] = load(Path(folder) / f"{mode}.py").tree
        assert same(found["flat"], planned.plan.after)
        # An overlay may hold variables besides.
        assert same({k: found["overlay"][k] for k in planned.plan.after}, planned.plan.after)


# The same laws in the zoo: a list of heads, nested heads, queries, words, edges, foreign weights

ZOO = ("pspnet", "ocrnet", "point_rend", "knet", "mask2former", "san", "stdc", "pidnet")
METHODS = one_of_each_method()


@cache
def zoo_config(method: str) -> Any:
    return read(METHODS[method])


@pytest.mark.parametrize("method", ZOO)
@settings(max_examples=4)
@given(first=st.integers(1, 200), last=st.integers(1, 200))
def test_laws_in_the_zoo(method: str, first: int, last: int) -> None:
    config = zoo_config(method)
    before = plain(config._cfg_dict)
    straight = patch(config, last)
    assert same(plain(config._cfg_dict), before)
    assert list(strays(straight.plan)) == []
    assert patch(straight.config, last).plan.empty
    detour = patch(patch(config, first).config, last)
    assert same(without_weights(patched(detour)), without_weights(patched(straight)))


def test_a_detour_over_foreign_classes_leaves_the_dataset_type_behind() -> None:
    """Why the law is about classes that the dataset does not have itself."""
    own = ["car", "road"]
    straight = patch(ROOT / "pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py", own)
    detour = patch(patch(straight.config, ["weed", "crop"]).config, own)
    assert straight.config.train_dataloader.dataset.type == "CityscapesDataset"
    assert detour.config.train_dataloader.dataset.type == "BaseSegDataset"


# Edits

NAMES = st.sampled_from("abcd")
SMALL = st.recursive(
    st.integers(0, 9),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
SMALL_TREES = st.dictionaries(NAMES, SMALL, min_size=1, max_size=4)


@given(SMALL_TREES)
def test_no_edit_is_no_change(tree: dict) -> None:
    assert same(apply_edits(tree, []), tree)


@given(SMALL_TREES, st.data())
def test_setting_is_idempotent_and_later_edits_win(tree: dict, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([key for key, _ in walk(tree) if key]))
    first, last = Edit(key, {"x": 1}), Edit(key, [2])
    once = apply_edits(tree, [last])
    assert same(apply_edits(once, [last]), once)
    assert same(apply_edits(tree, [first, last]), once)
    assert lookup(once, key) == [2]


@given(SMALL_TREES, st.data())
def test_edits_apart_from_each_other_commute(tree: dict, data: st.DataObject) -> None:
    keys = [key for key, _ in walk(tree) if key]
    one, other = data.draw(st.sampled_from(keys)), data.draw(st.sampled_from(keys))
    if one[: len(other)] == other or other[: len(one)] == one:
        return
    edits = [Edit(one, "one"), Edit(other, "other")]
    together = apply_edits(tree, edits)
    assert same(together, apply_edits(tree, edits[::-1]))
    assert same(together, apply_edits(apply_edits(tree, edits[:1]), edits[1:]))


@given(st.lists(st.integers(), max_size=5), st.data())
def test_what_was_inserted_can_be_taken_out(entries: list, data: st.DataObject) -> None:
    key = ("steps", data.draw(st.integers(0, len(entries))))
    tree = {"steps": entries}
    longer = apply_edits(tree, [Edit(key, "new", EditKind.INSERT)])
    assert len(longer["steps"]) == len(entries) + 1
    assert lookup(longer, key) == "new"
    assert same(apply_edits(longer, [Edit(key, kind=EditKind.REMOVE)]), tree)
