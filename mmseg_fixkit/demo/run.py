"""The demonstration from the first step to the last."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Optional

from mmseg_fixkit.apis.patch import patch
from mmseg_fixkit.demo import folder as place
from mmseg_fixkit.demo.console import Teller, side_by_side
from mmseg_fixkit.demo.data import IMG_SUFFIX, SEG_MAP_SUFFIX, ShapesDataset
from mmseg_fixkit.demo.pictures import draw_losses, draw_predictions
from mmseg_fixkit.demo.runs import RunResult, ignore, make_checkpoint, train
from mmseg_fixkit.demo.scene import CHECKPOINT, Settings, before_config, by_hand_config
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.host import NO_STACK, package_path, zoo_path

STEPS = 7
NEEDED = ("torch", "mmengine", "mmcv", "mmseg")

#: Words of the host and of our hook by which their messages are found in the log.
HOST_WARNING = "size mismatch for"
HOOK_REPORT = "follow the class count"

#: What to try next, with the verb's arguments, and what it answers.
NEXT = {
    "check {folder}/before.py": "what is wrong with it, and where",
    "patch {folder}/before.py --diff": "what would change",
    "rule MSF204": "why: the page of a rule",
}


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration came to.

    Args:
        folder: where everything lies.
        before: the run of the config as the tutorials have it.
        by_hand: the run of the config repaired by hand, with a stray label.
        guarded: the same, patched.
        after: the run of the patched config.
        prediction: the picture of images, labels and predictions.
        loss: the picture of the loss curve.
    """

    folder: Path
    before: RunResult
    by_hand: RunResult
    guarded: RunResult
    after: RunResult
    prediction: Path
    loss: Path


def run_demo(folder: Path, settings: Optional[Settings] = None) -> DemoResult:
    """Make data, show what fails, patch it, train it, and draw what it learned.

    Raises:
        FixkitError: no stack is installed, the folder is not the demo's, or training fails.
    """
    if any(package_path(name) is None for name in NEEDED):
        raise FixkitError(NO_STACK)
    settings = settings or Settings()
    fits = place.claim(folder, settings)
    teller = Teller(STEPS)
    data = _make_data(teller, folder, settings)
    before = _before(teller, folder, settings, data)
    _checkpoint(teller, folder, settings, fits)
    _patch(teller, folder, data)
    by_hand, guarded = _stray(teller, folder, settings, data)
    after = _after(teller, folder, settings)
    prediction, loss = _draw(teller, folder, settings, data, after)
    result = DemoResult(folder, before, by_hand, guarded, after, prediction, loss)
    teller.result(side_by_side(_rows(result)), _closing(result))
    return result


def _make_data(teller: Teller, folder: Path, settings: Settings) -> ShapesDataset:
    teller.step(
        f"data: {settings.train} + {settings.val} images of {settings.size} x {settings.size}, "
        f"{settings.classes} classes"
    )
    data = place.make_data(folder, settings)
    teller.note(f"{data.root}: {', '.join(data.classes)}")
    return data


def _before(teller: Teller, folder: Path, settings: Settings, data: ShapesDataset) -> RunResult:
    config = folder / "before.py"
    teller.step(f"{config}: a config of the zoo with these classes, as the tutorials have it")
    teller.note(f"_base_ is {settings.zoo}")
    text = before_config(settings, zoo_path(settings.zoo), data)
    config.write_text(text, encoding="utf-8")
    return _run(teller, config)


def _run(teller: Teller, config: Path) -> RunResult:
    """Run what must fail, and show the host's own words."""
    with teller.waiting(f"training with {config.name}"):
        result = train(config, _work_dir(config.parent, config.stem), ignore)
    if result.error:
        teller.error(result.error)
    else:
        teller.note("ran through, which was not expected")
    return result


def _work_dir(folder: Path, name: str) -> Path:
    return folder / place.RUNS / name


def _checkpoint(teller: Teller, folder: Path, settings: Settings, fits: bool) -> None:
    path = folder / CHECKPOINT
    teller.step(f"{path}: a checkpoint of the same model with Cityscapes' 19 classes")
    if fits and path.is_file():
        teller.note("kept from the last time")
        return
    with teller.waiting("building the model"):
        make_checkpoint(folder / "before.py", path, _work_dir(folder, "checkpoint"))
    place.keep(folder, settings)
    teller.note("made on the spot with untrained weights, so that nothing is downloaded")


def _patch(teller: Teller, folder: Path, data: ShapesDataset) -> None:
    output = folder / "after.py"
    teller.step(f"{output}: the same config, patched")
    teller.note(
        f"$ mmseg-fix patch before.py --classes {','.join(data.classes)} --img-suffix {IMG_SUFFIX}"
        f" --seg-map-suffix {SEG_MAP_SUFFIX} --load-from {CHECKPOINT} -o {output.name}",
        "cyan",
    )
    planned = patch(
        str(folder / "before.py"),
        data.labels,
        img_suffix=IMG_SUFFIX,
        seg_map_suffix=SEG_MAP_SUFFIX,
        load_from=CHECKPOINT,
    )
    planned.write(output, overwrite=True)
    teller.python(output.read_text(encoding="utf-8"))
    teller.success(f"{len(planned.plan.applied)} changes, proved by loading {output.name} again")


def _stray(
    teller: Teller, folder: Path, settings: Settings, data: ShapesDataset
) -> tuple[RunResult, RunResult]:
    mask = place.make_stray(folder, settings)
    teller.step(f"a stray label: {mask} has pixels of {settings.classes}, which is no class")
    by_hand, guarded = folder / "by_hand.py", folder / "by_hand_fixed.py"
    by_hand.write_text(by_hand_config(settings), encoding="utf-8")
    teller.note(f"{by_hand.name}: before.py with another dataset type and both heads set by hand")
    first = _run(teller, by_hand)
    teller.note(f"{guarded.name}: the same after `mmseg-fix patch {by_hand.name}`")
    patch(str(by_hand), data.labels).write(guarded, overwrite=True)
    return first, _run(teller, guarded)


def _after(teller: Teller, folder: Path, settings: Settings) -> RunResult:
    config = folder / "after.py"
    teller.step(f"training with {config}: {settings.iterations} iterations on the CPU")
    with teller.training(settings.iterations) as listen:
        result = train(config, _work_dir(folder, config.stem), listen)
    if result.error:
        raise FixkitError(f"{config} did not train: {result.error}; see {result.log}")
    adapted = result.said(HOOK_REPORT)
    if adapted:
        teller.note(f"HeadAdaptHook: {adapted}")
    teller.success(_outcome(result))
    return result


def _outcome(result: RunResult) -> str:
    first, last = result.losses[0], result.losses[-1]
    text = f"{len(result.losses)} iterations, loss {first:.2f} -> {last:.2f}"
    return f"{text}, mIoU {result.metrics['mIoU']:.1f}"


def _draw(
    teller: Teller, folder: Path, settings: Settings, data: ShapesDataset, after: RunResult
) -> tuple[Path, Path]:
    prediction, loss = folder / "prediction.png", folder / "loss.png"
    teller.step(f"pictures: {prediction} and {loss}")
    model = Path(settings.zoo).stem.split("_4x")[0]
    title = f"{model}: mIoU {after.metrics['mIoU']:.1f} on {settings.val} validation images"
    subtitle = f"after {settings.iterations} iterations on {settings.train} images, on a CPU"
    draw_predictions(prediction, data, after.predictions, title, subtitle)
    draw_losses(loss, after.losses, f"{model}, {settings.classes} classes")
    return prediction, loss


def _closing(result: DemoResult) -> Iterator[str]:
    yield from aligned(
        (str(result.prediction), "image, label, prediction and errors"),
        (str(result.loss), "the loss curve"),
        (str(result.after.log), "what the host printed"),
    )
    yield from ("", "To try next:")
    own = command()
    yield from aligned(
        *(
            (f"  {own} {verb.format(folder=result.folder)}", f"# {answer}")
            for verb, answer in NEXT.items()
        )
    )


def aligned(*rows: tuple[str, str]) -> Iterator[str]:
    """Yield lines of two columns."""
    width = max(len(first) for first, _ in rows)
    yield from (f"{first:{width}}  {second}" for first, second in rows)


def command() -> str:
    """Return what to type for our command; `make demo` needs no activated environment."""
    own = Path(sys.executable).with_name("mmseg-fix")
    if which(own.name) or not own.is_file():
        return own.name
    return os.path.relpath(own)


def _rows(result: DemoResult) -> Iterator[tuple[str, str, str]]:
    yield (
        "own classes",
        _stopped(result.before),
        f"{result.after.config.name} trains: {_outcome(result.after)}",
    )
    yield (
        "a checkpoint of 19 classes",
        f"{result.by_hand.config.name} warns and goes on: "
        + _first_line(result.by_hand.said(HOST_WARNING)),
        f"HeadAdaptHook: {_first_line(result.after.said(HOOK_REPORT))}",
    )
    yield "a stray label in one mask", _stopped(result.by_hand), _stopped(result.guarded)


def _stopped(run: RunResult) -> str:
    return f"{run.config.name} stops: {run.error}" if run.error else f"{run.config.name} runs"


def _first_line(text: Optional[str]) -> str:
    return text.splitlines()[0] if text else "no word"
