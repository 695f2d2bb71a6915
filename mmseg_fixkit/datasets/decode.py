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
    """The pixels of a file.

    Args:
        array: ``(H, W)`` values, or ``(H, W, C)`` colours with red first.
        mode: as Pillow names it.
        format: likewise.
        palette: red, green, blue of each index; empty for files without a palette.
    """

    array: Array
    mode: str
    format: str
    palette: bytes = b""


def decode(data: bytes, backend: str = "pillow") -> Decoded:
    """Return the pixels of a file, as mmcv's decoder of that name gives them.

    Args:
        data: the file.
        backend: what ``imdecode_backend`` names: pillow, cv2 or tifffile.

    Raises:
        Exception: whatever the decoder raises where it cannot; or a PNG file lacks rows.
    """
    return _DECODERS[backend](data)


def check_backend(backend: str) -> None:
    """Make sure that files can be decoded as ``imdecode_backend`` says.

    What is imported here, workers that are forked later inherit.

    Raises:
        FixkitError: there is no such decoder, or it is not installed.
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
    """Return the size of the image in an open binary file; its pixels are not read.

    Raises:
        Exception: whatever Pillow raises where the file is no image.
    """
    with Image.open(file) as image:
        # Without EXIF data before the pixels, `getexif` of a PNG file would decode them.
        turnable = image.format in _TURNED and "exif" in image.info
        sideways = turnable and image.getexif().get(_ORIENTATION) in _SIDEWAYS
        return Size(image.height, image.width, sideways)


# --- as Pillow ----------------------------------------------------------------------------------


def _as_pillow(data: bytes) -> Decoded:
    with Image.open(BytesIO(data)) as image:
        mode, kind = image.mode, image.format or ""
        if kind == "PNG" and mode in _ONE_CHANNEL and data[24] in _DEPTHS:
            palette = image.palette.palette if image.palette else b""
            found = _by_opencv(data, image.size[::-1], _DEPTHS[data[24]])
            if found is not None:
                return Decoded(found, mode, kind, bytes(palette))
        array = np.array(image)
        palette = bytes(image.getpalette("RGB") or ()) if mode == "P" else b""
        if array.ndim == 3 and mode not in ("RGB", "RGBA", "LA"):
            array = np.array(image.convert("RGB"))
    if kind == "PNG" and _lacks_rows(data):
        raise ValueError("truncated: rows are missing")  # Pillow fills them with zeros
    return Decoded(array, mode, kind, palette)


#: PNG files of one channel: modes as Pillow names them, and types by their bit depth.
_ONE_CHANNEL = frozenset(("L", "P", "I;16"))
_DEPTHS: dict[int, type[np.unsignedinteger[Any]]] = {8: np.uint8, 16: np.uint16}


def _by_opencv(data: bytes, shape: tuple[int, ...], kind: type) -> Optional[Array]:
    """Return the pixels of a PNG file of one channel; None where it is damaged or unusual.

    libpng, which OpenCV decodes with, takes no file with too few rows.
    """
    cv2 = _installed("cv2")
    plain = _as_grey(data) if cv2 else b""
    if not plain:
        return None
    try:
        array: Any = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # larger than OpenCV reads
        return None
    return array if np.shape(array) == shape and array.dtype == kind else None


def _as_grey(data: bytes) -> bytes:
    """Return header and pixels of a PNG file of one channel as one of grey levels.

    So OpenCV gives the indices of a palette, and does not complain of other chunks on stderr.
    Nothing is returned where a chunk is damaged, or others than the end follow the pixels.
    """
    pixels: list[bytes] = []
    for name, content, whole in _chunks(data):
        if not whole or (pixels and name not in (b"IDAT", b"IEND")):
            break
        if name == b"IDAT":
            pixels.append(png_chunk(name, content))
        if name == b"IEND":
            header = png_chunk(b"IHDR", data[16:25] + b"\0" + data[26:29])
            return b"".join((PNG_SIGNATURE, header, *pixels, png_chunk(b"IEND", b"")))
    return b""


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    crc = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield name and content of the chunks of a PNG file, and whether the checksum is right."""
    at = 8
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        crc = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        yield data[at + 4 : at + 8], data[at + 8 : end], data[end : end + 4] == crc
        at = end + 4


#: Channels of PNG files by their colour type.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: First row, first column, and steps of the passes that a file is stored in.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
_ADAM7 = (*_PASSES, (1, 0, 2, 1))
_IN_ONE = ((0, 0, 1, 1),)


def _lacks_rows(data: bytes) -> bool:
    """Whether a PNG file that Pillow reads without complaint ends before its last row.

    Raises:
        zlib.error: its pixels are damaged.
    """
    width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    needed = 0
    for row, column, down, right in _ADAM7 if interlaced else _IN_ONE:
        rows, columns = -(-(height - row) // down), -(-(width - column) // right)
        if columns > 0:
            needed += max(0, rows) * (1 + -(-columns * depth * _CHANNELS[color] // 8))
    rest = b"".join(content for name, content, _ in _chunks(data) if name == b"IDAT")
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
