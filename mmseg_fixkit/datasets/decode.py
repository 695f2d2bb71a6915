"""The bytes of a label file -> its values as the pipeline's decoder gives them.

The host decodes with ``mmcv.imfrombytes(content, flag="unchanged", backend=imdecode_backend)``.
What Pillow would give of an ordinary label map comes from OpenCV, where it is installed: the same
values, faster.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError

Array = NDArray[Any]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

#: Modes of colour files by their channels, for decoders that do not name them.
_MODES = {2: "LA", 3: "RGB", 4: "RGBA"}
_MODES_OF_MAPS = {"bool": "1", "uint8": "L", "uint16": "I;16", "float32": "F", "float64": "F"}

_ORIENTATION = 0x0112
#: What mmcv's loader turns as EXIF data says (OpenCV 5.0, Pillow 13). TIFF's own tag is a part of
#: the format: Pillow and OpenCV always obey it.
_TURNED = frozenset(("JPEG", "MPO", "PNG", "WEBP"))
#: Orientations of EXIF that put an image on its side.
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class Decoded:
    """The pixels of a file."""

    array: Array  # ``(H, W)`` values, or ``(H, W, C)`` colours with red first
    mode: str  # as Pillow names it
    format: str  # likewise
    palette: bytes = b""  # red, green, blue of each index; empty without a palette


def decode(data: bytes, backend: str = "pillow") -> Decoded:
    """Return the pixels of a file, as mmcv's decoder (pillow, cv2 or tifffile) gives them.

    Raises whatever the decoder does, and also for a PNG file that lacks rows.
    """
    return _DECODERS[backend](data)


def check_backend(backend: str) -> None:
    """Raise FixkitError where the decoder that ``imdecode_backend`` names is not there.

    What is imported here, workers that are forked later inherit.
    """
    if backend not in _DECODERS:
        known = ", ".join(_DECODERS)
        raise FixkitError(
            f"imdecode_backend is {backend!r}, but label maps can be decoded by {known} "
            "(mmcv.imfrombytes with flag='unchanged')"
        )
    _installed("cv2")
    if _installed(_NEEDS[backend]) is None:
        raise FixkitError(
            f"imdecode_backend is {backend!r}, but {_NEEDS[backend]} is not installed here; "
            "training needs it too"
        )


@cache
def _installed(name: str) -> Any:
    """Return a module; None where it is not installed, or broken."""
    try:
        return import_module(name)
    except Exception:
        return None


# --- the size alone -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """The size of an image as stored, and whether its EXIF data turns it on its side."""

    height: int
    width: int
    sideways: bool = False

    def shape(self, turns: bool = True) -> tuple[int, int]:
        """Return height and width as a loader gives them that turns images, or does not."""
        if self.sideways and turns:
            return self.width, self.height
        return self.height, self.width


def image_size(file: Any) -> Size:
    """Return the size of the image in an open binary file, without reading its pixels.

    Raises whatever Pillow does where the file is no image.
    """
    with Image.open(file) as image:
        # Without EXIF data before the pixels, `getexif` of a PNG file would decode them.
        turnable = image.format in _TURNED and "exif" in image.info
        sideways = turnable and image.getexif().get(_ORIENTATION) in _SIDEWAYS
        return Size(image.height, image.width, sideways)


# --- as Pillow ----------------------------------------------------------------------------------


def _as_pillow(data: bytes) -> Decoded:
    found = _plain_png(data)
    if found is not None:
        return found
    with Image.open(BytesIO(data)) as image:
        mode, kind = image.mode, image.format or ""
        array = np.array(image)
        palette = bytes(image.getpalette("RGB") or ()) if mode == "P" else b""
        if array.ndim == 3 and mode not in ("RGB", "RGBA", "LA"):
            array = np.array(image.convert("RGB"))
    if kind == "PNG" and _lacks_rows(data):
        raise ValueError("truncated: rows are missing")  # Pillow fills them with zeros
    return Decoded(array, mode, kind, palette)


#: Bit depth and colour type of PNG files of one channel -> mode as Pillow names it, and type.
_PLAIN: dict[bytes, tuple[str, type]] = {
    b"\x08\x00": ("L", np.uint8),
    b"\x08\x03": ("P", np.uint8),
    b"\x10\x00": ("I;16", np.uint16),
}


def _plain_png(data: bytes) -> Optional[Decoded]:
    """Return the pixels of a PNG file of one channel; None where it is damaged or unusual.

    OpenCV decodes it: its libpng takes no file with too few rows. It gets header and pixels alone,
    as grey levels: so it gives the indices of a palette, and does not complain of other chunks.
    Raises whatever Pillow does where it does not take those.
    """
    cv2 = _installed("cv2")
    mode, kind = _PLAIN.get(data[24:26], ("", object))
    if not (cv2 and mode and data.startswith(PNG_SIGNATURE)):
        return None
    chunks = list(_chunks(data))
    names = [name for name, _, _ in chunks]
    width, height = struct.unpack_from(">II", data, 16)
    large = width * height > (Image.MAX_IMAGE_PIXELS or width * height)
    pixels = names.count(b"IDAT")
    if large or not pixels or names[-pixels - 1 :] != [b"IDAT"] * pixels + [b"IEND"]:
        return None
    if not {*names} <= {b"IHDR", b"PLTE", b"IDAT", b"IEND"}:
        Image.open(BytesIO(data)).close()
    header = png_chunk(b"IHDR", data[16:25] + b"\0" + data[26:29])
    plain = PNG_SIGNATURE + header + data[chunks[-pixels - 1][1] - 8 : chunks[-1][2] + 4]
    try:
        array: Any = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # larger than OpenCV reads
        return None
    if np.shape(array) != (height, width) or array.dtype != kind:
        return None
    palette = next((data[at:end] for name, at, end in chunks if name == b"PLTE"), b"")
    return Decoded(array, mode, "PNG", palette if mode == "P" else b"")


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    crc = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the names of a PNG file's chunks, and where their content begins and ends.

    They end with ``IEND``, or before one whose checksum is wrong.
    """
    at, name = len(PNG_SIGNATURE), b""
    while name != b"IEND" and at + 8 <= len(data):
        start, end = at + 8, at + 8 + int.from_bytes(data[at : at + 4], "big")
        name, at = data[at + 4 : start], end + 4
        if data[end:at] != zlib.crc32(data[start - 4 : end]).to_bytes(4, "big"):
            return
        yield name, start, end


#: Channels of PNG files by their colour type.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: First row, first column, and steps of the passes that an interlaced file is stored in.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_ADAM7 = (*_PASSES, (1, 0, 2, 1))


def _lacks_rows(data: bytes) -> bool:
    """Whether a PNG file that Pillow reads ends before its last row; zlib.error if damaged."""
    width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    needed = 0
    for row, column, down, right in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        rows, columns = -(-(height - row) // down), -(-(width - column) // right)
        if columns > 0:
            needed += max(0, rows) * (1 + -(-columns * depth * _CHANNELS[color] // 8))
    rest = b"".join(data[at:end] for name, at, end in _chunks(data) if name == b"IDAT")
    inflater = zlib.decompressobj()
    while needed and (part := inflater.decompress(rest, min(needed, 1 << 20))):
        needed -= len(part)
        rest = inflater.unconsumed_tail
    return needed > 0


# --- as the others ------------------------------------------------------------------------------


def _as_opencv(data: bytes) -> Decoded:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        _as_pillow(data)  # it may say why
        raise ValueError("OpenCV cannot decode it, though Pillow can")
    mode, kind = _name(data)
    if array.ndim == 2:
        return Decoded(array, mode if mode in ("1", "L") else _mode(array), kind)
    return Decoded(array[:, :, [2, 1, 0, 3][: array.shape[2]]], mode or _mode(array), kind)


def _name(data: bytes) -> tuple[str, str]:
    """Return mode and format of a file as Pillow names them; empty where it does not know it."""
    try:
        with Image.open(BytesIO(data)) as image:
            return image.mode, image.format or ""
    except Exception:
        return "", ""


def _as_tifffile(data: bytes) -> Decoded:
    import tifffile

    array = tifffile.imread(BytesIO(data)).squeeze()
    return Decoded(array, _mode(array), "TIFF")


def _mode(array: Array) -> str:
    if array.ndim == 3:
        return _MODES.get(array.shape[2], f"{array.shape[2]} channels")
    return _MODES_OF_MAPS.get(array.dtype.name, "I")


_DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    "pillow": _as_pillow,
    "cv2": _as_opencv,
    "tifffile": _as_tifffile,
}
_NEEDS = {"pillow": "PIL", "cv2": "cv2", "tifffile": "tifffile"}
