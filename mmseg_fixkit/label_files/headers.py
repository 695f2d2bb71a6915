"""The first bytes of a picture -> its size and how it is stored, without decoding it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

#: Chunks before the pixels that change none of them, whatever library decodes.
_HARMLESS = frozenset(b"IHDR PLTE gAMA cHRM sRGB iCCP tEXt zTXt iTXt pHYs tIME hIST".split())

#: JPEG markers that begin a frame, and so hold its size.
_FRAMES = frozenset((*range(0xC0, 0xD0),)) - {0xC4, 0xC8, 0xCC}
_ORIENTATION = 0x0112
#: What mmcv's loader turns as EXIF data says (OpenCV 5.0, Pillow 13). TIFF's own tag is a part of
#: the format: Pillow and OpenCV always obey it.
_TURNED = frozenset(("JPEG", "MPO", "PNG", "WEBP"))
#: Orientations of EXIF that put an image on its side.
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(frozen=True)
class PngHeader:
    """What a PNG file says before its pixels.

    Args:
        width, height, depth, color: of its ``IHDR`` chunk.
        plain: whether it is stored row by row, and nothing else tells how to read pixels.
        pixels: where the chunks with the pixels begin.
    """

    width: int
    height: int
    depth: int
    color: int
    plain: bool
    pixels: int


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


def png_header(data: bytes) -> Optional[PngHeader]:
    """Return what a PNG file says before its pixels; None for anything else."""
    if data[:8] != PNG_SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height, depth, color, _, _, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    at, plain = 8, not interlace
    while (name := data[at + 4 : at + 8]) != b"IDAT" and len(name) == 4:
        end = _chunk_end(data, at)
        plain = plain and name in _HARMLESS and end > 0
        at = end or len(data)
    return PngHeader(width, height, depth, color, plain and name == b"IDAT", at)


def _chunk_end(data: bytes, at: int) -> int:
    """Return where a chunk ends; 0 if its checksum is wrong, or its end is missing."""
    end = at + 8 + int.from_bytes(data[at : at + 4], "big")
    crc = zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
    return end + 4 if data[end : end + 4] == crc else 0


def png_chunks(data: bytes, at: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks of a PNG file from a position on."""
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def png_pixels(data: bytes, header: PngHeader) -> list[bytes]:
    """Return the chunks with the pixels; none if one is damaged, or others than the end follow.

    Some libraries do not look, and others write to stderr.
    """
    at, found = header.pixels, []
    while data[at + 4 : at + 8] == b"IDAT":
        end = _chunk_end(data, at)
        if not end:
            return []
        found.append(data[at + 8 : end - 4])
        at = end
    return found if data[at:] == _PNG_END else []


def image_size(file: Any) -> Size:
    """Return the size of the image in an open binary file; its pixels are not read.

    Raises:
        Exception: whatever Pillow raises where the file is no image.
    """
    head = file.read(4096)
    found = _jpeg_size(head) if head[:2] == b"\xff\xd8" else None
    if found is None and head[:8] == PNG_SIGNATURE and b"eXIf" not in head and b"IDAT" in head:
        width, height = struct.unpack_from(">II", head, 16)
        found = Size(height, width)
    if found is not None:
        return found
    file.seek(0)
    return _pillow_size(file)


def _jpeg_size(head: bytes) -> Optional[Size]:
    """Return the size of a JPEG file whose first bytes hold it; EXIF data is left to Pillow."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return Size(height, width) if height and width else None
        if marker == 0xE1 and head[at + 4 : at + 8] == b"Exif":
            return None
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def _pillow_size(file: Any) -> Size:
    from PIL import Image

    with Image.open(file) as image:
        turnable = image.format in _TURNED
        sideways = turnable and image.getexif().get(_ORIENTATION) in _SIDEWAYS
        return Size(image.height, image.width, sideways)
