"""Every name that is read of the host's objects is there, on the stack that is installed.

A name that a new version has no more fails here, and not in what users are told.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.model import BaseModule
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.registry import DATASETS, MODELS
from torch import nn

from mmseg_fixkit.config.host import HEAD_SPECS, WEIGHTED_LOSSES, zoo_path
from mmseg_fixkit.models.build import build_shapes, read_config
from mmseg_fixkit.models.chance_loss import _is_logits
from mmseg_fixkit.models.heads import find_heads, is_base_head, outermost
from mmseg_fixkit.rules.channels import LOSSES
from tests.helpers.paths import ROOT
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_model,
    run_names,
    run_portable,
    run_runner,
    run_zoo_model,
)
from tests.zoo.configs import head_types, one_of_each_method

#: What is read of each object of the host.
READ = {
    "runner": (
        "_train_loop _val_loop _test_loop train_loop val_loop test_loop _load_from _resume "
        "model cfg logger optim_wrapper dump_config"
    ),
    "training loop": "dataloader",
    "validation loop": "dataloader evaluator",
    "evaluator": "metrics process evaluate dataset_meta",
    "metric": "results dataset_meta",
    "dataset": "metainfo",
    "optimizer wrapper": "optimizer _accumulative_counts",
    "optimizer wrappers": "optim_wrappers",
    "preprocessor": "size mean std _enable_normalize",
    "segmentor": (
        "decode_head auxiliary_head data_preprocessor test_cfg num_classes out_channels "
        "whole_inference postprocess_result loss _forward val_step parse_losses"
    ),
    "module": "is_init init_weights _dump_init_info",
    "sample": "gt_sem_seg metainfo set_metainfo clone",
    "config": "_imported_names _cfg_dict _to_lazy_dict filename text pretty_text",
    "state": "_metadata",
    "layer": "reset_parameters",
}

#: What each head has; others by type.
EVERY_HEAD = "num_classes ignore_index loss_by_feat"
PIXEL_HEAD = "out_channels threshold loss_decode"
MORE = {"PointHead": "coarse_pred_each_layer", "Mask2FormerHead": "num_queries loss_cls"}

#: What is asked of objects by ``getattr`` or ``hasattr`` and belongs to Python, to torch's tensors,
#: to NumPy, to PyYAML or to this project.
NOT_OF_THE_HOST = (
    "CSafeLoader __module__ __name__ dtype func id owner problem problem_mark shape stands_for "
    "state_dict storage_offset strerror target targets tolist value weight"
)

PARTS = ("hooks", "models", "transforms", "apis", "checkpoint", "config", "datasets", "rules")


@cache
def model_of(method: str) -> Any:
    config = run_zoo_model(one_of_each_method()[method])
    try:
        return config, build_shapes(config)
    except Exception as error:
        pytest.skip(f"{method} cannot be built here: {error}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("names")
    names = run_names(3)
    train = run_dataset_config(run_dataset(folder / "data", 3), names)
    val = run_dataset_config(run_dataset(folder / "val", 3, images=2), names)
    runner = run_runner(run_config(folder / "run", run_model(run_head(3)), train, val))
    runner.train()
    _ = runner.val_loop, runner.test_loop  # built on first use
    return runner


def objects(runner: Any) -> dict[str, Any]:
    wrapper = runner.optim_wrapper
    dataset = runner.train_loop.dataloader.dataset
    zoo = zoo_path("mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py")
    config = run_portable(Config.fromfile(str(zoo)))
    segmentor = MODELS.build(config.model)
    return {
        "runner": runner,
        "training loop": runner.train_loop,
        "validation loop": runner.val_loop,
        "evaluator": runner.val_loop.evaluator,
        "metric": runner.val_loop.evaluator.metrics[0],
        "dataset": dataset,
        "optimizer wrapper": wrapper,
        "optimizer wrappers": OptimWrapperDict(a=wrapper),
        "preprocessor": segmentor.data_preprocessor,
        "segmentor": segmentor,
        "module": segmentor.decode_head,
        "sample": dataset[0]["data_samples"],
        "config": config,
        "state": segmentor.state_dict(),
        "layer": segmentor.decode_head.conv_seg,
    }


def test_objects_have_what_is_read_of_them(trained: Any) -> None:
    found = objects(trained)
    assert found.keys() == READ.keys()
    missing = {
        f"{kind}.{name}"
        for kind, names in READ.items()
        for name in names.split()
        if not hasattr(found[kind], name)
    }
    assert missing == set()
    assert isinstance(trained.optim_wrapper, OptimWrapper)
    assert isinstance(found["module"], BaseModule)


def test_one_spelling_says_whether_channels_turn(trained: Any) -> None:
    for turns in (False, True):
        built = MODELS.build({"type": "SegDataPreProcessor", "bgr_to_rgb": turns})
        spellings = {"channel_conversion", "_channel_conversion"} & vars(built).keys()
        assert [getattr(built, name) for name in spellings] == [turns]


def test_samples_and_results_have_the_keys_that_are_read(trained: Any) -> None:
    dataset = trained.train_loop.dataloader.dataset
    info = dataset.get_data_info(0)
    assert info.keys() >= {
        "img_path",
        "seg_map_path",
        "label_map",
        "reduce_zero_label",
        "seg_fields",
    }
    loaded = dataset.pipeline.transforms[1](dataset.pipeline.transforms[0](info))
    assert loaded.keys() >= {"img", "ori_shape", "gt_seg_map"}
    assert loaded["seg_fields"] == ["gt_seg_map"]
    batch = next(iter(trained.train_loop.dataloader))
    assert batch.keys() >= {"inputs", "data_samples"}
    packed = batch["data_samples"][0]
    assert "gt_sem_seg" in packed
    assert packed.metainfo.keys() >= {"img_path", "seg_map_path", "ori_shape"}


def test_wrappers_name_what_they_wrap(trained: Any) -> None:
    inner = trained.train_loop.dataloader.dataset
    several = ConcatDataset([inner])
    assert several.datasets[0] is inner
    mixed = {"type": "MultiImageMixDataset", "dataset": several, "pipeline": []}
    assert DATASETS.build(mixed).dataset is several
    inner.get_cat_ids = lambda index: [0]
    for wrapper in (RepeatDataset(inner, 2), ClassBalancedDataset(inner, 0.1)):
        assert wrapper.dataset is inner


@pytest.mark.parametrize("method", one_of_each_method())
def test_heads_of_the_zoo_have_what_is_read_of_them(method: str) -> None:
    config, model = model_of(method)
    heads = find_heads(model)
    written = head_types(config.model.to_dict()).replace("(", ", ").replace(")", "")
    kinds = {kind.split(" ")[-1] for part in written.split(" + ") for kind in part.split(", ")}
    assert kinds <= {head.type_name for head in heads}
    missing = {
        f"{head.type_name}.{name}"
        for head in heads
        for name in names_of(head)
        if not hasattr(head.module, name)
    }
    assert missing == set()
    for head in outermost(model):
        assert isinstance(head.module, BaseModule)
        assert any(map(_is_logits, inspect.signature(head.module.loss_by_feat).parameters))


def names_of(head: Any) -> list[str]:
    if head.type_name == "KernelUpdateHead":  # inside K-Net's own
        return ["num_classes"]
    if head.type_name == "IterativeDecodeHead":  # losses and thresholds are those of inner heads
        return [*EVERY_HEAD.split(), "out_channels"]
    more = MORE.get(head.type_name, "")
    pixel = PIXEL_HEAD if is_base_head(head.module) and head.spec.kind.value == "per-pixel" else ""
    return f"{EVERY_HEAD} {pixel} {more}".split()


@pytest.mark.parametrize("method", one_of_each_method())
def test_the_class_layers_of_a_head_are_there(method: str) -> None:
    import re

    _, model = model_of(method)
    for head in find_heads(model):
        state = [name for name in head.module.state_dict() if "." in name or name == "cls_emb"]
        for layer in head.spec.class_layers:
            assert any(re.match(rf"{layer}\b", name) for name in state), (head.type_name, layer)


def test_every_head_of_the_table_is_one_of_the_host() -> None:
    import mmseg.models.decode_heads as heads

    assert set(HEAD_SPECS) - {"KernelUpdateHead"} <= set(vars(heads))
    assert hasattr(heads.knet_head, "KernelUpdateHead")


@pytest.mark.parametrize("kind", sorted(WEIGHTED_LOSSES))
def test_losses_keep_their_class_weights(kind: str) -> None:
    options = {"reduction": "none"} if kind == "LovaszLoss" else {}
    loss = MODELS.build({"type": kind, "class_weight": [1.0, 2.0], **options})
    assert list(loss.class_weight) == [1.0, 2.0]


def test_losses_keep_what_makes_them_right_for_one_channel() -> None:
    kept = {
        kind: entry.form
        for kind, entry in LOSSES.items()
        if entry.form is not None and kind != "LovaszLoss"  # which stops by itself
    }
    assert "CrossEntropyLoss" in kept
    for kind, (name, value) in kept.items():
        assert getattr(MODELS.build({"type": kind, name: value}), name) == value
    assert MODELS.build({"type": "CrossEntropyLoss"}).use_sigmoid is False
    assert MODELS.build({"type": "OhemCrossEntropy", "ignore_label": 7}).ignore_label == 7


def test_a_model_of_the_host_gets_its_names_from_the_checkpoint(tmp_path: Path) -> None:
    from mmseg.apis import init_model

    model = run_model(run_head(2))
    config = run_config(tmp_path, model, run_dataset_config(tmp_path, run_names(2)))
    state = MODELS.build(model).state_dict()
    meta = {"dataset_meta": {"classes": ("a", "b"), "palette": [[0, 0, 0], [1, 1, 1]]}}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "m.pth")
    built = init_model(config, str(tmp_path / "m.pth"), device="cpu")
    assert built.dataset_meta["classes"] == ("a", "b")
    assert read_config(config)._imported_names == set()


def test_every_name_that_is_asked_for_is_in_a_table() -> None:
    known = {name for names in READ.values() for name in names.split()}
    known |= set(f"{EVERY_HEAD} {PIXEL_HEAD} {' '.join(MORE.values())}".split())
    known |= {"class_weight", "use_sigmoid", "ignore_label", "dataset", "datasets"}
    asked, others = {n: place for place, n in asked_for()}, set(NOT_OF_THE_HOST.split())
    assert {name: asked[name] for name in asked.keys() - known - others} == {}
    assert asked.keys() >= others  # what is no longer asked for goes from the table


def asked_for() -> Iterator[tuple[str, str]]:
    """Yield where ``getattr`` and ``hasattr`` ask for which name that is written there."""
    for part in PARTS:
        for path in sorted((ROOT / "mmseg_fixkit" / part).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in ("getattr", "hasattr")
                    and isinstance(node.args[1], ast.Constant)
                ):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node.args[1].value


def test_torch_layers_know_how_they_begin() -> None:
    for layer in (nn.Conv2d(1, 1, 1), nn.Linear(1, 1), nn.Embedding(1, 1), nn.LayerNorm(1)):
        assert callable(layer.reset_parameters)
