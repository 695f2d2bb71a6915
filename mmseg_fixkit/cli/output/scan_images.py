"""Label files as small images, with the pixels at fault made to be seen."""

from __future__ import annotations

import io
import struct
import warnings
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from mmseg_fixkit.cli.output.scan_rows import color_of
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.datasets.stats import LabelStats

#: The bytes of a file; raises OSError where there is none.
Read = Callable[[str], bytes]

#: What marks a pixel at fault, and what surrounds it: one of the two is seen on any ground.
MARK: Color = (255, 0, 144)
_HALO: tuple[Color, ...] = ((255, 255, 255), (16, 16, 24))

#: A drawing fits this box, and its file this size.
BOX = (560, 420)
MOST_BYTES = 60_000

#: What Pillow raises for files that are none of its kind, cut off, or absurdly large.
_UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, MemoryError,
    struct.error, FixkitError,
)  # fmt: skip

#: The edge of a label map that has another size than its image.
FRAME: Color = (255, 221, 0)

_GROUND = 40
_DIMMED = 0.45
_TINTED = 0.5
_TINTED_ALONE = 0.72
#: With more of them marked, stripes leave something to see.
_TOO_MANY = 0.35
_STRIPE = 6
#: Marks that are fewer are drawn larger.
_FEW = 0.004

_ORIENTATION = 0x0112  # a tag of EXIF
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})

Pixels = NDArray[Any]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Photo:
    """An image to draw labels over."""

    grey: Image.Image  # perhaps smaller
    shape: tuple[int, int]  # height and width of the whole


@dataclass(frozen=True)
class Drawing:
    """A label file as an image to embed."""

    data: bytes
    kind: str  # image/webp or image/png
    width: int
    height: int
    marked: int  # how many pixels of the label file are marked in it
    with_image: bool  # whether the image is seen beneath
    framed: bool  # whether a frame shows where a label map of another size ends

    @property
    def url(self) -> str:
        """The image as a ``data:`` address."""
        return f"data:{self.kind};base64,{b64encode(self.data).decode()}"


def read_bytes(path: str) -> bytes:
    """Return what a local file holds."""
    with open(path, "rb") as file:
        return file.read()


def overlay(
    stats: LabelStats,
    label: str,
    image: Optional[str] = None,
    *,
    bad: Collection[int] = (),
    read: Read = read_bytes,
) -> Drawing:
    """Draw a label file over its image, dimmed, and mark its pixels with the values ``bad``.

    These are ``0xRRGGBB`` where the file holds colours, which are drawn as they are. An image that
    cannot be read is left out. FixkitError says why the label file cannot be drawn.
    """
    pixels = _label(label, read)
    marked = _marked(pixels, bad)
    ground = _image(image, read) if image else None
    drawing = _drawing(stats, pixels, marked, ground)
    data, kind, size = _encoded(drawing)
    framed = ground is not None and ground.shape != pixels.shape[:2]
    return Drawing(data, kind, *size, int(marked.sum()), ground is not None, framed)


def _label(path: str, read: Read) -> Pixels:
    """Return ``(H, W)`` values or ``(H, W, 3)`` colours."""
    try:
        with _opened(path, read) as file:
            if file.mode in {"L", "P", "1"} or file.mode.startswith(("I", "F")):
                return np.asarray(file).astype(np.int64, copy=False)
            return np.asarray(file.convert("RGB"))
    except Image.DecompressionBombError:
        raise FixkitError("it is too large") from None
    except _UNREADABLE:
        raise FixkitError("it cannot be read") from None


def _opened(path: str, read: Read) -> Image.Image:
    with warnings.catch_warnings():
        # Aerial images are large; what is beyond twice the limit still is an error.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(read(path)))


def _image(path: str, read: Read) -> Optional[Photo]:
    try:
        with _opened(path, read) as file:
            whole = file.size
            if file.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE:
                whole = whole[::-1]
            file.draft("RGB", (2 * BOX[0], 2 * BOX[1]))
            return Photo(ImageOps.exif_transpose(file).convert("L"), whole[::-1])
    except (*_UNREADABLE, Image.DecompressionBombError):
        return None


def _marked(pixels: Pixels, bad: Collection[int]) -> Bools:
    if not bad:
        return np.zeros(pixels.shape[:2], bool)
    if pixels.ndim == 3:
        pixels = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    return np.isin(pixels, list(bad))


def _drawing(stats: LabelStats, pixels: Pixels, marked: Bools, image: Optional[Photo]) -> Pixels:
    """Draw at the scale at which the larger of label and image fits the box."""
    whole = pixels.shape[:2]
    if image is not None:
        whole = (max(whole[0], image.shape[0]), max(whole[1], image.shape[1]))
    scale = min(1.0, BOX[0] / whole[1], BOX[1] / whole[0])
    rows, columns = (_edges(side, scale) for side in pixels.shape[:2])
    small = pixels[np.ix_(*map(_middles, (rows, columns)))]
    colors, tinted = _painted(stats, small)
    drawing = _ground(image, whole, scale)
    here = drawing[: len(rows) - 1, : len(columns) - 1]
    strength = (_TINTED if image else _TINTED_ALONE) * tinted[..., None]
    # A block is marked if any of its pixels is: a single one must not get lost.
    blocks = np.logical_or.reduceat(marked, rows[:-1], axis=0)
    blocks = np.logical_or.reduceat(blocks, columns[:-1], axis=1)
    tinted_here = here * (1 - strength) + colors * strength
    here[:] = _with_marks(tinted_here, blocks, maps=pixels.ndim == 2)
    if image is not None and image.shape != pixels.shape[:2]:
        _outline(drawing, len(rows) - 1, len(columns) - 1)
    return drawing.round().astype(np.uint8)


def _outline(drawing: Pixels, height: int, width: int) -> None:
    """Show where a label ends that has another size than its image."""
    drawing[max(0, height - 2) : height, :width] = FRAME
    drawing[:height, max(0, width - 2) : width] = FRAME


def _edges(side: int, scale: float) -> NDArray[np.int64]:
    """Return where blocks begin and end, each of which is a pixel of the drawing."""
    return np.linspace(0, side, _scaled(side, scale) + 1).astype(np.int64)


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))


def _middles(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    return (edges[:-1] + edges[1:]) // 2


def _painted(stats: LabelStats, pixels: Pixels) -> tuple[Pixels, Bools]:
    """Return a colour for each pixel, and where it counts: not on what is ignored."""
    if pixels.ndim == 3:
        return pixels, np.ones(pixels.shape[:2], bool)
    values, places = np.unique(pixels, return_inverse=True)
    labels = [_as_label(stats, int(value)) for value in values]
    table = np.array([color_of(stats, label) for label in labels], np.uint8)
    counts = np.array([label != stats.ignore_index for label in labels])
    places = places.reshape(pixels.shape)
    return table[places], counts[places]


def _as_label(stats: LabelStats, value: int) -> int:
    if not stats.reduce_zero_label:
        return value
    return stats.ignore_index if value in (0, 255) else value - 1


def _ground(image: Optional[Photo], whole: tuple[int, int], scale: float) -> Pixels:
    """Return what labels are drawn on: the dimmed image, or nothing but a dark grey."""
    height, width = (_scaled(side, scale) for side in whole)
    ground = np.full((height, width, 3), float(_GROUND))
    if image is not None:
        rows, columns = (_scaled(side, scale) for side in image.shape)
        grey = ImageOps.autocontrast(image.grey, cutoff=1).resize((columns, rows))
        ground[:rows, :columns] += np.asarray(grey, float)[..., None] * _DIMMED
    return ground


def _with_marks(drawing: Pixels, marks: Bools, *, maps: bool) -> Pixels:
    share = marks.mean()
    if share > _TOO_MANY:
        if not maps:
            return drawing  # all colours of a colour mask are at fault: they say so themselves
        rows, columns = np.indices(marks.shape)
        marks = marks & ((rows + columns) // _STRIPE % 2 == 0)
        return np.where(marks[..., None], MARK, drawing)
    larger = 2 if share < _FEW / 10 else 1 if share < _FEW else 0
    core = _grown(marks, larger)
    rings = [core]
    for _ in _HALO:
        rings.append(_grown(rings[-1], 1 + larger))
    for ring, color in zip(rings[:0:-1], _HALO[::-1]):
        drawing = np.where(ring[..., None], color, drawing)
    return np.where(core[..., None], MARK, drawing)


def _grown(mask: Bools, steps: int) -> Bools:
    for _ in range(steps):
        wide = np.pad(mask, 1)
        mask = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:] | mask
    return mask


def _encoded(drawing: Pixels) -> tuple[bytes, str, tuple[int, int]]:
    """Write a file that is small enough; small drawings are enlarged, so that pixels are seen."""
    image = Image.fromarray(drawing)
    scale = min(BOX[0] // image.width, BOX[1] // image.height)
    if scale > 1:
        image = ImageOps.scale(image, scale, Image.Resampling.NEAREST)
    data, kind = _written(image)
    while len(data) > MOST_BYTES:
        image = ImageOps.scale(image, 0.8)
        data, kind = _written(image)
    return data, kind, image.size


def _written(image: Image.Image) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    if not features.check("webp"):
        image.quantize(128).save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), "image/png"
    image.save(buffer, "WEBP", lossless=True, method=4)
    if buffer.tell() > MOST_BYTES:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=84, method=4)
    return buffer.getvalue(), "image/webp"
