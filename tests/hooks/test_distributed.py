"""Two processes over gloo, as ``torchrun --nproc-per-node 2`` starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.paths import ROOT
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_model,
    run_names,
)
from tests.zoo.build import build

TRAIN = """
import os, sys
import torch
from mmengine.config import Config
from mmengine.runner import Runner

torch.set_num_threads(1)
# MMEngine would do it, but its own start asks for a GPU first.
torch.distributed.init_process_group("gloo")
rank, path = sys.argv[1:]
try:
    runner = Runner.from_cfg(Config.fromfile(path))
    kind = type(runner.model).__name__
    runner.train()
    row = runner.model.module.decode_head.conv_seg.weight.flatten(1)[:, 0].tolist()
    print(f"RESULT {rank} {kind} trained: {row}")
except Exception as error:
    print(f"RESULT {rank} {type(error).__module__}.{type(error).__name__}: {error}")
sys.stdout.flush()
os._exit(0)  # the other rank may be gone already, which gloo's tear-down would wait for
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def train_on_two(config: Any) -> list[str]:
    """Run ``config`` in two processes; return what each said, by rank."""
    root = ROOT
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = []
    for rank in "01":
        own = {"RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", TRAIN, rank, config.filename]
        started.append(
            subprocess.Popen(
                command,
                env={**os.environ, **shared, **own},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return [said(process) for process in started]


def said(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=300)
    _, found, text = out.partition("RESULT ")
    assert found, err
    return text


def config_of(tmp_path: Path, head: int, action: str, **options: Any) -> Any:
    root = run_dataset(tmp_path / "data", 5, **options)
    data = run_dataset_config(root, run_names(5), {"num_classes": 5})
    hook = {"type": "ClassCountHook", "action": action}
    adapt = {"type": "HeadAdaptHook"}
    return run_config(
        tmp_path / "work",
        run_model(run_head(head)),
        data,
        hooks=[hook, adapt],
        launcher="pytorch",
        # Given as None, or MMEngine asks for a GPU each.
        model_wrapper_cfg={"type": "MMDistributedDataParallel", "device_ids": None},
    )


def test_agreement_trains_on_both(tmp_path: Path) -> None:
    first, second = train_on_two(config_of(tmp_path, 5, "fix"))
    assert first.startswith("0 MMDistributedDataParallel trained")
    assert second.startswith("1 MMDistributedDataParallel trained")


def test_rows_of_a_checkpoint_are_the_same_on_both(tmp_path: Path) -> None:
    config = config_of(tmp_path, 5, "raise")
    state = build(config.model).state_dict()
    state["decode_head.conv_seg.weight"][2] = 7.0
    meta = {"dataset_meta": {"classes": ("a", "b", "class_3", "class_1", "class_0")}}
    torch.save({"state_dict": state, "meta": meta}, tmp_path / "c.pth")
    config.load_from = str(tmp_path / "c.pth")
    config.dump(config.filename)
    first, second = train_on_two(config)
    _, _, rows = first.partition("trained: ")
    assert second.endswith(rows)
    assert abs(json.loads(rows)[3] - 7) < 0.5
    logs = "".join(p.read_text() for p in (tmp_path / "work").rglob("*.log"))
    assert logs.count("2 are kept by class name") == 1


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("raise", "model.decode_head.num_classes is 19, but the training dataset"),
        ("fix", "already wrapped in MMDistributedDataParallel for several processes"),
    ],
)
def test_both_ranks_stop_with_the_same_words(tmp_path: Path, action: str, expected: str) -> None:
    first, second = train_on_two(config_of(tmp_path, 19, action))
    assert first.startswith("0 mmseg_fixkit.core.errors.ClassCountError: ")
    assert expected in first
    assert "mmseg-fix patch" in first
    assert second == f"1{first[1:]}"


def test_labels_out_of_bounds_stop_the_rank_that_meets_them(tmp_path: Path) -> None:
    config = config_of(tmp_path, 5, "raise", extra={0: 7, 1: 7, 2: 7, 3: 7})
    results = train_on_two(config)
    for rank, text in enumerate(results):
        assert text.startswith(f"{rank} mmseg_fixkit.core.errors.LabelOutOfBounds: ")
        assert "is labelled 7 (2 pixels)" in text


def test_a_loss_that_is_odd_on_one_rank_stops_both(tmp_path: Path) -> None:
    config = config_of(tmp_path, 5, "raise")
    for name in ("01.png", "03.png"):  # those of the second rank
        Image.fromarray(np.full((32, 32), 255, np.uint8)).save(tmp_path / "data" / "ann" / name)
    config.custom_hooks.append({"type": "LossSanityHook", "iterations": 2, "action": "stop"})
    config.dump(config.filename)
    first, second = train_on_two(config)
    assert first.startswith("0 mmseg_fixkit.core.errors.LossSanityError: ")
    assert "MSF702 loss-is-zero: decode.loss_ce is 0" in first
    assert "every pixel of the batch is ignored" in first
    assert "01.png" in first
    assert second == f"1{first[1:]}"
