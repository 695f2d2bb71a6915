"""The pixels of a PNG file, inflated by isal and put together by Pillow.

Pillow's decoder undoes PNG's filters, but reads only zlib streams. So it gets one of blocks that
are merely stored (RFC 1951, section 3.2.4), part by part as isal inflates them: they never leave
the processor's cache.
"""

from __future__ import annotations

import struct
from typing import Any

from PIL import Image

#: Bytes that are inflated at a time; a stored block has room for 65,535.
PART = 1 << 15

#: How a zlib stream begins.
_HEADER = b"\x78\x01"

#: How a block begins that is stored, and not the last.
_BLOCK = struct.Struct("<BHH")


def fill(image: Image.Image, stream: bytes, raw_mode: str, isal_zlib: Any) -> None:
    """Write pixels into an image.

    Args:
        image: of the size that the file says.
        stream: the content of its ``IDAT`` chunks.
        raw_mode: how Pillow calls the samples as they are in the file.
        isal_zlib: the module of isal.

    Raises:
        Exception: the stream is damaged, has too few pixels, or goes on for long behind them.
    """
    decoder: Any = Image._getdecoder(image.mode, "zip", (raw_mode, 0))  # as Image.frombytes does
    decoder.setimage(image.im, (0, 0, *image.size))
    decoder.decode(_HEADER)
    inflater = isal_zlib.decompressobj()
    taken = error = 0
    part = inflater.decompress(stream, PART)
    while part and taken >= 0 and not error:
        block = _BLOCK.pack(0, len(part), len(part) ^ 0xFFFF) + part
        taken, error = decoder.decode(block)
        if 0 <= taken < len(block):
            break
        part = inflater.decompress(inflater.unconsumed_tail, PART)
    if part or taken >= 0 or error or not inflater.eof:
        raise ValueError("its pixels are damaged, or are more or fewer than its size says")
