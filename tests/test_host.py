"""What is read from the host's files is what the imported host says of itself."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import DATASETS, MODELS
from mmseg.utils import register_all_modules

from mmseg_fixkit import FixkitError, host
from mmseg_fixkit.host import HEAD_SPECS, HeadKind

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
        assert (None if default is inspect.Parameter.empty else default) == expected, name


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


def test_the_class_weight_fault_is_known_where_it_is() -> None:
    loss = CrossEntropyLoss(class_weight=[1.0, 2.0])
    label = torch.tensor([[[0, 255]]])
    try:
        loss(torch.zeros(1, 2, 1, 2), label, ignore_index=255)
        fails = False
    except IndexError:
        fails = True
    assert host.class_weight_crash_on_ignored() == fails


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
