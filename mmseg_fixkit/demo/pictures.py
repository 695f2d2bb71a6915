"""The two images that the demonstration ends with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.demo.data import IGNORED_COLOR, ShapesDataset

ROWS = 5
COLUMNS = ("image", "label", "prediction", "errors")

#: Colours of right, wrong and ignored pixels.
VERDICTS = ((206, 212, 216), (226, 32, 92), IGNORED_COLOR)

_FAINT = "#787a82"
#: Inches of a grid: its width, that of its border, and heights of its parts.
_WIDTH, _BORDER, _HEADER, _ROW, _LEGEND = 7.9, 0.28, 1.05, 1.86, 0.85


def draw_predictions(
    path: Path, data: ShapesDataset, predictions: Path, title: str, subtitle: str
) -> None:
    """Write a grid of validation images, their labels, the predictions and the errors."""
    images = data.images("val")[:ROWS]
    height = _HEADER + _ROW * len(images) + _LEGEND
    left = _BORDER / _WIDTH
    figure = _figure(_WIDTH, height, dpi=100, facecolor="#fafaf8")
    figure.text(left, 1 - 0.35 / height, title, fontsize=15, fontweight="bold")
    figure.text(left, 1 - 0.6 / height, subtitle, color=_FAINT)
    figure.subplots_adjust(left, _LEGEND / height, 1 - left, 1 - _HEADER / height, 0.06, 0.06)
    grid = figure.subplots(len(images), len(COLUMNS), squeeze=False)
    for row, image in zip(grid, images):
        for axes, tile in zip(row, _tiles(data, image, predictions / f"{image.stem}.png")):
            axes.imshow(tile, interpolation="nearest")
            axes.set_axis_off()
    for axes, name in zip(grid[0], COLUMNS):
        axes.set_title(name, loc="left", fontsize=10)
    names = (*data.classes, *data.verdicts, "ignored (255)")
    figure.legend(
        handles=[*map(_swatch, names, (*data.palette, *VERDICTS))],
        loc="upper left",
        bbox_to_anchor=(left, _LEGEND / height),
        ncol=4,
        frameon=False,
    )
    figure.savefig(path)


def _tiles(data: ShapesDataset, image: Path, prediction: Path) -> Iterator[NDArray[np.uint8]]:
    truth, ignored = data.label_planes(data.label_of(image))
    guess = data.predicted_planes(prediction)
    with Image.open(image) as opened:
        yield np.array(opened.convert("RGB"))
    yield data.painted(truth)
    yield data.painted(guess)
    yield np.array(VERDICTS, np.uint8)[np.where(ignored, 2, (truth != guess).any(0))]


def _swatch(name: str, color: Sequence[int]) -> Any:
    from matplotlib.patches import Patch

    return Patch(facecolor=[c / 255 for c in color], edgecolor=_FAINT, label=name)


def draw_losses(path: Path, losses: Sequence[float], title: str) -> None:
    """Write the loss of each iteration and its running mean."""
    from matplotlib.ticker import MaxNLocator

    figure = _figure(8, 4.5, dpi=120, layout="constrained")
    axes = figure.add_subplot()
    steps = range(1, len(losses) + 1)
    axes.plot(steps, losses, color="#c9ced6", marker="o", markersize=3, label="each iteration")
    axes.plot(steps, _smooth(losses), color="#3472e8", linewidth=2.4, label="running mean of 5")
    axes.set(xlabel="iteration", ylabel="loss (decode head + auxiliary head)", ylim=(0, None))
    axes.set_title(title, loc="left", fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    figure.savefig(path)


def _figure(width: float, height: float, dpi: int, **options: Any) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, **options)
    FigureCanvasAgg(figure)
    return figure


def _smooth(losses: Sequence[float], reach: int = 2) -> list[float]:
    windows = (losses[max(0, i - reach) : i + 1 + reach] for i in range(len(losses)))
    return [sum(window) / len(window) for window in windows]
