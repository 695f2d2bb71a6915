"""What is read from the host's files is what the imported host says of itself."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from mmseg.utils import register_all_modules

from mmseg_fixkit import FixkitError
from mmseg_fixkit.config import host
from mmseg_fixkit.config.host import HEAD_SPECS, HeadKind
from mmseg_fixkit.rules.ignore_index import IGNORING_TRANSFORMS
from tests.helpers.runs import skip_unless_installed
from tests.helpers.stack import needs_mmseg_1_2

register_all_modules(init_default_scope=False)
#: Registered under the base class of all, or wrapping others.
CLASSES = {name: kind for name, kind in DATASETS.module_dict.items() if hasattr(kind, "METAINFO")}


def default_of(kind: Any, argument: str) -> Any:
    """Return the default in force for a dataset type: its own, or that of a base."""
    for base in kind.__mro__:
        parameter = inspect.signature(base.__init__).parameters.get(argument)
        if parameter is not None:
            return parameter.default
    raise AssertionError(f"{kind} takes no {argument}")


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_dataset_types(name: str) -> None:
    kind, info = CLASSES[name], host.dataset_info(name)
    assert info is not None
    assert list(info.classes or ()) == list(kind.METAINFO.get("classes", ()))
    palette = [list(color) for color in kind.METAINFO.get("palette", [])]
    assert [list(color) for color in info.palette or ()] == palette
    assert info.img_suffix == default_of(kind, "img_suffix")
    assert info.seg_map_suffix == default_of(kind, "seg_map_suffix")
    assert info.reduce_zero_label == default_of(kind, "reduce_zero_label")
    assert issubclass(kind, DATASETS.get(info.plain_type))


def test_a_type_that_the_host_does_not_have() -> None:
    assert host.dataset_info("MyDataset") is None


def test_every_special_head_exists_and_has_the_default_that_the_table_says() -> None:
    for name, spec in HEAD_SPECS.items():
        kind = MODELS.get(name)
        if kind is None:
            continue  # needs mmdet, which the compiler-free stack lacks
        parameter = inspect.signature(kind.__init__).parameters.get("num_classes")
        default = parameter.default if parameter else inspect.Parameter.empty
        expected = spec.default_num_classes
        assert (None if default is inspect.Parameter.empty else default) == expected, (
            f"give {name} default_num_classes={default} in HEAD_SPECS (mmseg_fixkit/config/host.py)"
        )


def test_every_other_head_is_a_per_pixel_head() -> None:
    heads = {
        name
        for name, kind in MODELS.module_dict.items()
        if inspect.isclass(kind) and issubclass(kind, BaseDecodeHead)
    }
    plain = heads - set(HEAD_SPECS)
    assert len(plain) > 20
    assert {host.head_spec(name).kind for name in plain} == {HeadKind.PER_PIXEL}
    assert host.head_spec("mmseg.PSPHead") == host.head_spec("PSPHead")


@pytest.mark.parametrize("avg_non_ignore", [False, True])
def test_the_class_weight_fault_is_known_where_it_is(avg_non_ignore: bool) -> None:
    loss = CrossEntropyLoss(class_weight=[1.0, 2.0], avg_non_ignore=avg_non_ignore)
    label = torch.tensor([[[0, 255]]])
    try:
        loss(torch.zeros(1, 2, 1, 2), label, ignore_index=255)
        fails = False
    except IndexError:
        fails = True
    assert host.class_weight_crash_on_ignored(avg_non_ignore) == fails


def registered(folder: str, package: str = "mmseg") -> dict[str, ast.FunctionDef]:
    """Return ``__init__`` of every class that the sources in a folder register."""
    root = host.package_path(package)
    assert root is not None
    nodes = (ast.parse(file.read_text()).body for file in sorted(root.glob(f"{folder}/*.py")))
    return {
        node.name: method
        for body in nodes
        for node in body
        if isinstance(node, ast.ClassDef) and node.decorator_list
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
    }


def arguments(function: ast.FunctionDef) -> dict[str, Any]:
    """Return the arguments that have constant defaults, with them."""
    names = [argument.arg for argument in function.args.args]
    defaults = function.args.defaults
    pairs = zip(names[len(names) - len(defaults) :], defaults)
    return {name: getattr(default, "value", ...) for name, default in pairs}


LOSSES = registered("models/losses")


@needs_mmseg_1_2
def test_the_losses_of_the_host_that_take_class_weights_are_the_table() -> None:
    weighted = {name for name, init in LOSSES.items() if "class_weight" in arguments(init)}
    assert len(LOSSES) > 8
    assert weighted == host.WEIGHTED_LOSSES - {"ClassWeightedCrossEntropyLoss"}
    assert LOSSES.keys() - weighted == set(host.UNWEIGHTED_LOSSES)


@needs_mmseg_1_2
def test_the_losses_of_the_host_that_read_files_are_the_table() -> None:
    reading = {name for name, init in LOSSES.items() if "get_class_weight" in ast.dump(init)}
    assert reading == host.FILE_READING_LOSSES - {"ClassWeightedCrossEntropyLoss"}


@needs_mmseg_1_2
def test_the_losses_of_the_host_that_ignore_a_label_of_their_own_are_the_table() -> None:
    found = {
        name: argument
        for name, init in LOSSES.items()
        for argument, default in arguments(init).items()
        if argument.startswith("ignore_") and default == 255
    }
    # Its ignore_index is a channel that it leaves out; see below.
    assert found.pop("DiceLoss") == "ignore_index"
    assert found == host.IGNORING_LOSSES


@needs_mmseg_1_2
def test_dice_leaves_out_a_channel_and_not_pixels() -> None:
    logits, label = torch.randn(1, 3, 4, 4), torch.randint(0, 3, (1, 4, 4))
    loss = MODELS.build({"type": "DiceLoss", "ignore_index": 0})
    other = logits.clone()
    other[:, 0] += 5
    assert loss(logits, label) == loss(other, label)
    assert loss(logits, label) != loss(logits, torch.where(label == 0, 1, label))


def test_no_loss_of_mmdet_reads_a_file() -> None:
    if importlib.util.find_spec("mmdet") is None:
        pytest.skip("mmdet is not installed here")
    losses = registered("models/losses", "mmdet")
    weighted = {name for name, init in losses.items() if "class_weight" in arguments(init)}
    assert {"CrossEntropyLoss"} <= weighted
    assert "get_class_weight" not in "".join(ast.dump(losses[name]) for name in weighted)
    # Only this name is given weights that it did not have.
    assert weighted & host.WEIGHTED_LOSSES == {"CrossEntropyLoss"}


def test_the_transforms_that_name_a_label_are_the_table() -> None:
    names = ("ignore_index", "seg_pad_val", "seg_fill_in")
    found = {
        kind: (name, arguments(init)[name])
        for kind, init in registered("datasets/transforms").items()
        for name in names
        if name in arguments(init)
    }
    own = {k: v for k, v in IGNORING_TRANSFORMS.items() if k != "AssertLabelBounds"}
    assert found == {kind: (name, default) for kind, (name, _, default) in own.items()}


def test_the_transforms_of_mmcv_that_pad_labels_are_known() -> None:
    padding = [
        kind for kind, init in registered("transforms", "mmcv").items() if "'seg'" in ast.dump(init)
    ]
    assert padding == ["Pad"]
    label = {"img": np.zeros((2, 2, 3)), "gt_seg_map": np.zeros((2, 2)), "seg_fields": []}
    label["seg_fields"].append("gt_seg_map")
    for value in (0, {"img": 0, "seg": 255}, {"img": 0}):
        padded = TRANSFORMS.build({"type": "Pad", "size": (4, 4), "pad_val": value})(dict(label))
        assert padded["gt_seg_map"][3, 3] == 255


@pytest.mark.parametrize(
    ("name", "config", "kind"),
    [
        ("TheirHead", {"num_classes": 19}, HeadKind.PER_PIXEL),
        ("TheirHead", {"num_queries": 100, "loss_cls": {}}, HeadKind.QUERY),
        (
            "TheirHead",
            {"num_classes": 2, "loss_cls": {"class_weight": [1.0, 1.0, 0.1]}},
            HeadKind.QUERY,
        ),
        (
            "TheirHead",
            {"num_classes": 3, "loss_cls": {"class_weight": [1.0, 1.0, 1.0]}},
            HeadKind.PER_PIXEL,
        ),
        (
            "TheirHead",
            {"num_queries": 100, "loss_cls": {"use_sigmoid": True}},
            HeadKind.PER_PIXEL,
        ),
        ("BoundaryHead", {"num_classes": 1}, HeadKind.BOUNDARY),
        ("EdgeAwareHead", {"num_classes": 19}, HeadKind.PER_PIXEL),
        ("mmdet.Mask2FormerHead", {"num_things_classes": 80}, HeadKind.QUERY),
        ("FCNHead", {"num_queries": 100, "loss_cls": {}}, HeadKind.PER_PIXEL),
    ],
)
def test_what_the_dict_of_an_unknown_head_shows(
    name: str, config: dict[str, Any], kind: HeadKind
) -> None:
    assert host.head_spec(name, config).kind is kind


def test_a_feature_width_is_no_class_count() -> None:
    spec = host.head_spec("TheirHead", {"num_classes": 19, "out_channels": 256})
    assert not spec.channels_follow_classes
    assert host.head_spec("TheirHead", {"num_classes": 19}).channels_follow_classes


def test_things_and_stuff_are_counted_as_mmdet_does() -> None:
    skip_unless_installed("mask2former")
    head = MODELS.get("mmdet.Mask2FormerHead")
    text = inspect.getsource(head.__init__)
    assert "self.num_classes = self.num_things_classes + self.num_stuff_classes" in text
    assert host.written_count({host.THINGS: 80, host.STUFF: 53}) == 133


def test_zoo_names_are_known_to_be_readable(tmp_path: Path) -> None:
    name = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
    assert host.zoo_path(name).is_file()
    assert host.zoo_path(name.removesuffix(".py")) == host.zoo_path(name)
    config = tmp_path / "c.py"
    config.write_text(f"_base_ = '{name}'\n")
    try:
        Config.fromfile(str(config))
        readable = True
    except ModuleNotFoundError:
        readable = False
    assert host.reads_zoo_names() == readable


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nopackage::a/b.py", "'nopackage' is not installed"),
        ("mmseg::pspnet/pspnet_r49-d8_4xb2-40k_cityscapes-512x1024.py", "near it are pspnet_r"),
        ("mmseg::nofolder/x.py", "there is no such config"),
    ],
)
def test_names_that_are_none(name: str, words: str) -> None:
    with pytest.raises(FixkitError, match=words):
        host.zoo_path(name)
