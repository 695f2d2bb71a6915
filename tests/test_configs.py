"""The worked configs in ``configs/``: nothing is left to find, and each trains."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_fixkit import check, patch
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.demo.data import make_shapes
from tests.helpers.multilabel_data import write_data
from tests.helpers.paths import CONFIGS
from tests.helpers.runs import run_log, run_portable, run_runner, skip_unless_installed
from tests.zoo.build import build

SIZE = 64
STEPS = 2

#: What makes pipelines work on small pictures: type -> options.
SMALL: dict[str, dict[str, Any]] = {
    "RandomCrop": {"crop_size": (SIZE, SIZE)},
    "RandomResize": {"scale": (SIZE, SIZE)},
    "RandomChoiceResize": {"scales": [SIZE]},
    "Resize": {"scale": (SIZE, SIZE)},
}


def cells(root: Path) -> None:
    for split in ("train", "val"):
        write_data(root / split, images=4, size=SIZE)
        for old, new in (("img", "images"), ("ann", "labels")):
            (root / new).mkdir(parents=True, exist_ok=True)
            (root / split / old).rename(root / new / split)


def shapes(classes: int) -> Callable[[Path], Any]:
    return lambda root: make_shapes(root, classes=classes, train=4, val=2, size=SIZE)


EXAMPLES = {
    "fine_tune/pspnet_street.py": ("data/street", shapes(4)),
    "mask2former/mask2former_farm.py": ("data/farm", shapes(3)),
    "binary/segformer_weeds.py": ("data/weeds", shapes(2)),
    "multilabel/deeplabv3plus_cells.py": ("data/cells", cells),
}


def test_every_worked_config_is_tried() -> None:
    assert {str(p.relative_to(CONFIGS)) for p in CONFIGS.glob("[a-z]*/*.py")} == set(EXAMPLES)
    page = (CONFIGS.parent / "docs" / "configs.md").read_text()
    assert set(re.findall(r"\]\(\.\./configs/([a-z]\S+\.py)\)", page)) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_config_inherits_from_what_it_was_made_of(name: str) -> None:
    named = re.search(r"mmseg-fix patch (mmseg::\S+)", (CONFIGS / name).read_text())
    assert named
    base = Config.fromfile(str(zoo_path(named[1])))
    config = Config.fromfile(str(CONFIGS / name), import_custom_modules=False)
    assert config.model.backbone == base.model.backbone
    assert str(zoo_path(named[1])) in config.text


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_config_has_nothing_to_find(name: str) -> None:
    file = CONFIGS / name
    assert [d.message for d in check(file).diagnostics] == []
    multilabel = {"multilabel": True} if "multilabel" in name else {}
    assert patch(file, **multilabel).plan.empty


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_config_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_installed(name.split("/", maxsplit=1)[0])
    monkeypatch.chdir(tmp_path)
    root, make = EXAMPLES[name]
    make(tmp_path / root)
    config = small(Config.fromfile(str(CONFIGS / name)), tmp_path)
    runner = run_runner(config)
    runner.train()
    (scalars,) = Path(runner.log_dir).glob("vis_data/scalars.json")
    lines = [json.loads(line) for line in scalars.read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == STEPS
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    assert any(np.isfinite(line["mIoU"]) for line in lines if "mIoU" in line)
    log = run_log(runner)
    assert "MSF7" not in log
    if name.startswith("fine_tune"):
        assert "classes kept: 3 of 4 (road, car, person)" in log


def small(config: Any, folder: Path) -> Any:
    """Change a config so that it trains for two steps, offline on a CPU."""
    run_portable(config, SIZE)
    config.train_dataloader.batch_size = 2
    for split in ("train", "val", "test"):
        loader = config[f"{split}_dataloader"]
        loader.update(num_workers=0, persistent_workers=False)
        shrink(loader.dataset.pipeline)
    config.train_cfg.update(max_iters=STEPS, val_interval=STEPS)
    config.default_hooks.logger.interval = 1
    config.load_from = cityscapes(config, folder) if "street" in config.filename else None
    config.work_dir = str(folder / "work")
    config.experiment_name = config.visualizer.name = f"{folder.name}_{Path(config.filename).stem}"
    return config


def shrink(steps: Any) -> None:
    for step in steps:
        step.update(SMALL.get(step["type"], {}))


def cityscapes(config: Any, folder: Path) -> str:
    """Save a model of 19 classes, as the zoo has it."""
    from mmseg.datasets import CityscapesDataset

    model = config.model.to_dict()
    for head in (model["decode_head"], model["auxiliary_head"]):
        head["num_classes"] = 19
    meta = {"dataset_meta": dict(CityscapesDataset.METAINFO)}
    file = folder / "cityscapes.pth"
    torch.save({"state_dict": build(model).state_dict(), "meta": meta}, file)
    return str(file)
