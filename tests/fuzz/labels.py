"""Label files of all formats, damaged at random: the scan sees what the host's loader sees.

What the host refuses is a finding; what it reads, the scan counts alike, or refuses because pixels
are missing; memory that nobody wrote is never a label; ``--fix`` writes nothing but what the host's
values become; a cache that somebody poisoned changes nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import struct
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, Callable, Optional

import mmcv
import numpy as np
from PIL import Image

from mmseg_fixkit.datasets.decode import _installed
from mmseg_fixkit.datasets.label_file import FileStats, LabelFile, LabelReading, examine
from mmseg_fixkit.datasets.recode import parse_recoding
from mmseg_fixkit.datasets.rewrite import MANIFEST, rewrite
from mmseg_fixkit.datasets.scan_files import scan_files
from tests.helpers.png_files import CHANNELS, png_file

#: Beyond these the host takes seconds, and nothing else happens than in small files.
_MOST_PIXELS = 1 << 20

_NAMES = (b"a", b"b c", b"odd \xff\xfe", b"line\nfeed", b"\x1b[31m", "\u202ebidi".encode(), b"-x")


def attempt(random: Random, folder: Path) -> str:
    """Make a label file, damage it, and hold the scan against the host; see :data:`Attempt`."""
    kind, data = _made(random)
    damaged = _damaged(random, kind, data) if random.random() < 0.9 else data
    root = folder / "labels"
    root.mkdir()
    path = root / os.fsdecode(random.choice(_NAMES) + b"." + random.choice([b"png", b"tif"]))
    path.write_bytes(damaged)
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        if _is_large(damaged):
            return "large"
        backends = ["pillow", "cv2", *(["tifffile"] if kind == "tiff" and _tifffile() else [])]
        outcome = [_held(path, damaged, backend, data) for backend in backends]
        _fixed(random, path, damaged, random.choice(backends[:2]), folder)
        _cached(random, path, folder)
    assert path.read_bytes() == damaged
    return f"{kind} {outcome[0]}"


def _is_large(data: bytes) -> bool:
    try:
        with Image.open(BytesIO(data)) as image:
            return image.width * image.height > _MOST_PIXELS
    except Exception:
        return False


def _tifffile() -> bool:
    return _installed("tifffile") is not None


@contextmanager
def _quiet() -> Iterator[None]:
    """Let libraries complain to nobody."""
    sys.stderr.flush()
    own, nobody = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, 2)
    try:
        yield
    finally:
        os.dup2(own, 2)
        os.close(own)
        os.close(nobody)


# --- the host -----------------------------------------------------------------------------------

_M_PERTURB = -6
#: No small file takes a reader so long.
_MOST_SECONDS = 10


def _fill_memory(value: int) -> None:
    """Have glibc fill what it hands out, so that what nobody writes shows."""
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(_M_PERTURB, value)


def _by_host(data: bytes, backend: str) -> Optional[Any]:
    """Return what ``LoadAnnotations`` of mmsegmentation 1.2.2 decodes; None where it raises.

    Or where it goes on for ever, as tifffile does where pages follow each other in a ring.
    """
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_MOST_SECONDS)
    try:
        if backend == "tifffile" and _claimed(data) > 4 * _MOST_PIXELS:
            return None  # it takes that much memory, and then there is nothing to fill it
        array = mmcv.imfrombytes(data, flag="unchanged", backend=backend)
        return array if array.squeeze().size else None
    except Exception:
        return None
    finally:
        signal.alarm(0)


def _too_long(*_: Any) -> None:
    raise TimeoutError


def _claimed(data: bytes) -> int:
    import tifffile

    with tifffile.TiffFile(BytesIO(data)) as file:
        return sum(series.nbytes for series in file.series[:1])


def _never_written(data: bytes) -> bool:
    """Whether Pillow leaves pixels as they were before it decoded."""
    found = []
    for value in (0, 1):
        with Image.open(BytesIO(data)) as image:
            image.load_prepare()
            image.decoderconfig = ()  # which it adds to, and is called once more
            bands = len(image.getbands())
            image.im.paste(value if bands == 1 else (value,) * bands, (0, 0, *image.size))
            found.append(np.array(image))
    return not np.array_equal(*found, equal_nan=found[0].dtype.kind == "f")


def _counts(array: Any, backend: str) -> Any:
    """Return what the statistics of a file hold of these pixels, counted by NumPy."""
    if array.ndim == 2:
        values, counts = np.unique(array.astype(np.int64), return_counts=True)
        return tuple(zip(values.tolist(), counts.tolist()))
    order = [0, 1, 2] if backend == "tifffile" else [2, 1, 0]
    channels = order if array.shape[2] > 2 else [0, 0, 0]
    parts = array[:, :, channels].astype(np.int64) & 255
    codes, counts = np.unique(parts @ [1 << 16, 1 << 8, 1], return_counts=True)
    return dict(zip(codes.tolist(), counts.tolist()))


def _held(path: Path, data: bytes, backend: str, whole: bytes) -> str:
    file = LabelFile("train", str(path))
    found, host = [], []
    for value in (0x55, 0xAA):
        _fill_memory(value)
        host.append(_by_host(data, backend))
        found.append(examine(file, backend))
    _fill_memory(0)
    stats: FileStats = found[0]
    if stats.error:
        map_of_pixels = host[0] is not None and host[0].squeeze().ndim in (2, 3)
        assert not map_of_pixels or data != whole, f"{backend}: {stats.error}"
        return "refused" if host[0] is None else "refused, though the host reads it"
    assert found[0] == found[1], f"{backend}: counted what nobody wrote"
    assert host[0] is not None, f"{backend}: the host refuses what the scan reads"
    assert np.array_equal(host[0], host[1]), f"{backend}: the host shows what nobody wrote"
    if backend == "pillow" and stats.format not in _DRAWN_ON:
        assert not _never_written(data), "Pillow shows what nobody wrote"
    array = host[0].squeeze() if backend == "tifffile" else host[0]
    if len(stats.shape) == 2:
        assert stats.values == _counts(array, backend), backend
    elif stats.shape == array.shape and array.dtype == np.uint8 and not stats.more_colors:
        assert dict(stats.colors) == _counts(array, backend), backend
    return "counted"


#: Formats whose frames may be smaller than the image.
_DRAWN_ON = ("GIF",)


# --- scan --fix, and the cache --------------------------------------------------------------------

_MODES: dict[str, Callable[[Any], Any]] = {
    "8bit": lambda values: values,
    "remap:1=2,3=0": lambda values: np.where(values == 1, 2, np.where(values == 3, 0, values)),
    "ignore": lambda values: np.where((values < 0) | (values > 4), 255, values),
}


def _fixed(random: Random, path: Path, data: bytes, backend: str, folder: Path) -> None:
    mode, out = random.choice([*_MODES]), folder / "fixed"
    mapping = parse_recoding(mode, reading=LabelReading(5, backend=backend))
    report = rewrite([LabelFile("train", str(path))], out, mapping, root=path.parent, jobs=1)
    written = [each for each in out.rglob("*") if each.is_file() and each.name != MANIFEST]
    assert len(written) == report.written + report.copied <= 1
    if not written:
        return
    host = _by_host(data, backend)
    assert host is not None, "--fix made something of what the host refuses"
    if report.copied:
        assert written[0].read_bytes() == data
        return
    assert host.ndim == 2, "--fix made values of colours that nobody explained"
    expected = _MODES[mode](host.astype(np.int64))
    for reader in ("pillow", "cv2"):
        new = _by_host(written[0].read_bytes(), reader)
        if new is not None and (new.ndim == 2 or reader == "pillow"):  # palettes are colours to it
            assert np.array_equal(new, expected), f"--fix {mode}"


def _cached(random: Random, path: Path, folder: Path) -> None:
    """Scan twice, the second time with a cache in which bytes have changed."""
    cache, files = folder / "cache.sqlite", [LabelFile("train", str(path))]
    readings = {"train": LabelReading(5)}
    first = scan_files(files, readings, jobs=1, cache=cache)
    with sqlite3.connect(cache) as table:
        for key, data in table.execute("SELECT key, facts FROM facts").fetchall():
            values = [None, random.random(), random.randbytes(9), _flipped(random, data), data[:-1]]
            update = "UPDATE facts SET facts = ? WHERE key = ?"
            table.execute(update, (random.choice(values), key))
    table.close()
    if random.random() < 0.3:
        cache.write_bytes(_flipped(random, cache.read_bytes()))
    assert scan_files(files, readings, jobs=1, cache=cache) == first


# --- files ----------------------------------------------------------------------------------------


def _made(random: Random) -> tuple[str, bytes]:
    """Return the kind of a file, and a whole one."""
    numbers = np.random.default_rng(random.randrange(1 << 30))
    height, width = random.randint(1, 60), random.randint(1, 60)

    def drawn(top: int, kind: str) -> Any:
        coarse = numbers.integers(0, top, (height // 4 + 1, width // 4 + 1))
        return coarse.repeat(4, 0).repeat(4, 1)[:height, :width].astype(kind)

    make = random.choice([_png, _tiff, _other])
    return make(random, drawn)


def _png(random: Random, drawn: Any) -> tuple[str, bytes]:
    color = random.choice([0, 0, 2, 3, 3, 4, 6])
    depth = random.choice({0: [1, 2, 4, 8, 8, 16], 3: [1, 2, 4, 8, 8]}.get(color, [8, 16]))
    samples = np.stack([drawn(min(2**depth, 9), "i8") for _ in range(CHANNELS[color])], -1)
    palette = [(b"PLTE", random.randbytes(3 * 2**depth))] if color == 3 else []
    filters = [random.randrange(5) for _ in range(3)]
    interlaced, split = random.random() < 0.3, random.choice([None, 40])
    return "png", png_file(
        samples, depth, color, filters, interlaced=interlaced, before=palette, split=split
    )


def _tiff(random: Random, drawn: Any) -> tuple[str, bytes]:
    array = drawn(7, random.choice(["u1", "u1", "u2", "i4", "f4"]))
    rows = random.choice([1, 7, 16, len(array)])
    file = BytesIO()
    if random.random() < 0.4 and _tifffile():
        import tifffile

        tile = (16, 16) if random.random() < 0.5 else None
        options: dict[str, Any] = {"tile": tile} if tile else {"rowsperstrip": rows}
        packing = random.choice([None, "zlib"])
        tifffile.imwrite(file, array, compression=packing, bigtiff=random.random() < 0.3, **options)
        return "tiff", file.getvalue()
    if array.dtype == np.uint8 and random.random() < 0.3:
        array = np.stack([array * 40] * 3, -1)
    packings = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]
    image = Image.fromarray(array)
    image.save(file, "TIFF", compression=random.choice(packings), tiffinfo={278: rows})
    return "tiff", file.getvalue()


def _other(random: Random, drawn: Any) -> tuple[str, bytes]:
    kind = random.choice(["JPEG", "BMP", "WEBP", "GIF", "PPM"])
    array = drawn(7, "u1")
    if kind == "WEBP" or (kind != "GIF" and random.random() < 0.4):
        array = np.stack([array * 40, array, array], -1)
    file = BytesIO()
    image = Image.fromarray(array)
    if kind in ("BMP", "GIF") and array.ndim == 2 and random.random() < 0.5:
        image = image.convert("P")
    image.save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return kind.lower(), file.getvalue()


# --- damage ---------------------------------------------------------------------------------------


def _damaged(random: Random, kind: str, data: bytes) -> bytes:
    own = {"png": _chunks_changed, "tiff": _tags_changed}.get(kind)
    if own is not None and random.random() < 0.6:
        return own(random, data)
    return random.choice([_cut, _flipped, _flipped_at_the_start, _zeroed, _inserted])(random, data)


def _cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def _flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 4])):
        if changed:
            place = random.randrange(len(changed))
            flip = changed[place] ^ 1 << random.randrange(8)
            changed[place] = random.choice([flip, 0, 255, random.randrange(256)])
    return bytes(changed)


def _flipped_at_the_start(random: Random, data: bytes) -> bytes:
    return _flipped(random, data[:120]) + data[120:]


def _zeroed(random: Random, data: bytes) -> bytes:
    start, size = random.randrange(len(data)), random.randrange(1, len(data) + 1)
    return data[:start] + bytes(min(size, len(data) - start)) + data[start + size :]


def _inserted(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + random.randbytes(random.randint(1, 9)) + data[place:]


Chunks = list[tuple[bytes, bytes]]


def _chunks_changed(random: Random, data: bytes) -> bytes:
    """Change chunks of a PNG file, and give all of them the right checksum."""
    chunks: Chunks = []
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    change = random.choice([_content, _header, _pixels, _pixels, _moved, _added, _added])
    change(random, chunks)
    packed = (
        struct.pack(">I", len(content))
        + name
        + content
        + zlib.crc32(name + content).to_bytes(4, "big")
        for name, content in chunks
    )
    return data[:8] + b"".join(packed)


def _content(random: Random, chunks: Chunks) -> None:
    place = random.randrange(len(chunks))
    name, content = chunks[place]
    chunks[place] = name, random.choice([_flipped, lambda _, c: c[: len(c) // 2]])(random, content)


def _header(random: Random, chunks: Chunks) -> None:
    chunks[0] = b"IHDR", _flipped(random, chunks[0][1])


def _pixels(random: Random, chunks: Chunks) -> None:
    """Store other rows: too few, too many, of an unknown filter, or with a wrong checksum."""
    places = [place for place, (name, _) in enumerate(chunks) if name == b"IDAT"]
    raw = zlib.decompress(b"".join(chunks[place][1] for place in places))
    change = random.choice(["fewer", "more", "flipped", "checksum", "behind"])
    if change == "fewer":
        raw = raw[: random.randrange(len(raw))]
    raw += random.randbytes(random.choice([1, 99, 5000])) if change == "more" else b""
    raw = _flipped(random, raw) if change == "flipped" else raw
    packed = zlib.compress(raw)
    packed = packed[:-4] + bytes(4) if change == "checksum" else packed
    packed += random.randbytes(9) if change == "behind" else b""
    chunks[places[0] : places[-1] + 1] = [(b"IDAT", packed)]


def _moved(random: Random, chunks: Chunks) -> None:
    one = chunks.pop(random.randrange(len(chunks)))
    for _ in range(random.choice([0, 1, 2])):  # gone, elsewhere, twice
        chunks.insert(random.randrange(len(chunks) + 1), one)


_NAMES_OF_CHUNKS = (
    *(b"iCCP", b"zTXt", b"tEXt", b"iTXt", b"tRNS", b"PLTE", b"gAMA", b"acTL", b"fcTL", b"fdAT"),
    *(b"eXIf", b"sBIT", b"pHYs", b"cHRM", b"bKGD", b"sRGB", b"hIST", b"tIME", b"IDAT", b"IHDR"),
    *(b"IEND", b"CgBI", b"cICP", b"ABCD", b"abcd"),
)


def _added(random: Random, chunks: Chunks) -> None:
    """Add a chunk that a reader may take for more than it is."""
    name = random.choice(_NAMES_OF_CHUNKS)
    size = random.choice([0, 1, 2, 3, 6, 8, 9, 13, 26, 32, 768, 771])
    content = random.randbytes(size)
    bomb = zlib.compress(bytes(1 << 21))
    word = random.choice([b"interlace", b"bbox", b"transparency", b"exif", b"icc_profile"])
    sizes = (random.randint(1, 40) for _ in range(2))
    known = {
        b"fcTL": struct.pack(">5I2H2B", 0, *sizes, 0, random.randint(0, 9), 1, 1, 0, 0),
        b"acTL": struct.pack(">II", random.choice([0, 1, 2]), 0),
        b"zTXt": random.choice([word + b"\0\0" + zlib.compress(b"1"), b"k\0\0" + bomb]),
        b"tEXt": word + b"\0" + random.choice([b"", b"1"]),
        b"iTXt": word + b"\0\0\0\0\0" + b"1",
        b"iCCP": b"k\0" + bytes([random.randrange(2)]) + random.choice([bomb, b""]),
    }
    content = known.get(name, content) if random.random() < 0.7 else content
    chunks.insert(random.randrange(len(chunks) + 1), (name, content))


_TAGS = (256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 322, 323, 324, 325, 339, 317, 266)


def _tags_changed(random: Random, data: bytes) -> bytes:
    """Let the directory of a TIFF file say something else; other files are flipped."""
    if data[:4] != b"II*\0":
        return _flipped(random, data)
    changed = bytearray(data)
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for _ in range(random.choice([1, 1, 2])):
        at = start + 2 + 12 * random.randrange(count)
        tag, kind, length, value = struct.unpack_from("<HHII", changed, at)
        lies = [0, 1, value + 1, 2 * value, value // 2, max(value, 1) - 1, 0xFFFFFFFF]
        lengths = [0, 1, length + 1, 2 * length, length // 2, max(length, 1) - 1]
        what = random.choice(["value", "value", "length", "kind", "tag", "place"])
        if what == "value":
            value = random.choice(lies) & 0xFFFFFFFF
        elif what == "length":
            length = random.choice(lengths)
        elif what == "kind":
            kind = random.choice([1, 3, 4, 5, 7, 16])
        elif what == "tag":
            tag = random.choice(_TAGS)
        elif length > 1 and kind == 4 and value + 4 * length <= len(data):
            place = value + 4 * random.randrange(length)
            (old,) = struct.unpack_from("<I", changed, place)
            new = random.choice([0, 1, old + 1, 2 * old, old // 2, len(data) - 3]) & 0xFFFFFFFF
            struct.pack_into("<I", changed, place, new)
        struct.pack_into("<HHII", changed, at, tag, kind, length, value)
    return bytes(changed)
