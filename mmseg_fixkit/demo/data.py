"""Makes a small segmentation data set: coloured shapes on textured backgrounds.

Everything follows from the seed, so that the demonstration and the tests need no download.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.labels import Color, LabelSpace

CLASSES = ("background", "circle", "square", "triangle", "star", "ring", "cross", "hexagon")
PALETTE: tuple[Color, ...] = (
    (38, 40, 52),
    (214, 44, 64),
    (52, 114, 232),
    (250, 216, 64),
    (160, 74, 214),
    (40, 178, 96),
    (246, 122, 24),
    (48, 196, 212),
)
IMG_SUFFIX = ".jpg"
SEG_MAP_SUFFIX = ".png"
IGNORED = 255

_IGNORED_COLOR = (236, 236, 236)
_OVERSAMPLING = 4
_MIN_SIZE = 32

Pixels = NDArray[np.float64]
Rng = np.random.Generator
#: Corners of a shape in the unit circle.
Outline = list[tuple[float, float]]


@dataclass(frozen=True)
class ShapesDataset:
    """A data set on disk: ``images/{train,val}/*.jpg`` and ``labels/{train,val}/*.png``.

    Args:
        root: the folder that holds ``images`` and ``labels``.
        classes: names in the order of their label values; the first is the background.
        palette: one colour for each class.
        counts: images in each split.
    """

    root: Path
    classes: tuple[str, ...]
    palette: tuple[Color, ...]
    counts: Mapping[str, int]

    @property
    def labels(self) -> LabelSpace:
        """The classes as the rest of the package takes them."""
        return LabelSpace(self.classes, self.palette)

    def images(self, split: str) -> list[Path]:
        """Return the images of ``train`` or ``val``, in order."""
        return sorted((self.root / "images" / split).glob(f"*{IMG_SUFFIX}"))

    def label_of(self, image: Path) -> Path:
        """Return the label map that belongs to an image."""
        folder = self.root / "labels" / image.parent.name
        return folder / image.with_suffix(SEG_MAP_SUFFIX).name


@dataclass(frozen=True)
class _Placed:
    """One shape of a picture, in pixels."""

    value: int
    x: float
    y: float
    radius: float
    angle: float


def make_shapes(
    root: Path, *, classes: int = 8, train: int = 24, val: int = 8, size: int = 128, seed: int = 0
) -> ShapesDataset:
    """Write the data set below ``root``; the same arguments give the same files.

    Pixels in which the edge of a shape lies are 255 (ignored), as in PASCAL VOC. Every class
    occurs in a split that has at least ``(classes - 1) / 3`` images.

    Raises:
        FixkitError: there are not so many shapes, or the size is too small to draw them.
    """
    if not 2 <= classes <= len(CLASSES):
        raise FixkitError(f"{classes} classes are asked for, but there are 2 to {len(CLASSES)}")
    if size < _MIN_SIZE:
        raise FixkitError(f"the size is {size} pixels, but shapes need at least {_MIN_SIZE}")
    counts = {"train": train, "val": val}
    for number, (split, count) in enumerate(counts.items()):
        deck = _deck(np.random.default_rng((seed, number)), classes)
        for index in range(count):
            rng = np.random.default_rng((seed, number, index))
            image, label = _picture(rng, deck, size)
            _save(root, split, f"{split}_{index:03d}", image, label)
    return ShapesDataset(root, CLASSES[:classes], PALETTE[:classes], counts)


def _deck(rng: Rng, classes: int) -> Callable[[int], list[int]]:
    """Return a function that deals class values, each once before any comes again."""
    waiting: list[int] = []

    def deal(count: int) -> list[int]:
        while len(waiting) < count:
            waiting.extend(int(v) for v in rng.permutation(np.arange(1, classes)))
        dealt = waiting[:count]
        del waiting[:count]
        return dealt

    return deal


def _picture(
    rng: Rng, deal: Callable[[int], list[int]], size: int
) -> tuple[Image.Image, Image.Image]:
    canvas = _background(rng, size)
    label = np.zeros((size, size), np.uint8)
    placed: list[_Placed] = []
    for value in deal(int(rng.integers(3, 6))):
        shape = _place(rng, value, size, placed)
        placed.append(shape)
        cover = _coverage(shape, size)
        canvas += (_surface(rng, shape, size) - canvas) * cover[..., None]
        label[cover > 0] = IGNORED
        label[cover == 1] = value
    noisy = canvas + rng.normal(0, 3, canvas.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), _indexed(label)


def _place(rng: Rng, value: int, size: int, others: list[_Placed]) -> _Placed:
    """Find room for a shape, making it smaller until it touches no other."""
    radius = rng.uniform(0.14, 0.24) * size
    while True:
        for _ in range(20):
            x, y = rng.uniform(radius, size - radius, 2)
            if all(math.hypot(x - o.x, y - o.y) > radius + o.radius for o in others):
                return _Placed(value, x, y, radius, rng.uniform(0, 2 * math.pi))
        radius *= 0.9


def _coverage(shape: _Placed, size: int) -> Pixels:
    """Return what share of each pixel the shape covers: 1 inside, a fraction on its edge."""
    large = Image.new("L", (size * _OVERSAMPLING,) * 2)
    draw = ImageDraw.Draw(large)
    name = CLASSES[shape.value]
    if name in ("circle", "ring"):
        _disc(draw, shape, 1.0, 255)
        if name == "ring":
            _disc(draw, shape, 0.52, 0)
    else:
        draw.polygon(_corners(shape, _OUTLINES[name]), fill=255)
    return np.asarray(large.reduce(_OVERSAMPLING), np.float64) / 255


def _disc(draw: ImageDraw.ImageDraw, shape: _Placed, share: float, fill: int) -> None:
    x, y, r = (_OVERSAMPLING * v for v in (shape.x, shape.y, shape.radius * share))
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _corners(shape: _Placed, outline: Outline) -> list[tuple[float, float]]:
    cos, sin = (f(shape.angle) * shape.radius for f in (math.cos, math.sin))
    return [
        (
            _OVERSAMPLING * (shape.x + cos * u - sin * v),
            _OVERSAMPLING * (shape.y + sin * u + cos * v),
        )
        for u, v in outline
    ]


def _regular(corners: int, inner: float = 1.0) -> Outline:
    """Return a regular polygon, or a star: every second corner drawn in to ``inner``."""
    turns = [2 * math.pi * i / corners for i in range(corners)]
    radii = [inner if i % 2 else 1.0 for i in range(corners)]
    return [(r * math.cos(t), r * math.sin(t)) for r, t in zip(radii, turns)]


def _cross(arm: float = 0.3, reach: float = 0.95) -> Outline:
    quarter = [(reach, -arm), (reach, arm), (arm, arm)]
    points = []
    for _ in range(4):
        points += quarter
        quarter = [(-v, u) for u, v in quarter]
    return points


_OUTLINES: dict[str, Outline] = {
    "square": _regular(4),
    "triangle": _regular(3),
    "star": _regular(10, inner=0.45),
    "cross": _cross(),
    "hexagon": _regular(6),
}


def _background(rng: Rng, size: int) -> Pixels:
    """Paint a dull gradient, striped or clouded."""
    first, second = (_dull(rng) for _ in range(2))
    ramp = _waves(rng, size) if rng.random() < 0.5 else _clouds(rng, size)
    return first + (second - first) * ramp[..., None]


def _dull(rng: Rng) -> Pixels:
    return rng.uniform(60, 200) + rng.uniform(-26, 26, 3)


def _surface(rng: Rng, shape: _Placed, size: int) -> Pixels:
    """Paint the class's colour, with another tint and grain in every picture."""
    color = np.asarray(PALETTE[shape.value], np.float64) + rng.uniform(-18, 18, 3)
    grain = 0.82 + 0.36 * _clouds(rng, size, cells=9)
    return color * grain[..., None]


def _waves(rng: Rng, size: int) -> Pixels:
    y, x = np.mgrid[:size, :size] / size
    angle, count, phase = rng.uniform((0, 2, 0), (math.pi, 7, 2 * math.pi))
    along = x * math.cos(angle) + y * math.sin(angle)
    return np.asarray(0.5 + 0.5 * np.sin(2 * math.pi * count * along + phase))


def _clouds(rng: Rng, size: int, cells: int = 5) -> Pixels:
    coarse = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float64) / 255


def _indexed(label: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(label).convert("L")
    image.putpalette([v for color in full_palette(PALETTE) for v in color])
    return image


def full_palette(palette: tuple[Color, ...]) -> list[Color]:
    """Fill up to 256 colours: grey for values that no class has, light for ignored."""
    unused = [(128, 128, 128)] * (IGNORED - len(palette))
    return [*palette, *unused, _IGNORED_COLOR]


def _save(root: Path, split: str, name: str, image: Image.Image, label: Image.Image) -> None:
    for kind in ("images", "labels"):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
    image.save(root / "images" / split / f"{name}{IMG_SUFFIX}", quality=94)
    label.save(root / "labels" / split / f"{name}{SEG_MAP_SUFFIX}")
