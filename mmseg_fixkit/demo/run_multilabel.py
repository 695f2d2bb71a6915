"""The demonstration of labels that overlap, from the data to what was learned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from rich import box
from rich.table import Table

from mmseg_fixkit.demo import scene
from mmseg_fixkit.demo.multilabel_data import LABELS, make_lights
from mmseg_fixkit.demo.run import start
from mmseg_fixkit.demo.scene import Settings
from mmseg_fixkit.demo.worker import RunResult

STEPS = 5

#: Sizes that fit into two minutes on two cores.
SETTINGS = Settings(
    zoo="mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    classes=len(LABELS),
    iterations=80,
    learning_rate=2e-3,
)


@dataclass(frozen=True)
class MultiLabelDemoResult:
    """The folder of the demonstration, its run, and what was learned."""

    folder: Path
    run: RunResult
    iou: dict[str, float]  # of each label on the validation images, 0 to 1


def run_multilabel_demo(folder: Path, settings: Optional[Settings] = None) -> MultiLabelDemoResult:
    """Make data whose labels overlap, patch a zoo config, train it, and draw what it learned.

    Raises:
        FixkitError: no stack is installed, the folder is not the demo's, or training fails.
    """
    settings = settings or SETTINGS
    demo, _ = start(folder, settings, f"{len(LABELS)} labels that overlap", STEPS)
    data = make_lights(folder / scene.DATA, **settings.splits)
    names = ", ".join(data.classes)
    demo.console.note(f"{data.root}: {names}; planes side by side, as PaddleSeg's are")
    scene.keep(folder, settings)
    demo.write_before(data, ", for one class per pixel")
    # label_values=1: the planes hold 0 and 1, and 255 is ignored.
    demo.write_after(data, multilabel=True, label_format="planes", label_values=1)
    run = demo.train_after()
    files = demo.draw(data, run, "; where labels overlap their colours alternate")
    result = MultiLabelDemoResult(folder, run, data.iou(run.predictions))
    checkpoint = run.log.parent / f"iter_{settings.iterations}.pth"
    commands = {
        f"check {run.config}": "nothing is left of one class per pixel",
        f"export {run.config} {checkpoint} -o model.onnx": "a model of the three labels alone",
        "rule MSF601": "why there is one channel more than labels",
    }
    demo.console.result(_table(result.iou), files, commands)
    return result


def _table(iou: dict[str, float]) -> Table:
    table = Table("label", box=box.ROUNDED)
    table.add_column("IoU", justify="right")
    for name, value in iou.items():
        table.add_row(name, f"{100 * value:.1f}")
    return table
