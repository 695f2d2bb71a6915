"""``preflight`` on real configs and files: sound ones, and one fault a stage."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mmseg_fixkit.apis.preflight.runner import PreflightRun, StageResult, State, run_stages
from mmseg_fixkit.apis.preflight.sample_files import sampled
from mmseg_fixkit.apis.preflight.stages import STAGES
from mmseg_fixkit.cli import app
from mmseg_fixkit.cli.output.preflight import lines_of
from mmseg_fixkit.config.load import load
from mmseg_fixkit.datasets.from_config import of_config
from mmseg_fixkit.datasets.listing import files_of
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_model,
    run_names,
)
from tests.zoo.build import build

FIVE = run_names(5)


def config_of(tmp_path: Path, **options: Any) -> Any:
    data = run_dataset_config(tmp_path / "data", FIVE)
    val = run_dataset_config(run_dataset(tmp_path / "val", 5, images=2, seed=1), FIVE)
    model = options.pop("model", run_model(run_head(5)))
    return run_config(tmp_path / "run", model, data, val, **options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return run_dataset(tmp_path / "data", 5, images=6)


def results_of(config: Any, **options: Any) -> dict[str, StageResult]:
    return {o.name: o for o in run_stages(PreflightRun(config.filename, **options), STAGES)}


def states(results: dict[str, StageResult]) -> dict[str, str]:
    return {name: result.state.value for name, result in results.items()}


def test_a_sound_config_passes_every_stage(tmp_path: Path, data: Path) -> None:
    results = results_of(config_of(tmp_path))
    said = {name: result.text for name, result in results.items()}
    assert states(results) == {
        "config": "passed",
        "labels": "passed",
        "model": "passed",
        "checkpoint": "skipped",
        "samples": "passed",
        "step": "passed",
        "optimizer": "passed",
        "validation": "passed",
    }, said
    assert said["config"] == "5 classes; no findings"
    assert said["labels"] == "8 files, all of train, val; no findings"
    assert said["model"] == "EncoderDecoder, 0.2 M parameters"
    assert said["checkpoint"] == "load_from is not set, and no --checkpoint is given"
    assert said["samples"] == "4 of 6, as 3x32x32"
    assert re.fullmatch(r"two of 32x32: decode\.loss_ce 1\.\d+ \(chance 1\.5\d*\)", said["step"])
    assert said["optimizer"] == "SGD, 1 group of parameters"
    assert re.fullmatch(r"1 of 2: aAcc [\d.]+, mIoU [\d.]+, mAcc [\d.]+", said["validation"])


IOU = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}


@pytest.mark.parametrize(
    "evaluator", [IOU, [IOU], {"type": "Evaluator", "metrics": [IOU]}, {"metrics": IOU}]
)
def test_metrics_are_found_however_the_evaluator_is_written(
    tmp_path: Path, data: Path, evaluator: Any
) -> None:
    config = config_of(tmp_path, val_evaluator=evaluator)
    wanted = [s for s in STAGES if s.name in {"config", "model", "validation"}]
    results = {o.name: o for o in run_stages(PreflightRun(config.filename), wanted)}
    assert results["validation"].state is State.PASSED, results["validation"].text
    assert "mIoU" in results["validation"].text


def test_of_many_label_files_some_are_read_spread_over_all(tmp_path: Path) -> None:
    for images in (64, 65, 70):
        folder = tmp_path / str(images)
        data = run_dataset_config(run_dataset(folder / "data", 5, images=images), FIVE)
        config = run_config(folder / "run", run_model(run_head(5)), data)
        inventory = of_config(load(config.filename))
        some, whole = sampled(inventory)
        every = sorted(f.label for part in inventory.parts for f in files_of(part.source))
        names = [f.label for part in some.parts for f in files_of(part.source)]
        assert whole is (images == 64)
        assert len(names) == len(set(names)) == 64
        assert sorted(names) == [every[i * images // 64] for i in range(64)]


def test_nothing_is_written(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEG_FIXKIT_CACHE", str(tmp_path / "labels.sqlite"))
    config = config_of(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    results_of(config)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_a_checkpoint_of_other_classes_is_adapted_without_being_written(
    tmp_path: Path, data: Path
) -> None:
    config = config_of(tmp_path)
    path = tmp_path / "old.pth"
    names = ("class_1", "class_0", "else")
    model = build({**config.model, "decode_head": run_head(3)})
    torch.save(
        {"state_dict": model.state_dict(), "meta": {"dataset_meta": {"classes": names}}}, path
    )
    result = results_of(config, checkpoint=path)["checkpoint"]
    assert result.state is State.PASSED
    assert "2 kept by class name" in result.text


def broken_head(tmp_path: Path) -> Any:
    return config_of(tmp_path, model=run_model(run_head(19)))


def broken_label(tmp_path: Path) -> Any:
    file = tmp_path / "data" / "ann" / "02.png"
    label = np.array(Image.open(file))
    label[3, :7] = 9
    Image.fromarray(label).save(file)
    return config_of(tmp_path)


def broken_model(tmp_path: Path) -> Any:
    return config_of(tmp_path, model=run_model(run_head(5, in_channels=65)))


def broken_checkpoint(tmp_path: Path) -> Any:
    torch.save({"state_dict": {"backbone.conv1.weight": torch.ones(1)}}, tmp_path / "c.pth")
    return config_of(tmp_path, load_from=str(tmp_path / "c.pth"))


def broken_sample(tmp_path: Path) -> Any:
    file = tmp_path / "data" / "ann" / "00.png"
    Image.open(file).resize((16, 16)).save(file)
    return config_of(tmp_path)


def broken_step(tmp_path: Path) -> Any:
    loss = {"type": "CrossEntropyLoss", "class_weight": [1.0] * 4}
    return config_of(tmp_path, model=run_model(run_head(5, loss_decode=loss)))


def broken_optimizer(tmp_path: Path) -> Any:
    optimizer = {"type": "SGD", "lr": 0.0}
    return config_of(tmp_path, optim_wrapper={"type": "OptimWrapper", "optimizer": optimizer})


def broken_validation(tmp_path: Path) -> Any:
    config = config_of(tmp_path)
    config.val_evaluator = {"type": "IoUMetric", "iou_metrics": ["mAP"]}
    config.dump(config.filename)
    return config


BROKEN = {
    "config": (broken_head, "failed", "MSF101"),
    "labels": (broken_label, "failed", "MSF401"),
    "model": (broken_model, "passed", ""),  # only a step shows it
    "checkpoint": (broken_checkpoint, "failed", "c.pth"),
    "samples": (broken_sample, "failed", "00.png"),
    "step": (broken_step, "failed", "weight"),
    "optimizer": (broken_optimizer, "warned", "its learning rate is 0"),
    "validation": (broken_validation, "failed", "mAP"),
}


@pytest.mark.parametrize(("stage", "case"), BROKEN.items(), ids=list(BROKEN))
def test_a_fault_shows_in_its_stage(tmp_path: Path, data: Path, stage: str, case: Any) -> None:
    make, state, said = case
    results = results_of(make(tmp_path))
    assert results[stage].state.value == state, results[stage]
    assert said in "\n".join(lines_of(results[stage], 400))


def test_what_needs_a_failed_stage_is_skipped_with_the_reason(tmp_path: Path, data: Path) -> None:
    model = run_model(run_head(5))
    model["backbone"]["depth"] = 19
    results = results_of(config_of(tmp_path, model=model))
    assert results["model"].state is State.FAILED
    assert results["samples"].state is State.PASSED
    assert results["step"].state is State.SKIPPED
    assert "needs the model" in results["step"].text


def test_errors_are_explained(tmp_path: Path, data: Path) -> None:
    result = results_of(broken_step(tmp_path))["step"]
    assert result.explanations
    assert any("class_weight" in line for line in lines_of(result))


def test_the_command(tmp_path: Path, data: Path) -> None:
    config = config_of(tmp_path)
    result = CliRunner().invoke(app, ["preflight", config.filename])
    assert result.exit_code == 0, result.output
    assert "8 stages in" in result.output
    assert "7 passed, 1 skipped" in result.output
    assert "mmengine" not in result.output
    config = broken_label(tmp_path)
    result = CliRunner().invoke(app, ["preflight", config.filename, "--output-format", "json"])
    assert result.exit_code == 1
    found = {s["name"]: s for s in json.loads(result.stdout)["stages"]}
    assert found["labels"]["findings"][0]["code"] == "MSF401"
    odd = CliRunner().invoke(app, ["preflight", config.filename, "--device", "abacus"])
    assert "--device abacus cannot be used" in str(odd.exception)
