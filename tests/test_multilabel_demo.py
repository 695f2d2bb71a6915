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
from mmseg_fixkit.demo.label_pictures import overlaps
from mmseg_fixkit.demo.multilabel_data import IGNORED, LABELS, make_overlaps, read_planes
from mmseg_fixkit.demo.run_multilabel import SETTINGS, LabelDemoResult, run_label_demo
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_bits import pack

SMALL = replace(SETTINGS, train=4, val=2, size=64, batch=2, iterations=4)


@dataclass(frozen=True)
class Told:
    result: LabelDemoResult
    out: str
    err: str


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        result = run_label_demo(tmp_path_factory.mktemp("told") / "demo", SMALL)
    return Told(result, out.getvalue(), err.getvalue())


def test_labels_overlap_and_edges_are_ignored(tmp_path: Path) -> None:
    data = make_overlaps(tmp_path, train=6, val=1, size=64, seed=0)
    planes = np.stack([read_planes(data.label_of(image)) for image in data.images("train")])
    on = planes == 1
    assert set(np.unique(planes)) == {0, 1, IGNORED}
    assert on.any((0, 2, 3)).all()
    assert (on.sum(1) > 1).any((1, 2)).mean() > 0.5
    assert ((planes == IGNORED).all(1) == (planes == IGNORED).any(1)).all()
    again = make_overlaps(tmp_path / "again", train=6, val=1, size=64, seed=0)
    for one, other in zip(data.images("train"), again.images("train")):
        assert one.read_bytes() == other.read_bytes()


def test_the_patched_config_trains_and_has_nothing_left_to_say(told: Told) -> None:
    run = told.result.run
    assert run.error is None
    assert len(run.losses) == SMALL.iterations
    assert run.losses[-1] < run.losses[0]
    assert set(run.metrics) >= {"mIoU", "mDice"}
    assert check(told.result.folder / "after.py").diagnostics == ()
    log = run.log.read_text()
    assert "acc_seg" not in log
    assert "decode.loss_multilabel" in log


def test_the_outcome_is_that_of_the_runs_own_metric(told: Told) -> None:
    assert tuple(told.result.overlaps) == LABELS
    mean = 100 * np.mean(list(told.result.overlaps.values()))
    assert abs(mean - told.result.run.metrics["mIoU"]) < 0.1 or 0.0 in told.result.overlaps.values()


def test_right_predictions_have_an_overlap_of_one(tmp_path: Path) -> None:
    data = make_overlaps(tmp_path, train=1, val=3, size=64, seed=0)
    (tmp_path / "found").mkdir()
    for image in data.images("val"):
        planes = read_planes(data.label_of(image))
        Image.fromarray(pack(planes == 1)).save(tmp_path / "found" / f"{image.stem}.png")
    assert overlaps(data, tmp_path / "found") == dict.fromkeys(LABELS, 1.0)


def test_pictures_are_there(told: Told) -> None:
    with Image.open(told.result.prediction) as picture:
        assert picture.width == 790
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 100
    with Image.open(told.result.loss) as curve:
        assert curve.size == (960, 540)


def test_what_is_said(told: Told) -> None:
    assert "│ spot " in told.out
    assert str(told.result.prediction) in told.out
    assert "export" in told.out
    assert "[1/5] data: 4 + 2 images of 64 x 64, 3 labels that overlap" in told.err
    assert "$ mmseg-fix patch before.py --multilabel --classes spot,window,beam" in told.err
    assert "type='MultiLabelEncoderDecoder'" in told.err
    assert "\x1b" not in told.out + told.err


def test_the_command_has_the_option(tmp_path: Path) -> None:
    from click.testing import CliRunner

    (tmp_path / "thesis.tex").write_text("mine")
    done = CliRunner().invoke(app, ["demo", str(tmp_path), "--multilabel"])
    assert isinstance(done.exception, FixkitError)
    assert "did not make, such as thesis.tex" in str(done.exception)
    assert "--multilabel" in CliRunner().invoke(app, ["demo", "--help"]).output


@pytest.mark.slow
def test_every_label_is_learned_in_full(tmp_path: Path) -> None:
    result = run_label_demo(tmp_path / "demo")
    assert min(result.overlaps.values()) > 0.8
