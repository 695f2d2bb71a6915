"""The demonstration itself, small: every run in it is a real one."""

from __future__ import annotations

import io
import math
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mmseg_fixkit import FixkitError, check
from mmseg_fixkit.cli import app
from mmseg_fixkit.demo.run import LOSS, PREDICTION, DemoResult, run_demo
from mmseg_fixkit.demo.scene import CHECKPOINT, Settings, claim, keep
from mmseg_fixkit.demo.worker import RunResult, train

SMALL = Settings(
    zoo="mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    classes=4,
    train=4,
    val=2,
    size=64,
    batch=2,
    iterations=6,
)


@dataclass(frozen=True)
class Printed:
    result: DemoResult
    out: str
    err: str


def demo(folder: Path) -> Printed:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        result = run_demo(folder, SMALL)
    return Printed(result, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    return demo(tmp_path_factory.mktemp("printed") / "demo")


def test_before_fails_with_the_words_of_the_host(printed: Printed) -> None:
    run = printed.result.before
    assert run.error is not None
    assert run.error.startswith("ValueError: new classes ('background', 'circle', 'square'")
    assert run.error.endswith("in METAINFO.")
    assert run.losses == ()


def test_a_stray_label_is_an_index_error_by_hand_and_a_file_name_patched(
    printed: Printed,
) -> None:
    assert printed.result.by_hand.error == "IndexError: Target 4 is out of bounds."
    guarded = printed.result.guarded.error or ""
    assert guarded.startswith("LabelOutOfBounds: stray/labels/train/train_001.png is labelled 4")


def test_after_trains_from_a_checkpoint_of_other_classes(printed: Printed) -> None:
    run = printed.result.after
    assert run.error is None
    assert len(run.losses) == SMALL.iterations
    assert all(math.isfinite(loss) for loss in run.losses)
    assert np.mean(run.losses[-2:]) < np.mean(run.losses[:2])
    assert 0 < run.metrics["mIoU"] <= 100
    assert (run.log.parent / f"iter_{SMALL.iterations}.pth").is_file()
    assert "decode_head.conv_seg.weight" in (run.message("follow the class count") or "")


def test_the_host_only_warns_of_heads_that_do_not_fit(printed: Printed) -> None:
    warning = printed.result.by_hand.message("size mismatch for") or ""
    assert warning.startswith("size mismatch for decode_head.conv_seg.weight: copying a param")


def test_after_has_nothing_left_to_say(printed: Printed) -> None:
    assert check(printed.result.folder / "before.py").diagnostics
    assert check(printed.result.folder / "after.py").diagnostics == ()


def test_images_are_drawn(printed: Printed) -> None:
    with Image.open(printed.result.folder / PREDICTION) as drawn:
        assert drawn.width == 790
        assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 100
    with Image.open(printed.result.folder / LOSS) as curve:
        assert curve.size == (960, 540)


def test_predictions_are_label_maps_of_the_validation_images(printed: Printed) -> None:
    names = sorted(p.name for p in printed.result.after.predictions.iterdir())
    assert names == ["val_000.png", "val_001.png"]
    for name in names:
        values = np.asarray(Image.open(printed.result.after.predictions / name))
        assert values.shape == (SMALL.size, SMALL.size)
        assert values.max() < SMALL.classes


def test_outcome_on_stdout_and_progress_on_stderr(printed: Printed) -> None:
    for words in ("before.py stops:", "IndexError: Target 4", "HeadAdaptHook:", "To try next:"):
        assert words in printed.out
    assert str(printed.result.folder / PREDICTION) in printed.out
    assert "[1/7] data: 4 + 2 images of 64 x 64, 4 classes" in printed.err
    assert "\n      iteration 6/6  loss " in printed.err
    assert "custom_imports = dict(imports=['mmseg_fixkit']" in printed.err
    assert "\x1b" not in printed.out + printed.err


@pytest.mark.slow
def test_a_second_run_keeps_data_and_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = demo(folder)
    kept = (folder / CHECKPOINT).stat().st_mtime_ns
    second = demo(folder)
    assert "made on the spot" in first.err
    assert "kept from the last time" in second.err
    assert (folder / CHECKPOINT).stat().st_mtime_ns == kept
    assert second.result.after.error is None


def test_a_folder_is_taken_over_only_by_its_own_demo(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(FixkitError, match=r"did not make, such as thesis\.tex"):
        run_demo(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_data_and_checkpoint_are_kept_while_the_settings_are_the_same(tmp_path: Path) -> None:
    assert not claim(tmp_path / "new", SMALL)
    (tmp_path / "new" / CHECKPOINT).write_text("weights")
    keep(tmp_path / "new", SMALL)
    assert claim(tmp_path / "new", replace(SMALL, iterations=99))
    assert (tmp_path / "new" / CHECKPOINT).is_file()
    assert not claim(tmp_path / "new", replace(SMALL, classes=5))
    assert not (tmp_path / "new" / CHECKPOINT).exists()


def test_a_run_that_was_cut_off_is_started_over(tmp_path: Path) -> None:
    assert not claim(tmp_path / "new", SMALL)
    assert not claim(tmp_path / "new", SMALL)


def test_a_file_in_the_way_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(FixkitError, match=r"taken cannot be written to .*; give another folder"):
        claim(tmp_path / "taken", SMALL)
    done = CliRunner().invoke(app, ["demo", str(tmp_path / "taken")])
    assert isinstance(done.exception, FixkitError)


def test_a_message_ends_where_the_next_begins(tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    log.write_text(
        "11/22 01:18:46 - mmengine - INFO - first\n"
        "11/22 01:18:46 - mmengine - WARNING - second, of\n  two lines\n"
        "11/22 01:18:47 - mmengine - INFO - third\n"
    )
    run = RunResult(tmp_path / "cfg.py", log, None, (), {})
    assert run.message("second") == "second, of\n  two lines"
    assert run.message("third") == "third"
    assert run.message("fourth") is None


def test_a_run_whose_process_dies_is_an_error(tmp_path: Path) -> None:
    config = tmp_path / "dies.py"
    config.write_text("__import__('os')._exit(3)")
    run = train(config, tmp_path / "run")
    assert run.error == "the process ended with code 3"
    assert run.losses == ()
