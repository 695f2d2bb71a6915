"""The demonstration of labels that overlap, from the data to pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from rich import box
from rich.table import Table

from mmseg_fixkit.apis.patch import patch
from mmseg_fixkit.demo import folder as place
from mmseg_fixkit.demo.console import Teller
from mmseg_fixkit.demo.data import IMG_SUFFIX, SEG_MAP_SUFFIX, ShapesDataset
from mmseg_fixkit.demo.label_pictures import draw_label_predictions, overlaps
from mmseg_fixkit.demo.multilabel_data import LABELS, make_overlaps
from mmseg_fixkit.demo.pictures import draw_losses
from mmseg_fixkit.demo.run import NEEDED, aligned, command
from mmseg_fixkit.demo.runs import RunResult, train
from mmseg_fixkit.demo.scene import DATA, Settings, before_config
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.host import NO_STACK, package_path, zoo_path

STEPS = 5

#: What to try next, with the verb's arguments, and what it answers.
NEXT = {
    "check {folder}/after.py": "nothing is left of one class a pixel",
    "export {folder}/after.py {checkpoint} -o model.onnx": "a model of the three labels alone",
    "rule MSF601": "why there is a channel more than labels",
}

#: Sizes that fit into two minutes on two cores.
SETTINGS = Settings(
    zoo="mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    classes=len(LABELS),
    train=24,
    val=8,
    size=112,
    batch=4,
    iterations=80,
    learning_rate=2e-3,
)


@dataclass(frozen=True)
class LabelDemoResult:
    """What the demonstration came to.

    Args:
        folder: where everything lies.
        run: the training of the patched config.
        overlaps: the IoU of each label on the validation images.
        prediction: the picture of images, labels and predictions.
        loss: the picture of the loss curve.
    """

    folder: Path
    run: RunResult
    overlaps: dict[str, float]
    prediction: Path
    loss: Path


def run_label_demo(folder: Path, settings: Optional[Settings] = None) -> LabelDemoResult:
    """Make data whose labels overlap, patch a zoo config, train it, and draw what it learned.

    Raises:
        FixkitError: no stack is installed, the folder is not the demo's, or training fails.
    """
    if any(package_path(name) is None for name in NEEDED):
        raise FixkitError(NO_STACK)
    settings = settings or SETTINGS
    place.claim(folder, settings)
    teller = Teller(STEPS)
    data = _make_data(teller, folder, settings)
    place.keep(folder, settings)
    _patch(teller, folder, settings, data)
    run = _train(teller, folder, settings)
    found = overlaps(data, run.predictions)
    prediction, loss = _draw(teller, folder, settings, data, run)
    result = LabelDemoResult(folder, run, found, prediction, loss)
    teller.result(_table(result), _closing(result, settings))
    return result


def _make_data(teller: Teller, folder: Path, settings: Settings) -> ShapesDataset:
    teller.step(
        f"data: {settings.train} + {settings.val} images of {settings.size} x {settings.size}, "
        f"{len(LABELS)} labels that overlap"
    )
    data = make_overlaps(
        folder / DATA,
        train=settings.train,
        val=settings.val,
        size=settings.size,
        seed=settings.seed,
    )
    teller.note(f"{data.root}: {', '.join(data.classes)}; planes side by side, as PaddleSeg's are")
    return data


def _patch(teller: Teller, folder: Path, settings: Settings, data: ShapesDataset) -> None:
    before, after = folder / "before.py", folder / "after.py"
    teller.step(f"{before}: a config of the zoo, for one class a pixel")
    teller.note(f"_base_ is {settings.zoo}")
    before.write_text(before_config(settings, zoo_path(settings.zoo), data), encoding="utf-8")
    teller.step(f"{after}: the same config, patched")
    teller.note(
        f"$ mmseg-fix patch before.py --multilabel --classes {','.join(data.classes)} "
        f"--label-format planes --label-values 1 --img-suffix {IMG_SUFFIX} --seg-map-suffix "
        f"{SEG_MAP_SUFFIX} -o {after.name}",
        "cyan",
    )
    planned = patch(
        str(before),
        data.labels,
        multilabel=True,
        label_format="planes",
        label_values=1,  # 255 is ignored in them
        img_suffix=IMG_SUFFIX,
        seg_map_suffix=SEG_MAP_SUFFIX,
    )
    planned.write(after, overwrite=True)
    teller.python(after.read_text(encoding="utf-8"))
    teller.success(f"{len(planned.plan.applied)} changes, proved by loading {after.name} again")


def _train(teller: Teller, folder: Path, settings: Settings) -> RunResult:
    config = folder / "after.py"
    teller.step(f"training with {config}: {settings.iterations} iterations on the CPU")
    with teller.training(settings.iterations) as listen:
        run = train(config, folder / place.RUNS / config.stem, listen)
    if run.error:
        raise FixkitError(f"{config} did not train: {run.error}; see {run.log}")
    first, last = run.losses[0], run.losses[-1]
    teller.success(
        f"{len(run.losses)} iterations, loss {first:.2f} -> {last:.2f}, "
        f"mIoU {run.metrics['mIoU']:.1f}"
    )
    return run


def _draw(
    teller: Teller, folder: Path, settings: Settings, data: ShapesDataset, run: RunResult
) -> tuple[Path, Path]:
    prediction, loss = folder / "prediction.png", folder / "loss.png"
    teller.step(f"pictures: {prediction} and {loss}")
    model = Path(settings.zoo).stem.split("_4x")[0]
    title = f"{model}, several labels a pixel: mIoU {run.metrics['mIoU']:.1f}"
    subtitle = (
        f"{settings.val} validation images, after {settings.iterations} iterations on a CPU; where "
        "labels overlap their colours alternate"
    )
    draw_label_predictions(prediction, data, run.predictions, title, subtitle)
    draw_losses(loss, run.losses, f"{model}, {len(data.classes)} labels and the background")
    return prediction, loss


def _table(result: LabelDemoResult) -> Table:
    table = Table(box=box.ROUNDED)
    table.add_column("label")
    table.add_column("IoU", justify="right")
    for name, value in result.overlaps.items():
        table.add_row(name, f"{100 * value:.1f}")
    return table


def _closing(result: LabelDemoResult, settings: Settings) -> Iterator[str]:
    yield from aligned(
        (str(result.prediction), "image, label, prediction and errors"),
        (str(result.loss), "the loss curve"),
        (str(result.run.log), "what the host printed"),
    )
    yield from ("", "To try next:")
    checkpoint = result.run.log.parent / f"iter_{settings.iterations}.pth"
    words = {"folder": result.folder, "checkpoint": checkpoint}
    yield from aligned(
        *((f"  {command()} {v.format(**words)}", f"# {answer}") for v, answer in NEXT.items())
    )
