"""PNG files of any kind, also those that no library writes: for tests of what reads them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Colour type -> channels.
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: First row, first column, and steps of Adam7's seven passes.
_PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
ADAM7 = (*_PASSES, (1, 0, 2, 1))
WHOLE = ((0, 0, 1, 1),)


def chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png_file(
    samples: NDArray[Any],
    depth: int,
    color: int,
    filters: Sequence[int] = (0,),
    *,
    interlaced: bool = False,
    before: Sequence[tuple[bytes, bytes]] = (),
    split: Optional[int] = None,
    rows: Optional[int] = None,
) -> bytes:
    """Return a PNG file.

    Args:
        samples: ``(H, W, channels)`` of ``depth`` bits.
        depth: bits of a sample.
        color: the colour type of the header.
        filters: of the rows, over and over.
        interlaced: whether to store it in seven passes.
        before: chunks before the pixels, such as a palette.
        split: bytes of one IDAT chunk; all in one where left out.
        rows: how many of the stored rows to write; all where left out.
    """
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    bits = depth * CHANNELS[color]
    stored = _rows(samples, depth, bits, filters, ADAM7 if interlaced else WHOLE)
    raw = b"".join(islice(stored, rows))
    packed = zlib.compress(raw)
    size = split or len(packed)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    chunks = [(b"IHDR", header), *before, *((b"IDAT", piece) for piece in pieces), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(*both) for both in chunks)


def count_rows(samples: NDArray[Any], interlaced: bool) -> int:
    """Return how many rows a file stores."""
    passes = ADAM7 if interlaced else WHOLE
    parts = [samples[row::down, column::right] for row, column, down, right in passes]
    return sum(len(part) for part in parts if part.size)


def _rows(
    samples: NDArray[Any], depth: int, bits: int, filters: Sequence[int], passes: Any
) -> Iterator[bytes]:
    at = 0
    for row, column, down, right in passes:
        part = samples[row::down, column::right]
        if not part.size:
            continue
        above = np.zeros(-(-part.shape[1] * bits // 8), np.uint8)
        for line in part:
            packed = _packed(line.reshape(-1), depth)
            kind = filters[at % len(filters)]
            at += 1
            yield bytes([kind]) + _filtered(packed, above, max(1, bits // 8), kind).tobytes()
            above = packed


def _packed(line: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    if depth == 16:
        return np.frombuffer(line.astype(">u2").tobytes(), np.uint8)
    places = np.arange(depth - 1, -1, -1)
    return np.packbits((line[:, None] >> places & 1).astype(np.uint8).reshape(-1))


def _filtered(
    row: NDArray[np.uint8], above: NDArray[np.uint8], step: int, kind: int
) -> NDArray[np.uint8]:
    """Return a row as the PNG specification, section 9, filters it."""
    b = above.astype(int)
    a = np.concatenate([np.zeros(step, int), row[:-step]])[: len(row)]
    c = np.concatenate([np.zeros(step, int), b[:-step]])[: len(row)]
    far = [np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)]
    nearest = np.where((far[0] <= far[1]) & (far[0] <= far[2]), a, np.where(far[1] <= far[2], b, c))
    guess = (0, a, b, (a + b) // 2, nearest)[kind]
    return ((row - guess) & 255).astype(np.uint8)
