"""The demonstration of overlapping labels, small: the run in it is a real one."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit import check
from mmseg_fixkit.cli import app
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.label_bits import pack
from mmseg_fixkit.demo.data import read_values
from mmseg_fixkit.demo.multilabel_data import LABELS, make_lights
from mmseg_fixkit.demo.run import LOSS, PREDICTION
from mmseg_fixkit.demo.run_multilabel import (
    SETTINGS,
    MultiLabelDemoResult,
    run_multilabel_demo,
)

SMALL = replace(SETTINGS, train=4, val=2, size=64, batch=2, iterations=4)


@dataclass(frozen=True)
class Printed:
    result: MultiLabelDemoResult
    out: str
    err: str


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        result = run_multilabel_demo(tmp_path_factory.mktemp("printed") / "demo", SMALL)
    return Printed(result, out.getvalue(), err.getvalue())


def test_labels_overlap_and_edges_are_ignored(tmp_path: Path) -> None:
    data = make_lights(tmp_path, train=6, val=1, size=64, seed=0)
    files = [data.label_of(image) for image in data.images("train")]
    values = np.stack([np.split(read_values(file), len(LABELS), axis=1) for file in files])
    assert set(np.unique(values)) == {0, 1, 255}
    on, ignored = (np.stack(kind) for kind in zip(*map(data.label_planes, files)))
    assert on.any((0, 2, 3)).all()
    assert (on.sum(1) > 1).any((1, 2)).mean() > 0.5
    assert ((values == 255) == ignored[:, None]).all()
    again = make_lights(tmp_path / "again", train=6, val=1, size=64, seed=0)
    for one, other in zip(data.images("train"), again.images("train")):
        assert one.read_bytes() == other.read_bytes()


def test_the_patched_config_trains_and_has_nothing_left_to_say(printed: Printed) -> None:
    run = printed.result.run
    assert run.error is None
    assert len(run.losses) == SMALL.iterations
    assert run.losses[-1] < run.losses[0]
    assert set(run.metrics) >= {"mIoU", "mDice"}
    assert check(printed.result.folder / "after.py").diagnostics == ()
    log = run.log.read_text()
    assert "acc_seg" not in log
    assert "decode.loss_multilabel" in log


def test_the_outcome_is_that_of_the_runs_own_metric(printed: Printed) -> None:
    assert tuple(printed.result.iou) == LABELS
    mean = 100 * np.mean(list(printed.result.iou.values()))
    assert (
        abs(mean - printed.result.run.metrics["mIoU"]) < 0.1 or 0.0 in printed.result.iou.values()
    )


def test_right_predictions_have_an_iou_of_one(tmp_path: Path) -> None:
    data = make_lights(tmp_path, train=1, val=3, size=64, seed=0)
    (tmp_path / "found").mkdir()
    for image in data.images("val"):
        planes, _ = data.label_planes(data.label_of(image))
        Image.fromarray(pack(planes)).save(tmp_path / "found" / f"{image.stem}.png")
    assert data.iou(tmp_path / "found") == dict.fromkeys(LABELS, 1.0)


def test_images_are_drawn(printed: Printed) -> None:
    with Image.open(printed.result.folder / PREDICTION) as drawn:
        assert drawn.width == 790
        assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    with Image.open(printed.result.folder / LOSS) as curve:
        assert curve.size == (960, 540)


def test_what_is_printed(printed: Printed) -> None:
    assert "│ spot " in printed.out
    assert str(printed.result.folder / PREDICTION) in printed.out
    assert "export" in printed.out
    assert "[1/5] data: 4 + 2 images of 64 x 64, 3 labels that overlap" in printed.err
    assert "$ mmseg-fix patch before.py --classes spot,window,beam --multilabel" in printed.err
    assert "type='MultiLabelEncoderDecoder'" in printed.err
    assert "\x1b" not in printed.out + printed.err


def test_the_command_has_the_option(tmp_path: Path) -> None:
    from click.testing import CliRunner

    (tmp_path / "thesis.tex").write_text("mine")
    done = CliRunner().invoke(app, ["demo", str(tmp_path), "--multilabel"])
    assert isinstance(done.exception, FixkitError)
    assert "did not make, such as thesis.tex" in str(done.exception)
    assert "--multilabel" in CliRunner().invoke(app, ["demo", "--help"]).output


@pytest.mark.slow
def test_every_label_is_learned_in_full(tmp_path: Path) -> None:
    result = run_multilabel_demo(tmp_path / "demo")
    assert min(result.iou.values()) > 0.8
