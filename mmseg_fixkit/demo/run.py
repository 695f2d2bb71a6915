"""The demonstration: data made on the spot, runs that fail, the patch, a run that trains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from rich import box
from rich.table import Table
from rich.text import Text

from mmseg_fixkit.apis.patch import patch
from mmseg_fixkit.config.host import NO_STACK, package_path, zoo_path
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import is_file, write_file
from mmseg_fixkit.demo import scene
from mmseg_fixkit.demo.console import DemoConsole
from mmseg_fixkit.demo.data import IMG_SUFFIX, SEG_MAP_SUFFIX, ShapesDataset, make_shapes
from mmseg_fixkit.demo.pictures import draw_losses, draw_predictions
from mmseg_fixkit.demo.scene import CHECKPOINT, Settings
from mmseg_fixkit.demo.worker import RunResult, make_checkpoint, train

STEPS = 7
PREDICTION, LOSS = "prediction.png", "loss.png"
NEEDED = ("torch", "mmengine", "mmcv", "mmseg")

#: Words by which a warning of MMEngine and the report of our hook are found in a log.
LOAD_WARNING = "size mismatch for"
HOOK_REPORT = "follow the class count"


@dataclass(frozen=True)
class DemoResult:
    """The folder of the demonstration, and its four runs."""

    folder: Path
    before: RunResult  # the config as the tutorials have it
    by_hand: RunResult  # that config repaired by hand, with a stray label
    guarded: RunResult  # the same, patched
    after: RunResult  # the config of the tutorials, patched


@dataclass(frozen=True)
class Demo:
    """A demonstration under way: the steps that this one and the multi-label one share."""

    folder: Path
    settings: Settings
    labels: str  # how many of what kind
    console: DemoConsole

    def write_before(self, data: ShapesDataset, what: str) -> Path:
        """Write the config that a user starts from."""
        config = self.folder / "before.py"
        self.console.step(f"{config}: a config of the zoo{what}")
        self.console.note(f"_base_ is {self.settings.zoo}")
        text = scene.before_config(self.settings, zoo_path(self.settings.zoo), data)
        write_file(config, text)
        return config

    def write_after(self, data: ShapesDataset, **options: Any) -> None:
        """Patch that config and show the result; ``options`` are those of :func:`patch`."""
        output = self.folder / "after.py"
        self.console.step(f"{output}: the same config, patched")
        options.update(img_suffix=IMG_SUFFIX, seg_map_suffix=SEG_MAP_SUFFIX)
        flags = "".join(f" {_flag(name, value)}" for name, value in options.items())
        classes = ",".join(data.classes)
        self.console.note(
            f"$ mmseg-fix patch before.py --classes {classes}{flags} -o {output.name}", "cyan"
        )
        planned = patch(str(self.folder / "before.py"), data.labels, **options)
        planned.write(output, overwrite=True)
        self.console.python(output.read_text(encoding="utf-8"))
        changes = len(planned.plan.applied)
        self.console.note(f"✓ {changes} changes, proved by loading {output.name} again", "green")

    def work_dir(self, name: str) -> Path:
        """Return the folder of a run."""
        return self.folder / scene.RUNS / name

    def run_failing(self, config: Path) -> RunResult:
        """Run what must fail, and show the error."""
        with self.console.waiting(f"training with {config.name}"):
            result = train(config, self.work_dir(config.stem))
        if result.error:
            self.console.note(f"✗ {result.error}", "red")
        else:
            self.console.note("ran to completion, which was not expected")
        return result

    def train_after(self) -> RunResult:
        """Train with the patched config; raise ``FixkitError`` where that fails."""
        config, iterations = self.folder / "after.py", self.settings.iterations
        self.console.step(f"training with {config}: {iterations} iterations on the CPU")
        with self.console.training(iterations) as listen:
            result = train(config, self.work_dir(config.stem), listen)
        if result.error:
            raise FixkitError(f"{config} did not train: {result.error}; see {result.log}")
        adapted = result.message(HOOK_REPORT)
        if adapted:
            self.console.note(f"HeadAdaptHook: {adapted}")
        self.console.note(f"✓ {outcome(result)}", "green")
        return result

    def draw(self, data: ShapesDataset, run: RunResult, remark: str = "") -> dict[Path, str]:
        """Draw predictions and losses; return the files to look at, and what they show."""
        prediction, loss = self.folder / PREDICTION, self.folder / LOSS
        self.console.step(f"images: {prediction} and {loss}")
        model = Path(self.settings.zoo).stem.split("_4x")[0]
        title = f"{model}: mIoU {run.metrics['mIoU']:.1f} on {self.settings.val} validation images"
        sizes = f"{self.settings.iterations} iterations on {self.settings.train} images"
        subtitle = f"after {sizes}, on a CPU{remark}"
        draw_predictions(prediction, data, run.predictions, title, subtitle)
        draw_losses(loss, run.losses, f"{model}, {self.labels}")
        return {
            prediction: "image, label, prediction and errors",
            loss: "the loss curve",
            run.log: "what MMSegmentation printed",
        }


def start(folder: Path, settings: Settings, labels: str, steps: int) -> tuple[Demo, bool]:
    """Begin with the step that makes the data; say whether an earlier checkpoint still fits.

    Raises ``FixkitError`` where no stack is installed, or the folder is not the demo's.
    """
    if any(package_path(name) is None for name in NEEDED):
        raise FixkitError(NO_STACK)
    fits = scene.claim(folder, settings)
    demo = Demo(folder, settings, labels, DemoConsole(steps))
    s = settings
    demo.console.step(f"data: {s.train} + {s.val} images of {s.size} x {s.size}, {labels}")
    return demo, fits


def outcome(run: RunResult) -> str:
    """Return a line on a run that went through."""
    first, last = run.losses[0], run.losses[-1]
    text = f"{len(run.losses)} iterations, loss {first:.2f} -> {last:.2f}"
    return f"{text}, mIoU {run.metrics['mIoU']:.1f}"


def _flag(name: str, value: object) -> str:
    """Return an option of the command line."""
    flag = f"--{name.replace('_', '-')}"
    return flag if value is True else f"{flag} {value}"


def run_demo(folder: Path, settings: Optional[Settings] = None) -> DemoResult:
    """Make data, show what fails, patch it, train it, and draw what it learned.

    Raises:
        FixkitError: no stack is installed, the folder is not the demo's, or training fails.
    """
    settings = settings or Settings()
    demo, fits = start(folder, settings, f"{settings.classes} classes", STEPS)
    data = make_shapes(folder / scene.DATA, classes=settings.classes, **settings.splits)
    demo.console.note(f"{data.root}: {', '.join(data.classes)}")
    config = demo.write_before(data, " with these classes, as the tutorials have it")
    before = demo.run_failing(config)
    _make_checkpoint(demo, fits)
    demo.write_after(data, load_from=CHECKPOINT)
    by_hand, guarded = _train_with_stray_label(demo, data)
    after = demo.train_after()
    files = demo.draw(data, after)
    result = DemoResult(folder, before, by_hand, guarded, after)
    commands = {
        f"check {config}": "what is wrong with it, and where",
        f"patch {config} --diff": "what would change",
        "rule MSF204": "why: the page of a rule",
    }
    demo.console.result(_table(result), files, commands)
    return result


def _make_checkpoint(demo: Demo, fits: bool) -> None:
    path = demo.folder / CHECKPOINT
    demo.console.step(f"{path}: a checkpoint of the same model with Cityscapes' 19 classes")
    if fits and is_file(path):
        demo.console.note("kept from the last time")
        return
    with demo.console.waiting("building the model"):
        make_checkpoint(demo.folder / "before.py", path, demo.work_dir("checkpoint"))
    scene.keep(demo.folder, demo.settings)
    demo.console.note("made on the spot with untrained weights, so that nothing is downloaded")


def _train_with_stray_label(demo: Demo, data: ShapesDataset) -> tuple[RunResult, RunResult]:
    classes = demo.settings.classes
    label = scene.make_stray(demo.folder, demo.settings)
    demo.console.step(f"a stray label: {label} has pixels of {classes}, which is no class")
    by_hand, guarded = demo.folder / "by_hand.py", demo.folder / "by_hand_fixed.py"
    write_file(by_hand, scene.by_hand_config(demo.settings))
    demo.console.note(
        f"{by_hand.name}: before.py with another dataset type and both heads set by hand"
    )
    first = demo.run_failing(by_hand)
    demo.console.note(f"{guarded.name}: the same after `mmseg-fix patch {by_hand.name}`")
    patch(str(by_hand), data.labels).write(guarded, overwrite=True)
    return first, demo.run_failing(guarded)


def _table(result: DemoResult) -> Table:
    """Lay out what happened before and after the patch."""
    table = Table(box=box.ROUNDED, show_lines=True, expand=True)
    table.add_column("", style="bold", ratio=2)
    table.add_column("before: as the tutorials have it", ratio=5)
    table.add_column("after: mmseg-fix patch", ratio=5)
    for what, before, after in _rows(result):
        table.add_row(what, Text(before, style="red"), Text(after, style="green"))
    return table


def _rows(result: DemoResult) -> Iterator[tuple[str, str, str]]:
    by_hand, after = result.by_hand, result.after
    trained = f"{after.config.name} trains: {outcome(after)}"
    warning, adapted = _first_line(by_hand, LOAD_WARNING), _first_line(after, HOOK_REPORT)
    yield "own classes", _stopped(result.before), trained
    yield (
        "a checkpoint of 19 classes",
        f"{by_hand.config.name} warns and goes on: {warning}",
        f"HeadAdaptHook: {adapted}",
    )
    yield "a stray label in one label map", _stopped(by_hand), _stopped(result.guarded)


def _stopped(run: RunResult) -> str:
    return f"{run.config.name} stops: {run.error}" if run.error else f"{run.config.name} runs"


def _first_line(run: RunResult, words: str) -> str:
    return (run.message(words) or "no message").splitlines()[0]
