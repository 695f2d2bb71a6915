"""Images of labels that overlap, in which each stays visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import cv2
import numpy as np
from mmengine.structures import PixelData
from mmseg.visualization import SegLocalVisualizer
from numpy.typing import NDArray

from mmseg_fixkit.datasets.label_bits import Map, Planes, unpack

Image = NDArray[np.uint8]
Color = Sequence[int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX


class MultiLabelLocalVisualizer(SegLocalVisualizer):
    """``SegLocalVisualizer`` for maps of label bits.

    Labels are filled translucently, with an outline in their full colour. Where several lie on each
    other their colours alternate in stripes, and along a shared outline in dashes.

    Args:
        name: of the instance.
        classes: the labels; a run sets them, with the colours, from its dataset.
        palette: a colour for each.
        alpha: how opaque the fills are.
        options: as in ``SegLocalVisualizer``.
    """

    def __init__(
        self,
        name: str = "visualizer",
        *,
        classes: Optional[list[str]] = None,
        palette: Optional[list[Color]] = None,
        alpha: float = 0.45,
        **options: Any,
    ) -> None:
        super().__init__(name, alpha=alpha, **options)
        # SegLocalVisualizer.__init__ passes the two on in the wrong order.
        self.set_dataset_meta(classes, palette, options.get("dataset_name"))

    def _draw_sem_seg(
        self,
        image: Image,
        sem_seg: PixelData,
        classes: Sequence[str],
        palette: Sequence[Color],
        with_labels: Optional[bool] = True,
    ) -> Image:
        planes, _ = unpack(_array(sem_seg), len(classes))
        drawn = draw_labels(image, planes, palette, self.alpha)
        if with_labels:
            drawn = write_names(drawn, planes, classes, palette)
        self.set_image(drawn)
        return drawn


def _array(sem_seg: PixelData) -> Map:
    data = sem_seg.data
    array: Map = data if isinstance(data, np.ndarray) else data.cpu().numpy()
    return array.view(np.uint16)[0] if array.dtype == np.int16 else array[0]


def draw_labels(
    image: Image, planes: Planes, palette: Sequence[Color], alpha: float = 0.45
) -> Image:
    """Return the image (H, W, 3) with planes (L, H, W) in the colours of ``palette``."""
    colors = np.array(palette, np.float64)
    stripe = max(4, min(image.shape[:2]) // 32)
    drawn = image.astype(np.float64)
    for kind, opacity in ((planes, alpha), (_outlines(planes, stripe), 1.0)):
        top = striped(kind, stripe)
        on = top >= 0
        drawn[on] += opacity * (colors[top[on]] - drawn[on])
    return drawn.round().astype(np.uint8)


def striped(planes: Planes, stripe: int) -> NDArray[np.int64]:
    """Return the label to show at each pixel, -1 for none.

    Where n labels are on, each has every n-th of diagonal stripes that many pixels wide.
    """
    height, width = planes.shape[1:]
    count = planes.sum(0)
    rank = planes.cumsum(0) - 1
    number = np.add.outer(np.arange(height), np.arange(width)) // stripe
    shown = planes & (rank == number % np.maximum(count, 1))
    return np.where(shown.any(0), shown.argmax(0), -1)


def _outlines(planes: Planes, stripe: int) -> Planes:
    """Return the pixels of each plane that are near its edge."""
    size = 2 * max(1, stripe // 4) + 1
    kernel = np.ones((size, size), np.uint8)
    inner = [cv2.erode(p.astype(np.uint8), kernel, borderValue=1) for p in planes]
    return planes & ~np.array(inner, bool)


def write_names(
    image: Image, planes: Planes, names: Sequence[str], palette: Sequence[Color]
) -> Image:
    """Return the image with the name of each label that is on, none above another."""
    drawn = np.ascontiguousarray(image)
    scale = max(0.35, min(image.shape[:2]) / 700)
    taken: list[tuple[int, int, int, int]] = []
    for plane, name, color in zip(planes, names, palette):
        if plane.any():
            (width, height), below = cv2.getTextSize(name, _FONT, scale, 1)
            box = _free(_inside(plane), (width + 4, height + below + 2), drawn.shape, taken)
            taken.append(box)
            _write(drawn, name, box, color, scale, below)
    return drawn


def _inside(plane: NDArray[np.bool_]) -> tuple[int, int]:
    """Return (x, y) of the pixel that is furthest from the edge of a plane."""
    padded = np.pad(plane.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x) - 1, int(y) - 1


def _free(
    center: tuple[int, int],
    size: tuple[int, int],
    shape: Sequence[int],
    taken: Sequence[tuple[int, int, int, int]],
) -> tuple[int, int, int, int]:
    """Return a box (x, y, width, height) about a place, moved down past those that are taken."""
    width, height = size
    x = min(max(0, center[0] - width // 2), max(0, shape[1] - width))
    y = min(max(0, center[1] - height // 2), max(0, shape[0] - height))
    for other in sorted(taken, key=lambda box: box[1]):
        beside = x + width <= other[0] or other[0] + other[2] <= x
        if not beside and y < other[1] + other[3] and other[1] < y + height:
            y = other[1] + other[3]
    return x, y, width, height


def _write(
    image: Image,
    name: str,
    box: tuple[int, int, int, int],
    color: Color,
    scale: float,
    below: int,
) -> None:
    x, y, width, height = box
    shade = [int(c) for c in color]
    cv2.rectangle(image, (x, y), (x + width, y + height), shade, -1)
    bright = 0.299 * shade[0] + 0.587 * shade[1] + 0.114 * shade[2] > 140
    ink = (0, 0, 0) if bright else (255, 255, 255)
    place = (x + 2, y + height - below)
    cv2.putText(image, name, place, _FONT, scale, ink, 1, cv2.LINE_AA)
