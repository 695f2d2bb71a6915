"""The picture that the demonstration of overlapping labels ends with, and how good they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.demo.data import IGNORED, ShapesDataset
from mmseg_fixkit.demo.multilabel_data import read_planes
from mmseg_fixkit.demo.pictures import ROWS, TILE, VERDICTS, colored, draw_grid
from mmseg_fixkit.label_bits import ignored_in, pack, unpack

Planes = NDArray[np.uint8]


def overlaps(data: ShapesDataset, predictions: Path) -> dict[str, float]:
    """Return the IoU of each label over the validation images, of 0 to 1."""
    both = np.zeros(len(data.classes))
    either = np.zeros(len(data.classes))
    for image in data.images("val"):
        truth, guess = read_planes(data.label_of(image)), _predicted(data, predictions, image)
        counts = truth[0] != IGNORED
        both += ((truth == 1) & guess & counts).sum((1, 2))
        either += (((truth == 1) | guess) & counts).sum((1, 2))
    return {n: float(b / max(e, 1)) for n, b, e in zip(data.classes, both, either)}


def _predicted(data: ShapesDataset, predictions: Path, image: Path) -> NDArray[np.bool_]:
    with Image.open(predictions / f"{image.stem}.png") as found:
        return unpack(np.array(found), len(data.classes))[0]


def draw_label_predictions(
    path: Path, data: ShapesDataset, predictions: Path, title: str, subtitle: str
) -> None:
    """Write validation images, their labels, predictions and errors, overlaps in stripes."""
    rows = [_tiles(data, predictions, image) for image in data.images("val")[:ROWS]]
    right, wrong, skipped = VERDICTS
    verdicts = [("all labels right", right), ("one wrong", wrong), ("ignored (255)", skipped)]
    draw_grid(path, rows, [*zip(data.classes, data.palette), *verdicts], title, subtitle)


def _tiles(data: ShapesDataset, predictions: Path, image: Path) -> Iterator[Image.Image]:
    from mmseg_fixkit.multilabel.pictures import draw_labels

    with Image.open(image) as picture:
        pixels = np.array(picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS))
    truth = read_planes(data.label_of(image))
    labelled = pack(truth == 1, truth[0] == IGNORED)
    guess = _predicted(data, predictions, image)
    yield Image.fromarray(pixels)
    faint = np.full_like(pixels, 238)
    yield Image.fromarray(draw_labels(faint, _large(truth == 1), data.palette, 0.8))
    yield Image.fromarray(draw_labels(faint, _large(guess), data.palette, 0.8))
    wrong = ((truth == 1) != guess).any(0)
    verdict = np.where(ignored_in(labelled), 2, wrong.astype(np.uint8)).astype(np.uint8)
    yield colored(verdict, VERDICTS)


def _large(planes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    tiles = [
        Image.fromarray(plane.astype(np.uint8)).resize((TILE, TILE), Image.Resampling.NEAREST)
        for plane in planes
    ]
    return np.stack([np.array(tile, bool) for tile in tiles])
