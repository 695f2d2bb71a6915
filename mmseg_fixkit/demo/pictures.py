"""The two pictures that the demonstration ends with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mmseg_fixkit.demo.data import IGNORED, ShapesDataset, full_palette
from mmseg_fixkit.labels import Color

ROWS = 5
TILE = 176
GAP = 10
MARGIN = 28
COLUMNS = ("image", "label", "prediction", "errors")

_PAPER, _INK, _FAINT = (250, 250, 248), (28, 30, 38), (120, 122, 130)
_WRONG: Color = (226, 32, 92)
_RIGHT: Color = (206, 212, 216)
_SKIPPED: Color = (236, 236, 236)

#: Colours of right, wrong and ignored pixels.
VERDICTS = (_RIGHT, _WRONG, _SKIPPED)

_HEAD, _COLUMN_HEAD, _LEGEND_LINE = 62, 26, 26
_LEGEND_COLUMNS = 4

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Page:
    """A picture being drawn, with its fonts."""

    image: Image.Image
    draw: ImageDraw.ImageDraw
    title: ImageFont.FreeTypeFont
    text: ImageFont.FreeTypeFont


def draw_predictions(
    path: Path, data: ShapesDataset, predictions: Path, title: str, subtitle: str
) -> None:
    """Write a grid of validation images, their labels, the predictions and the errors."""
    rows = [
        _tiles(image, data.label_of(image), predictions / f"{image.stem}.png", data.palette)
        for image in data.images("val")[:ROWS]
    ]
    draw_grid(path, rows, _legend(data), title, subtitle)


def draw_grid(
    path: Path,
    rows: Sequence[Iterable[Image.Image]],
    legend: list[tuple[str, Color]],
    title: str,
    subtitle: str,
) -> None:
    """Write rows of an image, its label, the prediction and the errors, all :data:`TILE` wide."""
    page = _page(len(rows), -(-len(legend) // _LEGEND_COLUMNS))
    page.draw.text((MARGIN, 20), title, _INK, page.title)
    page.draw.text((MARGIN, 50), subtitle, _FAINT, page.text)
    for column, name in enumerate(COLUMNS):
        page.draw.text((_left(column), MARGIN + _HEAD), name, _INK, page.text)
    for row, tiles in enumerate(rows):
        top = MARGIN + _HEAD + _COLUMN_HEAD + row * (TILE + GAP)
        for column, tile in enumerate(tiles):
            page.image.paste(tile, (_left(column), top))
    _draw_legend(page, legend)
    page.image.save(path)


def _page(rows: int, legend_lines: int) -> _Page:
    width = _left(len(COLUMNS)) - GAP + MARGIN
    grid = _COLUMN_HEAD + rows * (TILE + GAP)
    image = Image.new(
        "RGB", (width, 2 * MARGIN + _HEAD + grid + GAP + legend_lines * _LEGEND_LINE), _PAPER
    )
    return _Page(image, ImageDraw.Draw(image), _font(20, "DejaVuSans-Bold"), _font(14))


def _font(size: int, name: str = "DejaVuSans") -> ImageFont.FreeTypeFont:
    import matplotlib as mpl

    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts", "ttf", f"{name}.ttf")), size)


def _left(column: int) -> int:
    return MARGIN + column * (TILE + GAP)


def _tiles(
    image: Path, label: Path, prediction: Path, palette: tuple[Color, ...]
) -> Iterator[Image.Image]:
    truth, guess = _read(label), _read(prediction)
    with Image.open(image) as picture:
        yield picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
    yield colored(truth, full_palette(palette))
    yield colored(guess, full_palette(palette))
    verdict = np.where(truth == IGNORED, 2, (truth != guess).astype(np.uint8)).astype(np.uint8)
    yield colored(verdict, VERDICTS)


def _read(path: Path) -> Labels:
    with Image.open(path) as image:
        return np.array(image, np.uint8)


def colored(labels: Labels, colors: Sequence[Color]) -> Image.Image:
    """Return a tile of a label map."""
    pixels = np.asarray(colors, np.uint8)[labels]
    return Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.NEAREST)


def _legend(data: ShapesDataset) -> list[tuple[str, Color]]:
    ignored = ("ignored (255)", full_palette(data.palette)[IGNORED])
    return [*zip(data.classes, data.palette), ignored, ("right", _RIGHT), ("wrong", _WRONG)]


def _draw_legend(page: _Page, legend: list[tuple[str, Color]]) -> None:
    lines = -(-len(legend) // _LEGEND_COLUMNS)
    top = page.image.height - MARGIN - lines * _LEGEND_LINE + GAP
    for number, (name, color) in enumerate(legend):
        x = _left(number % _LEGEND_COLUMNS)
        y = top + number // _LEGEND_COLUMNS * _LEGEND_LINE
        page.draw.rectangle((x, y, x + 16, y + 16), fill=color, outline=_FAINT)
        page.draw.text((x + 24, y), name, _INK, page.text)


def draw_losses(path: Path, losses: Sequence[float], title: str) -> None:
    """Write the loss of each iteration and its running mean."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
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


def _smooth(losses: Sequence[float], reach: int = 2) -> list[float]:
    windows = (losses[max(0, i - reach) : i + 1 + reach] for i in range(len(losses)))
    return [sum(window) / len(window) for window in windows]
