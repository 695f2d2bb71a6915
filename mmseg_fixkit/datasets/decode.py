"""The bytes of a label file -> its values as the pipeline's decoder gives them.

The host decodes with ``mmcv.imfrombytes(content, flag="unchanged", backend=imdecode_backend)``.
What Pillow would give of an ordinary label map comes from OpenCV, where it is installed: the same
values, faster.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.palettes import pack_image

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

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
    library: str = "pillow"  # what decoded it, which may be faster than the backend: cv2, …


def decode(data: bytes, backend: str = "pillow") -> Decoded:
    """Return the pixels of a file, as mmcv's decoder (pillow, cv2 or tifffile) gives them.

    Raises whatever the decoder does, and also where the file lacks pixels, which decoders leave as
    the memory was, or fill with zeros.
    """
    found = _DECODERS[backend](data)
    shape = found.array.shape
    if len(shape) not in (2, 3) or not found.array.size:
        raise ValueError(f"its pixels have the shape {shape}, but a map has height and width")
    return found


def decode_again(data: bytes, library: str) -> Decoded:
    """Return the pixels of a file as another library than ``library`` decodes them.

    That is OpenCV, or Pillow where OpenCV was first or is not installed. Raises whatever it does.
    Of pixels that are missing, Pillow's are zeros, which OpenCV's are held against.
    """
    if library == "cv2" or _installed("cv2") is None:
        return _by_pillow(data, check=library != "cv2")
    return _plain_png(data) or _as_opencv(data)


def same_pixels(one: Decoded, other: Decoded) -> bool:
    """Whether two libraries read the same: values, or the colours that these stand for."""
    a, b = one.array, other.array
    if a.ndim == b.ndim == 2:
        if bool in (a.dtype, b.dtype):  # OpenCV shows the 1 of one bit as 255
            a, b = a != 0, b != 0
        return np.array_equal(a, b)
    if a.shape[:2] != b.shape[:2]:
        return False
    return np.array_equal(_colors(one), _colors(other))


def _colors(found: Decoded) -> Array:
    """Return ``(H, W)`` of ``0xRRGGBB``; of parts of 16 bit, the high byte counts."""
    array = found.array
    if array.ndim == 2:
        grey = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
        colors = np.frombuffer(found.palette.ljust(768, b"\0"), np.uint8).reshape(-1, 3)
        array = (colors if found.palette else grey)[array.astype(np.uint8)]
    packed: Array = pack_image(array >> 8 if array.dtype == np.uint16 else array)
    return packed


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
    return _plain_png(data) or _by_pillow(data)


def _by_pillow(data: bytes, check: bool = True) -> Decoded:
    with Image.open(BytesIO(data)) as image:
        mode, kind = image.mode, image.format or ""
        if check and kind == "PNG":  # of which Pillow fills what is missing with zeros
            _check_rows(data, image)
        _check_strips(data)
        image.load()
        palette = bytes(image.getpalette("RGB") or ()) if mode == "P" else b""
        unusual = len(image.getbands()) > 1 and mode not in ("RGB", "RGBA", "LA")
        return Decoded(_pixels(image.convert("RGB") if unusual else image), mode, kind, palette)


#: Pixels of a large image that Pillow hands over at once: it copies them twice.
_BAND = 1 << 22


def _pixels(image: Image.Image) -> Array:
    """Return the pixels of an image; the memory for a large one is filled from top to bottom."""
    width, height = image.size
    rows = max(1, _BAND // width)
    if rows >= height:
        return np.array(image)
    first = np.asarray(image.crop((0, 0, width, rows)))
    array = np.zeros((height, *first.shape[1:]), first.dtype)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        array[top:bottom] = np.asarray(image.crop((0, top, width, bottom)))
    return array


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
    parts = _plain_parts(data, mode) if cv2 and mode and data.startswith(PNG_SIGNATURE) else None
    if parts is None:
        return None
    plain, palette = parts
    try:
        array: Any = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # larger than OpenCV reads
        return None
    width, height = struct.unpack_from(">II", data, 16)
    if np.shape(array) != (height, width) or array.dtype != kind:
        return None
    return Decoded(array, mode, "PNG", palette if mode == "P" else b"", "cv2")


def _plain_parts(data: bytes, mode: str) -> Optional[tuple[bytes, bytes]]:
    """Return a PNG file of header and pixels alone, and its palette; None where it is unusual.

    Raises whatever Pillow does where it does not take what else there is.
    """
    chunks = list(_chunks(data))
    names = [name for name, _, _ in chunks]
    pixels = names.count(b"IDAT")
    before = names[1 : -pixels - 1]
    if not pixels or names != [b"IHDR", *before, *[b"IDAT"] * pixels, b"IEND"]:
        return None
    size = width, height = struct.unpack_from(">II", data, 16)
    if width * height > (Image.MAX_IMAGE_PIXELS or width * height):
        return None
    palettes = [data[at:end] for name, at, end in chunks if name == b"PLTE"]
    if len(palettes) > 1 or any(len(p) % 3 or not 0 < len(p) <= 768 for p in palettes):
        return None
    if len(before) > len(palettes) and not _is_plain(data, size, mode):
        return None
    header = png_chunk(b"IHDR", data[16:25] + b"\0" + data[26:29])
    stored = data[chunks[-pixels - 1][1] - 8 : chunks[-1][2] + 4]
    return PNG_SIGNATURE + header + stored, b"".join(palettes)


def _is_plain(data: bytes, size: tuple[int, int], mode: str) -> bool:
    """Whether Pillow takes a PNG file with more chunks, and decodes it as one without them.

    A frame of an animation may be smaller, and a text may be called ``interlace``. Raises whatever
    Pillow does.
    """
    with Image.open(BytesIO(data)) as image:
        interlaced = bool(image.info.get("interlace"))
        return (image.size, image.mode, image.tile[0][1], interlaced) == (
            size, mode, (0, 0, *size), data[28] != 0,
        )  # fmt: skip


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


def _check_rows(data: bytes, image: ImageFile) -> None:
    """Raise ValueError for a PNG file that Pillow opens, but that ends before its last row.

    Raises ``zlib.error`` where its pixels are damaged.
    """
    chunks = list(_chunks(data))
    names = [name for name, _, _ in chunks]
    first = names.index(b"IDAT") if b"IDAT" in names else len(names)
    headers = [at for name, at, _ in chunks[:first] if name == b"IHDR"]
    if image.tile[0][1] != (0, 0, *image.size) or not headers:
        raise ValueError("its pixels are those of another size")
    depth, color = data[headers[-1] + 8 : headers[-1] + 10]
    rest = b"".join(data[at:end] for name, at, end in chunks if name == b"IDAT")
    needed = _stored_bytes(image, depth * _CHANNELS[color])
    inflater = zlib.decompressobj()
    while needed and (part := inflater.decompress(rest, min(needed, 1 << 20))):
        needed -= len(part)
        rest = inflater.unconsumed_tail
    if needed and names[-1] != b"IEND":
        raise ValueError("truncated: it ends too early, or a checksum is wrong")
    if needed:
        raise ValueError("truncated: rows are missing")


def _stored_bytes(image: ImageFile, bits: int) -> int:
    """Return how many bytes the rows of a PNG file take, each with its filter."""
    needed = 0
    for row, column, down, right in _ADAM7 if image.info.get("interlace") else ((0, 0, 1, 1),):
        rows, columns = -(-(image.height - row) // down), -(-(image.width - column) // right)
        if columns > 0:
            needed += max(0, rows) * (1 + -(-columns * bits // 8))
    return needed


# --- TIFF ---------------------------------------------------------------------------------------

#: What TIFF files begin with, and BigTIFF files that Pillow knows.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0")

#: Tags of TIFF 6.0.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _PLANAR = (
    256, 257, 258, 259, 262, 277, 284,
)  # fmt: skip
#: Offsets, bytes, width and height of the pieces that pixels are stored in.
_STRIPS, _TILES = (273, 279, 256, 278), (324, 325, 322, 323)
_UNCOMPRESSED, _RGB, _YCBCR, _SEPARATE = 1, 2, 6, 2
#: Bytes that one byte may unpack to: zlib comes to 1032.
_PACKED = 2000


def _check_strips(data: bytes) -> None:
    """Raise ValueError for a TIFF file that lacks strips or tiles, or the end of one.

    Pillow leaves their pixels zero, and OpenCV as the memory was. All other files are passed over.
    """
    if data[:4] not in _TIFF:
        return
    from PIL import TiffImagePlugin

    file = BytesIO(data)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if data[2] == 43 else 8))
        file.seek(tags.next)
        tags.load(file)
        missing = _missing(tags, len(data))
    except Exception:  # other types than a tag has, no such tag, …
        raise ValueError("its tags are damaged") from None
    if missing:
        raise ValueError(f"truncated: {missing}")


def _missing(tags: Mapping[int, Any], length: int) -> str:
    """Return what a TIFF file of ``length`` bytes lacks; nothing if its pixels may be whole."""
    samples, separate = tags.get(_SAMPLES, 1), tags.get(_PLANAR) == _SEPARATE
    if samples < 3 and tags.get(_PHOTOMETRIC) in (_RGB, _YCBCR):
        return f"it is to have colours, but has {samples} of their 3 parts"
    offsets, sizes, across, down = _TILES if _TILES[0] in tags else _STRIPS
    width, height = tags[_WIDTH], tags[_HEIGHT]
    columns, rows = tags[across], tags.get(down) or height
    if down == _STRIPS[3]:
        rows = min(rows, height)
    places, high = tags.get(offsets, ()), -(-height // rows)
    pieces = -(-width // columns) * high * (samples if separate else 1)
    if len(places) < pieces:
        return f"it has {len(places)} of {pieces} strips or tiles"
    if tags.get(_COMPRESSION, 1) != _UNCOMPRESSED or tags.get(_PHOTOMETRIC) == _YCBCR:
        return ""  # what is too short cannot be unpacked
    line = -(-columns * max(tags.get(_BITS, (1,))) * (1 if separate else samples) // 8)
    given = (*tags.get(sizes, ()), *[0] * pieces)
    for piece in range(pieces):
        lines = rows if down == _TILES[3] else min(rows, height - piece % high * rows)
        if min(given[piece] or length, length - places[piece]) < lines * line:
            return "a strip or tile is too short"
    return ""


def _check_pages(data: bytes) -> None:
    """Raise ValueError for a TIFF file whose pages follow each other in a ring.

    tifffile, which lists them all, goes round for ever.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    start, count, entry, offset = (8, "Q", 20, "Q") if big else (4, "H", 12, "I")
    seen: set[int] = set()
    try:
        (page,) = struct.unpack_from(order + offset, data, start)
        while page and page not in seen:
            seen.add(page)
            (tags,) = struct.unpack_from(order + count, data, page)
            behind = page + struct.calcsize(order + count) + tags * entry
            (page,) = struct.unpack_from(order + offset, data, behind)
    except (struct.error, OverflowError):  # past the end, where tifffile stops as well
        return
    if page:
        raise ValueError("its pages follow each other in a ring")


# --- as the others ------------------------------------------------------------------------------


def _as_opencv(data: bytes) -> Decoded:
    import cv2

    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        _as_pillow(data)  # it may say why
        raise ValueError("OpenCV cannot decode it, though Pillow can")
    _check_strips(data)
    mode, kind = _name(data)
    if array.ndim == 3:
        array, mode = array[:, :, [2, 1, 0, 3][: array.shape[2]]], mode or _mode(array)
    elif mode not in ("1", "L"):
        mode = _mode(array)
    return Decoded(array, mode, kind, library="cv2")


def _name(data: bytes) -> tuple[str, str]:
    """Return mode and format of a file as Pillow names them; empty where it does not know it."""
    try:
        with Image.open(BytesIO(data)) as image:
            return image.mode, image.format or ""
    except Exception:
        return "", ""


def _as_tifffile(data: bytes) -> Decoded:
    import tifffile

    _check_pages(data)
    with tifffile.TiffFile(BytesIO(data)) as file:
        stored = len(data) * (1 if file.pages.first.compression == _UNCOMPRESSED else _PACKED)
        if file.series and file.series[0].nbytes > stored:
            raise ValueError("truncated: its pixels take more than the whole file")
    array = tifffile.imread(BytesIO(data))
    # What it does not write stays as the memory was: this time it is filled with other values.
    filled = bytearray(~np.frombuffer(array.tobytes(), np.uint8))
    again = np.frombuffer(filled, array.dtype).reshape(array.shape)
    tifffile.imread(BytesIO(data), out=again)
    if again.tobytes() != array.tobytes():
        raise ValueError("truncated: some pixels are missing")
    array = array.squeeze()
    return Decoded(array, _mode(array), "TIFF", library="tifffile")


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
