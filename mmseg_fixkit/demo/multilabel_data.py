"""Makes a small dataset whose labels overlap: coloured lights on a dark wall.

Everything follows from the seed. Where two lights meet, their colours add up and both labels hold.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.datasets.label_bits import unpack
from mmseg_fixkit.demo.data import (
    IGNORED,
    IGNORED_COLOR,
    Outline,
    Pixels,
    Planes,
    Rng,
    Shape,
    ShapesDataset,
    clouds,
    coverage,
    read_values,
    with_noise,
    write_splits,
)

#: A label for each kind of light.
LABELS = ("spot", "window", "beam")
PALETTE: tuple[Color, ...] = ((224, 64, 56), (70, 190, 90), (66, 112, 235))

_OUTLINES: dict[str, Outline] = {
    "spot": [],
    "window": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    "beam": [(-2.4, -0.5), (2.4, -0.5), (2.4, 0.5), (-2.4, 0.5)],
}


class LightsDataset(ShapesDataset):
    """A dataset on disk whose labels overlap.

    Label files are PaddleSeg's: a grayscale PNG of shape (H, L * W) an image, a plane of 0 and 1
    for each label side by side, and 255 where the edge of a light lies. Predictions are maps of
    label bits.
    """

    verdicts = ("all labels right", "one wrong")

    def label_planes(self, path: Path) -> tuple[Planes, Planes]:
        """Read a label file: where each label is (L, H, W), and what is ignored (H, W)."""
        planes = np.stack(np.split(read_values(path), len(self.classes), axis=1))
        return planes == 1, planes[0] == IGNORED

    def predicted_planes(self, path: Path) -> Planes:
        """Read a prediction: where each label is (L, H, W)."""
        return unpack(read_values(path), len(self.classes))[0]

    def painted(self, planes: Planes) -> NDArray[np.uint8]:
        """Return an image (H, W, 3) of planes (L, H, W), in stripes where they overlap."""
        from mmseg_fixkit.models.visualizer import draw_labels

        blank = np.full((*planes.shape[1:], 3), IGNORED_COLOR, np.uint8)
        return draw_labels(blank, planes, self.palette, 0.8)

    def iou(self, predictions: Path) -> dict[str, float]:
        """Return the IoU of each label over the validation images, of 0 to 1."""
        both, either = (np.zeros(len(self.classes)) for _ in range(2))
        for image in self.images("val"):
            truth, ignored = self.label_planes(self.label_of(image))
            guess = self.predicted_planes(predictions / f"{image.stem}.png")
            both += (truth & guess & ~ignored).sum((1, 2))
            either += ((truth | guess) & ~ignored).sum((1, 2))
        return {n: float(b / max(e, 1)) for n, b, e in zip(self.classes, both, either)}


def make_lights(root: Path, *, train: int, val: int, size: int, seed: int) -> LightsDataset:
    """Write the dataset below ``root``; the same arguments give the same files.

    Raises ``FixkitError`` where the size is too small to draw shapes.
    """
    counts = {"train": train, "val": val}
    write_splits(root, counts, size, seed, lambda _: lambda rng: _draw(rng, size))
    return LightsDataset(root, LABELS, PALETTE, counts)


def _draw(rng: Rng, size: int) -> tuple[Image.Image, Image.Image]:
    canvas = _wall(rng, size)
    planes = np.zeros((len(LABELS), size, size), np.uint8)
    edges = np.zeros((size, size), bool)
    for label, name in enumerate(LABELS):
        if rng.random() < 0.9:
            cover = coverage(_place(rng, name, size), _OUTLINES[name], size)
            light = np.asarray(PALETTE[label], np.float64) * rng.uniform(0.55, 0.7)
            canvas += light * cover[..., None]
            planes[label][cover > 0.5] = 1
            edges |= (cover > 0) & (cover < 1)
    planes[:, edges] = IGNORED  # an edge counts for no label
    return with_noise(rng, canvas, 4), Image.fromarray(np.concatenate(list(planes), axis=1))


def _wall(rng: Rng, size: int) -> Pixels:
    light = clouds(rng, size, cells=6)
    return rng.uniform(24, 44, 3) + 36 * light[..., None]


def _place(rng: Rng, name: str, size: int) -> Shape:
    x, y = rng.uniform(0.35, 0.65, 2) * size
    radius = rng.uniform(0.2, 0.3) * size
    return Shape(x, y, radius, rng.uniform(0, math.pi) if _OUTLINES[name] else 0.0)
