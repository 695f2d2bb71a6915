"""Pictures of labels that overlap, through the host's visualizer hook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit.models.visualizer import draw_labels, striped, write_names
from tests.helpers.multilabel_data import NAMES, config_of, model_config
from tests.helpers.runs import run_runner

PALETTE = [(200, 40, 60), (40, 180, 90), (50, 110, 230)]


def grey(size: tuple[int, int] = (64, 64)) -> Any:
    return np.full((*size, 3), 128, np.uint8)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_only_labels_that_are_on_are_shown(labels: int, seed: int) -> None:
    planes = np.random.default_rng(seed).random((labels, 20, 24)) < 0.5
    top = striped(planes, 4)
    assert ((top >= 0) == planes.any(0)).all()
    for label in range(labels):
        assert planes[label][top == label].all()


@pytest.mark.parametrize("labels", [2, 3])
def test_labels_on_top_of_each_other_are_all_seen(labels: int) -> None:
    planes = np.zeros((labels, 64, 64), bool)
    planes[:, 10:50, 10:50] = True
    top = striped(planes, 4)[10:50, 10:50]
    shares = np.bincount(top.ravel(), minlength=labels) / top.size
    assert shares == pytest.approx(1 / labels, abs=0.05)
    drawn = draw_labels(grey(), planes, PALETTE)
    edge = {tuple(pixel) for pixel in drawn[10, 10:50].tolist()}
    assert edge == set(PALETTE[:labels])  # dashes of the full colours
    assert (drawn[:10] == 128).all()


def test_fills_are_translucent_and_outlines_are_not() -> None:
    planes = np.zeros((1, 64, 64), bool)
    planes[0, 10:50, 10:50] = True
    drawn = draw_labels(grey(), planes, PALETTE, alpha=0.5)
    assert drawn[30, 30].tolist() == [164, 84, 94]
    assert drawn[10, 30].tolist() == list(PALETTE[0])


def test_a_label_that_reaches_the_border_has_no_outline_there() -> None:
    drawn = draw_labels(grey(), np.ones((1, 64, 64), bool), PALETTE, alpha=0.5)
    assert (drawn == drawn[0, 0]).all()


def test_names_stand_on_their_labels_and_not_on_each_other() -> None:
    planes = np.zeros((3, 120, 120), bool)
    planes[:, 20:100, 20:100] = True
    planes[2] = False
    drawn = write_names(grey((120, 120)), planes, NAMES, PALETTE)
    boxes = [(drawn == np.array(color)).all(-1) for color in PALETTE]
    rows = [set(np.flatnonzero(box.any(1)).tolist()) for box in boxes]
    assert rows[0]
    assert rows[1]
    assert len(rows[0] & rows[1]) <= 1
    assert not rows[2]
    assert planes[0][boxes[0]].all()


def test_the_hosts_hook_draws_labels_and_predictions(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        model=model_config(threshold=0.49),
        visualizer={
            "type": "MultiLabelLocalVisualizer",
            "vis_backends": [{"type": "LocalVisBackend"}],
        },
    )
    config.default_hooks.visualization = {
        "type": "SegVisualizationHook",
        "draw": True,
        "interval": 1,
    }
    runner = run_runner(config)
    assert type(runner.visualizer).__name__ == "MultiLabelLocalVisualizer"
    runner.test()
    pictures = sorted(Path(runner.work_dir).rglob("vis_image/*.png"))
    assert len(pictures) == 4
    # Labels on the left, predictions on the right.
    assert mmcv.imread(str(pictures[0])).shape == (32, 64, 3)
