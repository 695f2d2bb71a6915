"""Makes a small data set of labels that overlap: coloured lights on a dark wall.

Everything follows from the seed. Where two lights meet, their colours add up and both labels hold.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmseg_fixkit.demo.data import IGNORED, IMG_SUFFIX, SEG_MAP_SUFFIX, ShapesDataset
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.labels import Color

#: A label for each kind of light.
LABELS = ("spot", "window", "beam")
PALETTE: tuple[Color, ...] = ((224, 64, 56), (70, 190, 90), (66, 112, 235))

_OVERSAMPLING = 4
_MIN_SIZE = 32

Pixels = NDArray[np.float64]
Rng = np.random.Generator


def make_overlaps(root: Path, *, train: int, val: int, size: int, seed: int) -> ShapesDataset:
    """Write the data set below ``root``; the same arguments give the same files.

    Labels are PaddleSeg's: a grey PNG of shape (H, 3 * W) an image, a plane of 0 and 1 for each
    label side by side, and 255 where the edge of a light lies.

    Raises:
        FixkitError: the size is too small to draw shapes.
    """
    if size < _MIN_SIZE:
        raise FixkitError(f"the size is {size} pixels, but shapes need at least {_MIN_SIZE}")
    counts = {"train": train, "val": val}
    for number, (split, count) in enumerate(counts.items()):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image, planes = _picture(np.random.default_rng((seed, number, index)), size)
            name = f"{split}_{index:03d}"
            image.save(root / "images" / split / f"{name}{IMG_SUFFIX}", quality=94)
            side_by_side = Image.fromarray(np.concatenate(list(planes), axis=1))
            side_by_side.save(root / "labels" / split / f"{name}{SEG_MAP_SUFFIX}")
    return ShapesDataset(root, LABELS, PALETTE, counts)


def read_planes(path: Path) -> NDArray[np.uint8]:
    """Return the planes (3, H, W) of a label file."""
    with Image.open(path) as image:
        return np.stack(np.split(np.array(image, np.uint8), len(LABELS), axis=1))


def _picture(rng: Rng, size: int) -> tuple[Image.Image, NDArray[np.uint8]]:
    canvas = _wall(rng, size)
    planes = np.zeros((len(LABELS), size, size), np.uint8)
    for label, name in enumerate(LABELS):
        if rng.random() < 0.9:
            cover = _coverage(rng, name, size)
            light = np.asarray(PALETTE[label], np.float64) * rng.uniform(0.55, 0.7)
            canvas += light * cover[..., None]
            planes[label][cover > 0.5] = 1
            planes[:, (cover > 0) & (cover < 1)] = IGNORED
    noisy = canvas + rng.normal(0, 4, canvas.shape)
    planes[:, (planes == IGNORED).any(0)] = IGNORED  # an edge counts for no label
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), planes


def _wall(rng: Rng, size: int) -> Pixels:
    cells = Image.fromarray((rng.random((6, 6)) * 255).astype(np.uint8))
    clouds = np.asarray(cells.resize((size, size), Image.Resampling.BICUBIC), np.float64) / 255
    return rng.uniform(24, 44, 3) + 36 * clouds[..., None]


def _coverage(rng: Rng, name: str, size: int) -> Pixels:
    """Return what share of each pixel a light covers."""
    large = size * _OVERSAMPLING
    mask = Image.new("L", (large, large))
    draw = ImageDraw.Draw(mask)
    x, y = rng.uniform(0.35, 0.65, 2) * large
    radius = rng.uniform(0.2, 0.3) * large
    if name == "spot":
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    else:
        corners = _corners(rng, name)
        draw.polygon([(x + u * radius, y + v * radius) for u, v in corners], fill=255)
    return np.asarray(mask.reduce(_OVERSAMPLING), np.float64) / 255


def _corners(rng: Rng, name: str) -> list[tuple[float, float]]:
    """Return a turned square, or a long bar, about the origin."""
    width, height = (1.0, 1.0) if name == "window" else (2.4, 0.5)
    turn = rng.uniform(0, np.pi)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    square = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [
        (u * width * cos - v * height * sin, u * width * sin + v * height * cos) for u, v in square
    ]
