"""Makes a small dataset: coloured shapes on textured backgrounds.

Everything follows from the seed, so that the demonstration and the tests need no download.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Callable, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color, LabelSpace

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
IGNORED_COLOR: Color = (236, 236, 236)

_OVERSAMPLING = 4
_MIN_SIZE = 32

Pixels = NDArray[np.float64]
Planes = NDArray[np.bool_]
Rng = np.random.Generator
#: Corners of a shape in the unit circle; none for a disc.
Outline = list[tuple[float, float]]
#: Draws an image and its label file.
Draw = Callable[[Rng], tuple[Image.Image, Image.Image]]


@dataclass(frozen=True)
class ShapesDataset:
    """A dataset on disk: ``images/{train,val}/*.jpg`` and ``labels/{train,val}/*.png``."""

    #: What a legend calls pixels that are predicted right, and wrong.
    verdicts: ClassVar[tuple[str, str]] = ("right", "wrong")

    root: Path
    classes: tuple[str, ...]  # in the order of their class indices; the first is the background
    palette: tuple[Color, ...]
    counts: Mapping[str, int]  # images in each split

    @property
    def labels(self) -> LabelSpace:
        """The classes as the rest of the package takes them."""
        return LabelSpace(self.classes, self.palette)

    def images(self, split: str) -> list[Path]:
        """Return the images of ``train`` or ``val``, in order."""
        return sorted((self.root / "images" / split).glob(f"*{IMG_SUFFIX}"))

    def label_of(self, image: Path) -> Path:
        """Return the label file that belongs to an image."""
        folder = self.root / "labels" / image.parent.name
        return folder / image.with_suffix(SEG_MAP_SUFFIX).name

    def label_planes(self, path: Path) -> tuple[Planes, Planes]:
        """Read a label file: where each class is (N, H, W), and what is ignored (H, W)."""
        values = read_values(path)
        return values == np.arange(len(self.classes))[:, None, None], values == IGNORED

    def predicted_planes(self, path: Path) -> Planes:
        """Read a prediction: where each class is (N, H, W)."""
        return self.label_planes(path)[0]

    def painted(self, planes: Planes) -> NDArray[np.uint8]:
        """Return an image (H, W, 3) of planes (N, H, W) in the colours of the classes."""
        image = np.full((*planes.shape[1:], 3), IGNORED_COLOR, np.uint8)
        for plane, color in zip(planes, self.palette):
            image[plane] = color
        return image


def read_values(path: Path) -> NDArray[Any]:
    """Return the values (H, W) of a grayscale or palette image."""
    with Image.open(path) as image:
        return np.array(image)


@dataclass(frozen=True)
class Shape:
    """Where a shape lies in an image, in pixels, and how far it is turned."""

    x: float
    y: float
    radius: float
    angle: float = 0.0


def make_shapes(
    root: Path, *, classes: int = 8, train: int = 24, val: int = 8, size: int = 128, seed: int = 0
) -> ShapesDataset:
    """Write the dataset below ``root``; the same arguments give the same files.

    Pixels in which the edge of a shape lies are 255 (ignored), as in PASCAL VOC. Every class
    occurs in a split that has at least ``(classes - 1) / 3`` images. Raises ``FixkitError`` where
    there are not so many shapes, or the size is too small to draw them.
    """
    if not 2 <= classes <= len(CLASSES):
        raise FixkitError(f"{classes} classes are asked for, but there are 2 to {len(CLASSES)}")

    def of_split(split: Rng) -> Draw:
        deck = _deck(split, classes)
        return lambda rng: _draw(rng, deck, size)

    counts = {"train": train, "val": val}
    write_splits(root, counts, size, seed, of_split)
    return ShapesDataset(root, CLASSES[:classes], PALETTE[:classes], counts)


def write_splits(
    root: Path, counts: Mapping[str, int], size: int, seed: int, of_split: Callable[[Rng], Draw]
) -> None:
    """Write images and label files; raise ``FixkitError`` if the size is too small for shapes."""
    if size < _MIN_SIZE:
        raise FixkitError(f"the size is {size} pixels, but shapes need at least {_MIN_SIZE}")
    for number, (split, count) in enumerate(counts.items()):
        images, labels = (root / kind / split for kind in ("images", "labels"))
        for folder in (images, labels):
            folder.mkdir(parents=True, exist_ok=True)
        draw = of_split(np.random.default_rng((seed, number)))
        for index in range(count):
            image, label = draw(np.random.default_rng((seed, number, index)))
            image.save(images / f"{split}_{index:03d}{IMG_SUFFIX}", quality=94)
            label.save(labels / f"{split}_{index:03d}{SEG_MAP_SUFFIX}")


def _deck(rng: Rng, classes: int) -> Iterator[int]:
    """Deal class indices, each once before any comes again."""
    while True:
        yield from (int(value) for value in rng.permutation(np.arange(1, classes)))


def _draw(rng: Rng, deck: Iterator[int], size: int) -> tuple[Image.Image, Image.Image]:
    canvas = _background(rng, size)
    label = np.zeros((size, size), np.uint8)
    placed: list[Shape] = []
    for value in islice(deck, int(rng.integers(3, 6))):
        placed.append(_place(rng, size, placed))
        cover = coverage(
            placed[-1], _OUTLINES[CLASSES[value]], size, _HOLES.get(CLASSES[value], 0.0)
        )
        canvas += (_surface(rng, value, size) - canvas) * cover[..., None]
        label[cover > 0] = IGNORED
        label[cover == 1] = value
    return with_noise(rng, canvas, 3), as_palette_image(label)


def _place(rng: Rng, size: int, others: list[Shape]) -> Shape:
    """Find room for a shape, making it smaller until it touches no other."""
    radius = rng.uniform(0.14, 0.24) * size
    while True:
        for _ in range(20):
            x, y = rng.uniform(radius, size - radius, 2)
            if all(math.hypot(x - o.x, y - o.y) > radius + o.radius for o in others):
                return Shape(x, y, radius, rng.uniform(0, 2 * math.pi))
        radius *= 0.9


def coverage(shape: Shape, outline: Outline, size: int, hole: float = 0.0) -> Pixels:
    """Return what share of each pixel (H, W) the shape covers: 1 inside, a fraction on its edge.

    A disc has no outline, and may have a hole: its radius as a share of the disc's own.
    """
    x, y, radius = (_OVERSAMPLING * v for v in (shape.x, shape.y, shape.radius))
    cos, sin = (f(shape.angle) * radius for f in (math.cos, math.sin))
    large = Image.new("L", (size * _OVERSAMPLING,) * 2)
    draw = ImageDraw.Draw(large)
    if outline:
        draw.polygon([(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in outline], fill=255)
    else:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    if hole:
        inner = radius * hole
        draw.ellipse((x - inner, y - inner, x + inner, y + inner), fill=0)
    return np.asarray(large.reduce(_OVERSAMPLING), np.float64) / 255


def _regular(corners: int, inner: float = 1.0) -> Outline:
    """Return a regular polygon, or a star: every second corner drawn in to ``inner``."""
    turns = [2 * math.pi * i / corners for i in range(corners)]
    radii = [inner if i % 2 else 1.0 for i in range(corners)]
    return [(r * math.cos(t), r * math.sin(t)) for r, t in zip(radii, turns)]


_OUTLINES: dict[str, Outline] = {
    "circle": [],
    "square": _regular(4),
    "triangle": _regular(3),
    "star": _regular(10, inner=0.45),
    "ring": [],
    "cross": [
        *((0.95, -0.3), (0.95, 0.3), (0.3, 0.3), (0.3, 0.95), (-0.3, 0.95), (-0.3, 0.3)),
        *((-0.95, 0.3), (-0.95, -0.3), (-0.3, -0.3), (-0.3, -0.95), (0.3, -0.95), (0.3, -0.3)),
    ],
    "hexagon": _regular(6),
}
_HOLES = {"ring": 0.52}


def _background(rng: Rng, size: int) -> Pixels:
    """Paint a dull gradient, striped or clouded."""
    first, second = (rng.uniform(60, 200) + rng.uniform(-26, 26, 3) for _ in range(2))
    ramp = _waves(rng, size) if rng.random() < 0.5 else clouds(rng, size)
    return first + (second - first) * ramp[..., None]


def _surface(rng: Rng, value: int, size: int) -> Pixels:
    """Paint the class's colour, with another tint and grain in every image."""
    color = np.asarray(PALETTE[value], np.float64) + rng.uniform(-18, 18, 3)
    return color * (0.82 + 0.36 * clouds(rng, size, cells=9))[..., None]


def _waves(rng: Rng, size: int) -> Pixels:
    y, x = np.mgrid[:size, :size] / size
    angle, count, phase = rng.uniform((0, 2, 0), (math.pi, 7, 2 * math.pi))
    along = x * math.cos(angle) + y * math.sin(angle)
    return np.asarray(0.5 + 0.5 * np.sin(2 * math.pi * count * along + phase))


def clouds(rng: Rng, size: int, cells: int = 5) -> Pixels:
    """Return a soft random texture (H, W) of 0 to 1."""
    coarse = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), np.float64) / 255


def with_noise(rng: Rng, canvas: Pixels, strength: float) -> Image.Image:
    """Return a canvas (H, W, 3) as an image with the noise of a camera."""
    noisy = canvas + rng.normal(0, strength, canvas.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def as_palette_image(label: NDArray[np.uint8]) -> Image.Image:
    """Return a label map as a palette image: gray for values that no class has."""
    unused = [(128, 128, 128)] * (IGNORED - len(PALETTE))
    image = Image.fromarray(label).convert("L")
    image.putpalette([v for color in (*PALETTE, *unused, IGNORED_COLOR) for v in color])
    return image
