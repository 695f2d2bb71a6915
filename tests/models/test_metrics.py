"""The metric of several labels a pixel, against plain arithmetic on planes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmseg_fixkit import FixkitError
from mmseg_fixkit.datasets.label_bits import pack
from mmseg_fixkit.models.metrics import MultiLabelIoUMetric
from tests.helpers.multilabel_data import config_of, model_config
from tests.helpers.paths import ROOT
from tests.helpers.runs import run_log, run_runner
from tests.hooks.test_distributed import free_port


def metric(names: list[str], **options: Any) -> MultiLabelIoUMetric:
    built = MultiLabelIoUMetric(**options)
    built.dataset_meta = {"classes": tuple(names)}
    return built


def tensor(planes: Any, ignored: Any = None) -> Any:
    packed = pack(planes, ignored)
    return torch.from_numpy(packed.astype(np.int32))[None]


def plain(
    pairs: list[tuple[Any, Any, Any]], names: list[str], background: bool
) -> dict[str, Optional[float]]:
    """Compute everything in the plainest way, a pixel that counts after the other."""
    if background:
        pairs = [(_with_none(p), _with_none(t), i) for p, t, i in pairs]
        names = ["background", *names]
    values: dict[str, list[float]] = {}
    for label, name in enumerate(names):
        p = np.concatenate([predicted[label][~ignored] for predicted, _, ignored in pairs])
        t = np.concatenate([truth[label][~ignored] for _, truth, ignored in pairs])
        both, either = int((p & t).sum()), int((p | t).sum())
        parts = {
            "IoU": (both, either),
            "Dice": (2 * both, int(p.sum()) + int(t.sum())),
            "Precision": (both, int(p.sum())),
            "Recall": (both, int(t.sum())),
        }
        for measure, (above, below) in parts.items():
            values[f"{measure}/{name}"] = [above / below] if below else []
    found = {key: v[0] if v else None for key, v in values.items()}
    for measure in ("IoU", "Dice", "Precision", "Recall"):
        real = [v for key, v in found.items() if key.startswith(measure) and v is not None]
        found[f"m{measure}"] = sum(real) / len(real) if real else None
    return found


def _with_none(planes: Any) -> Any:
    return np.concatenate([~planes.any(0, keepdims=True), planes])


@given(st.integers(1, 17), st.integers(1, 3), st.integers(0, 2**31), st.booleans(), st.floats(0, 1))
def test_it_equals_plain_arithmetic(
    labels: int, images: int, seed: int, background: bool, share: float
) -> None:
    rng = np.random.default_rng(seed)
    shape = (labels, 4, 5)
    pairs = [
        (rng.random(shape) < share, rng.random(shape) < 0.3, rng.random(shape[1:]) < 0.2)
        for _ in range(images)
    ]
    names = [f"label_{i}" for i in range(labels)]
    ours = metric(names, background=background, classwise=True)
    for predicted, truth, ignored in pairs:
        sample = {"pred_sem_seg": {"data": tensor(predicted)}}
        ours.process({}, [{**sample, "gt_sem_seg": {"data": tensor(truth, ignored)}}])
    expected = plain(pairs, names, background)
    found = ours.evaluate(images)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if value is None:
            assert np.isnan(found[key])
        else:
            assert found[key] == pytest.approx(100 * value, abs=0.00501)


def test_a_label_that_is_nowhere_is_left_out_of_the_mean() -> None:
    planes = np.zeros((2, 3, 3), bool)
    planes[0, 0] = True
    sample = {"pred_sem_seg": {"data": tensor(planes)}, "gt_sem_seg": {"data": tensor(planes)}}
    for options, expected in (({}, 100), ({"nan_to_num": 0}, 50)):
        ours = metric(["a", "b"], **options)
        ours.process({}, [sample])
        assert ours.evaluate(1)["mIoU"] == expected


def test_an_image_without_labels_is_told() -> None:
    ours = metric(["a"])
    sample = {"pred_sem_seg": {"data": tensor(np.zeros((1, 2, 2)))}, "img_path": "img/a.jpg"}
    with pytest.raises(FixkitError, match=r"img/a.jpg has no labels to compare with"):
        ours.process({}, [sample])


@pytest.mark.parametrize("labels", [3, 9])
def test_predictions_are_written_as_maps(tmp_path: Path, labels: int) -> None:
    planes = np.random.default_rng(0).random((labels, 4, 5)) < 0.4
    names = [f"label_{i}" for i in range(labels)]
    ours = metric(names, format_only=True, output_dir=str(tmp_path / "out"))
    sample = {"pred_sem_seg": {"data": tensor(planes)}, "img_path": "img/a.jpg"}
    ours.process({}, [sample])
    assert ours.evaluate(1) == {}
    assert (np.array(Image.open(tmp_path / "out" / "a.png")) == pack(planes)).all()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(FixkitError, match="no output_dir is given"):
        metric(["a"], format_only=True)
    ours = metric([f"label_{i}" for i in range(16)], format_only=True, output_dir=str(tmp_path))
    sample = {"pred_sem_seg": {"data": tensor(np.zeros((16, 2, 2)))}, "img_path": "a.jpg"}
    with pytest.raises(FixkitError, match="there are 16 labels, and a grey PNG has bits for 15"):
        ours.process({}, [sample])


def test_the_log_has_a_table_of_the_labels_by_name(tmp_path: Path) -> None:
    runner = run_runner(config_of(tmp_path))
    found = runner.val()
    log = run_log(runner)
    assert "| Label |" in log
    assert "| green |" in log
    assert {"mIoU", "mDice", "mPrecision", "mRecall", "IoU/green"} <= found.keys()
    assert "background" not in log.partition("per label results:")[2]


VALIDATE = """
import json, os, sys
import torch
from mmengine.config import Config
from mmengine.runner import Runner

torch.set_num_threads(1)
if "RANK" in os.environ:
    torch.distributed.init_process_group("gloo")
found = Runner.from_cfg(Config.fromfile(sys.argv[1])).val()
print("RESULT", json.dumps(found))
sys.stdout.flush()
os._exit(0)
"""


def validated(config: Any, processes: int) -> list[dict[str, float]]:
    root = ROOT
    base = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{**group, "RANK": r, "LOCAL_RANK": r} for r in "01"] if processes == 2 else [{}]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", VALIDATE, config.filename],
            env={**base, **rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ranks
    ]
    results = []
    for process in started:
        out, err = process.communicate(timeout=300)
        _, found, text = out.partition("RESULT ")
        assert found, err
        results.append(json.loads(text))
    return results


def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        model=model_config(threshold=[0.49, 0.495, 0.498]),  # an untrained model is near 0.5
        images=5,  # one rank has an image more, which the other sees twice
        model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
    )
    (alone,) = validated(config, 1)
    config.launcher = "pytorch"
    config.dump(config.filename)
    first, second = validated(config, 2)
    assert first == second == alone
    assert 0 < alone["mIoU"] < 100
