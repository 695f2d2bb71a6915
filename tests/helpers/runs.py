"""Small datasets, models and runs for tests; helpers of the runtime tests begin with ``run_``."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from PIL import Image

_COUNTER = itertools.count()


def run_dataset(
    root: Path,
    classes: int,
    *,
    images: int = 4,
    size: int = 32,
    extra: Optional[dict[int, int]] = None,
    seed: int = 0,
) -> Path:
    """Write images and labels of ``classes`` classes and 255; ``extra``: file -> one odd value.

    An odd value fills two pixels of its file.
    """
    rng = np.random.default_rng(seed)
    for folder in ("img", "ann"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(images):
        label = rng.integers(0, classes, (size, size)).astype(np.uint8)
        label[0] = 255
        if index in (extra or {}):
            label[1, :2] = (extra or {})[index]
        picture = rng.integers(0, 255, (size, size, 3)).astype(np.uint8)
        Image.fromarray(picture).save(root / "img" / f"{index:02}.png")
        Image.fromarray(label).save(root / "ann" / f"{index:02}.png")
    return root


def run_names(count: int) -> tuple[str, ...]:
    return tuple(f"class_{i}" for i in range(count))


def run_dataset_config(root: Path, classes: Any, guard: Optional[dict[str, Any]] = None) -> Any:
    """Return the config of a ``BaseSegDataset`` over :func:`run_dataset`'s files."""
    steps: list[dict[str, Any]] = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
    if guard is not None:
        steps.append({"type": "AssertLabelBounds", **guard})
    steps.append({"type": "PackSegInputs"})
    meta = {} if classes is None else {"metainfo": {"classes": classes}}
    return dict(
        type="BaseSegDataset",
        data_root=str(root),
        data_prefix={"img_path": "img", "seg_map_path": "ann"},
        img_suffix=".png",
        seg_map_suffix=".png",
        pipeline=steps,
        **meta,
    )


def run_loader_config(dataset: Any, workers: int = 0, *, shuffle: bool = False) -> dict[str, Any]:
    return {
        "batch_size": 2,
        "num_workers": workers,
        "persistent_workers": False,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "dataset": dataset,
    }


def run_head(classes: int, **options: Any) -> dict[str, Any]:
    head = {
        "type": "FCNHead",
        "in_channels": 64,
        "channels": 8,
        "num_convs": 1,
        "num_classes": classes,
        "norm_cfg": {"type": "BN"},
        "loss_decode": {"type": "CrossEntropyLoss"},
    }
    return {**head, **options}


def run_model(decode_head: Any, auxiliary_head: Any = None, **options: Any) -> dict[str, Any]:
    """Return a segmentor config over a ResNet-18 with an eighth of its channels."""
    return dict(
        type="EncoderDecoder",
        data_preprocessor={
            "type": "SegDataPreProcessor",
            "size": (32, 32),
            "pad_val": 0,
            "seg_pad_val": 255,
        },
        backbone={
            "type": "ResNetV1c",
            "depth": 18,
            "base_channels": 8,
            "norm_cfg": {"type": "BN"},
            "norm_eval": False,
            "style": "pytorch",
        },
        decode_head=decode_head,
        auxiliary_head=auxiliary_head,
        test_cfg={"mode": "whole"},
        **options,
    )


def run_config(
    work_dir: Path,
    model: Any,
    train: Any,
    val: Any = None,
    *,
    hooks: Sequence[dict[str, Any]] = (),
    iters: int = 2,
    workers: int = 0,
    imports: str = "mmseg_fixkit",
    **options: Any,
) -> Any:
    """Return a config as a user writes it; ``train`` and ``val`` are dataset configs."""
    from mmengine.config import Config

    tree: dict[str, Any] = {
        "default_scope": "mmseg",
        "custom_imports": {"imports": [imports], "allow_failed_imports": False},
        "custom_hooks": list(hooks),
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": 1}, "checkpoint": None},
        "work_dir": str(work_dir),
        # MMEngine keeps loggers by this name, whose default has seconds only.
        "experiment_name": f"run_{os.getpid()}_{next(_COUNTER)}",
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
        "log_processor": {"by_epoch": False},
        "randomness": {"seed": 0},
        "model": model,
        "train_dataloader": run_loader_config(train, workers),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": iters, "val_interval": 10**6},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
    }
    if val is not None:
        # mmsegmentation before 1.2 evaluates no more than one image at a time.
        loader = {**run_loader_config(val, workers), "batch_size": 1}
        evaluator = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}
        for split in ("val", "test"):
            tree[f"{split}_dataloader"] = loader
            tree[f"{split}_evaluator"] = evaluator
            tree[f"{split}_cfg"] = {"type": f"{split.title()}Loop"}
    tree.update(options)
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / "config.py"
    Config(tree).dump(str(path))
    return Config.fromfile(str(path))  # only this imports what custom_imports names


def run_runner(config: Any) -> Any:
    """Build a runner as ``tools/train.py`` does."""
    import torch
    from mmengine.runner import Runner

    torch.set_num_threads(1)
    return Runner.from_cfg(config)


def run_log(runner: Any) -> str:
    """Return the text of the run's log file."""
    return "".join(p.read_text() for p in Path(runner.log_dir).glob("*.log"))


#: Folder of the zoo -> what its models need beyond mmseg; the compiler-free stack lacks both.
NEEDS = {
    "ccnet": "mmcv._ext",
    "mask2former": "mmdet",
    "maskformer": "mmdet",
    "point_rend": "mmcv._ext",
    "psanet": "mmcv._ext",
    "san": "mmcv._ext",
}


def skip_unless_installed(method: str) -> None:
    """Skip the running test where a method of the zoo cannot be built."""
    package = NEEDS.get(method)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{method} needs {package}, which is not installed here")


def run_zoo_model(path: Path, size: Optional[int] = None) -> Any:
    """Load a zoo config so that its model builds offline on a CPU; ``size``: of the images."""
    from mmengine.config import Config

    skip_unless_installed(path.parent.name)
    return run_portable(Config.fromfile(str(path), import_custom_modules=False), size)


def run_portable(config: Any, size: Optional[int] = None) -> Any:
    """Change a loaded config so that its model builds offline on a CPU."""
    config.model = _portable(config.model.to_dict())
    if size is not None:
        config.model.data_preprocessor.size = (size, size)
    return config


def _portable(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _portable(v) for k, v in node.items() if not _is_download(k, v)}
    if isinstance(node, (list, tuple)):
        return type(node)(_portable(v) for v in node)
    return "BN" if node == "SyncBN" else node


def _is_download(key: str, value: Any) -> bool:
    if key == "init_cfg" and isinstance(value, dict):
        return "checkpoint" in value
    return key == "pretrained"
