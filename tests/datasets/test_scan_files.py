"""From the bytes of label files to their facts, and from facts to statistics, in any executor."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets import count, decode, label_file
from mmseg_fixkit.datasets.count import count_colors, count_values
from mmseg_fixkit.datasets.label_file import FileStats, LabelFile, LabelReading, file_stats
from mmseg_fixkit.datasets.problems import SAME_FILE, SAME_LABEL
from mmseg_fixkit.datasets.scan_files import scan_files
from mmseg_fixkit.datasets.stats import BadFile, SplitStats
from tests.helpers.png_files import ADAM7, CHANNELS, count_rows, png_file

RNG = np.random.default_rng(0)


def encoded(array: Any, kind: str = "PNG", mode: Any = None, **options: Any) -> bytes:
    file = BytesIO()
    image = Image.fromarray(np.asarray(array))
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def blobs(height: int, width: int, values: Any) -> Any:
    """A label map: regions with borders that are not straight."""
    coarse = RNG.choice(np.asarray(values), (height // 9 + 2, width // 7 + 2))
    rows = (np.arange(height)[:, None] + RNG.integers(0, 3, (1, width))) // 9
    columns = (np.arange(width)[None] + RNG.integers(0, 3, (height, 1))) // 7
    return coarse[np.minimum(rows, len(coarse) - 1), np.minimum(columns, coarse.shape[1] - 1)]


def as_the_host(data: bytes, backend: str) -> Any:
    mmcv = pytest.importorskip("mmcv")
    return mmcv.imfrombytes(data, flag="unchanged", backend=backend).squeeze()


# --- decoding -----------------------------------------------------------------------------------


#: Colour types of PNG and the bit depths that each may have.
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
STORED = [(color, depth) for color, depths in DEPTHS.items() for depth in depths]


@st.composite
def png_files(draw: Any) -> bytes:
    """PNG files of every colour type, depth, filter, interlace and transparency."""
    color, depth = draw(st.sampled_from(STORED))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    top = draw(st.sampled_from([1, 3, 20, 2**depth - 1])) % 2**depth
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    shape = (height // 5 + 1, width // 5 + 1, CHANNELS[color])
    samples = rng.integers(0, top + 1, shape).repeat(5, 0).repeat(5, 1)[:height, :width]
    before = []
    if color == 3:
        size = draw(st.integers(top + 1, 2**depth))
        before.append((b"PLTE", rng.integers(0, 256, 3 * size).astype(np.uint8).tobytes()))
    if draw(st.booleans()) and color in (0, 2, 3):
        before.append((b"tRNS", {0: b"\0\1", 2: bytes(6), 3: bytes([0])}[color]))
    if draw(st.booleans()):
        before.insert(0, (b"gAMA", b"\0\0\xb1\x8f"))
    filters = draw(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    split = draw(st.sampled_from([None, 11]))
    interlaced = draw(st.booleans())
    return png_file(
        samples, depth, color, filters, interlaced=interlaced, before=before, split=split
    )


@pytest.fixture(params=["cv2", "without cv2"])
def pillow_or_opencv(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether OpenCV is installed."""
    without_opencv(monkeypatch) if request.param != "cv2" else pytest.importorskip("cv2")


def without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "_installed", {"PIL": Image}.get)


both_ways = pytest.mark.usefixtures("pillow_or_opencv")
slow_fixture = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@both_ways
@slow_fixture
@given(png_files())
def test_every_png_file_is_read_as_pillow_reads_it(data: bytes) -> None:
    with Image.open(BytesIO(data)) as image:
        array, mode = np.array(image), image.mode
    facts = file_stats(data, "pillow")
    assert facts.mode == mode
    assert facts.shape == array.shape
    if array.ndim == 2:
        values, counts = np.unique(array, return_counts=True)
        assert facts.values == tuple(zip(values.astype(int).tolist(), counts.tolist()))
    else:
        assert facts.values == ()
        assert sum(n for _, n in facts.colors) == array.shape[0] * array.shape[1]


@both_ways
@slow_fixture
@given(png_files(), st.data())
def test_a_damaged_png_file_is_what_pillow_makes_of_it(data: bytes, draws: Any) -> None:
    at = draws.draw(st.integers(33, len(data) - 1))
    kind = draws.draw(st.sampled_from(["cut", "flipped", "cut, with an end"]))
    wrong = {
        "cut": data[:at],
        "flipped": data[:at]
        + bytes([data[at] ^ 1 << draws.draw(st.integers(0, 7))])
        + data[at + 1 :],
        "cut, with an end": data[:at] + data[-12:],
    }[kind]
    try:
        with Image.open(BytesIO(wrong)) as image:
            expected = np.array(image)
    except Exception:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever Pillow raises
            file_stats(wrong, "pillow")
        return
    if is_incomplete(wrong):
        with pytest.raises((ValueError, zlib.error), match=r"truncated|incorrect"):
            file_stats(wrong, "pillow")
        return
    facts = file_stats(wrong, "pillow")
    if expected.ndim == 2:
        assert facts.values == count_values(expected)


def is_incomplete(data: bytes) -> bool:
    """Whether Pillow fills rows with zeros, or does not come to a checksum that is wrong."""
    width, height, depth, color, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    pixels, at = b"", 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        name, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if data[at + 8 + size : at + 12 + size] != zlib.crc32(name + content).to_bytes(4, "big"):
            break
        pixels += content if name == b"IDAT" else b""
        at += 12 + size
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(pixels))
    except zlib.error:
        return True
    bits = depth * CHANNELS[color]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = ((len(range(r, height, d)), len(range(c, width, n))) for r, c, d, n in passes)
    return found < sum(rows * (1 + -(-bits * columns // 8)) for rows, columns in sizes if columns)


@both_ways
@slow_fixture
@given(st.sampled_from(STORED), st.booleans(), st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_png_file_that_lacks_rows_is_not_read(
    stored: tuple[int, int], interlaced: bool, height: int, width: int, draws: Any
) -> None:
    color, depth = stored
    samples = np.ones((height, width, CHANNELS[color]), int)
    before = [(b"PLTE", bytes(6))] if color == 3 else []
    rows = draws.draw(st.integers(1, 40))

    def stored_rows(count: int) -> bytes:
        return png_file(samples, depth, color, interlaced=interlaced, before=before, rows=count)

    whole = count_rows(samples, interlaced)
    if rows < whole:
        with pytest.raises((OSError, ValueError)):
            file_stats(stored_rows(rows), "pillow")
    assert file_stats(stored_rows(max(rows, whole)), "pillow").pixels == height * width


@pytest.mark.parametrize("kind", ["L", "P", "I;16"])
def test_ordinary_label_maps_are_decoded_by_opencv(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2 = pytest.importorskip("cv2")
    array = blobs(300, 457, [0, 3, 255]).astype("u2" if kind == "I;16" else "u1")
    image = Image.fromarray(array)
    if kind == "P":
        image = image.convert("P")
        image.putpalette([1, 2, 3, 255, 0, 0, 0, 0, 255, *[9] * (3 * 252), 7, 7, 7])
    data = encoded(np.asarray(image)) if kind != "P" else saved(image)
    calls = []
    imdecode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *given: calls.append(1) or imdecode(*given))
    found = decode.decode(data)
    assert calls == [1]
    assert (found.array == array).all()
    assert found.mode == kind
    if kind == "P":
        colors = {color for color, _ in file_stats(data, "pillow").colors}
        assert colors == {0x010203, 0x090909, 0x070707}


def saved(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_opencv_says_nothing_of_other_chunks(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2")
    sample = np.ones((4, 4, 1), int)
    before = [(b"sRGB", b"\0"), (b"gAMA", b"\0\0\xb1\x8f"), (b"bKGD", b"\0\0\0\0\0")]
    assert file_stats(png_file(sample, 8, 0, before=before), "pillow").values == ((1, 16),)
    assert capfd.readouterr().err == ""


KINDS = {
    "L": blobs(30, 41, [0, 5, 200]).astype(np.uint8),
    "1": blobs(30, 41, [0, 1]).astype(bool),
    "I;16": blobs(30, 41, [0, 256, 40_000]).astype(np.uint16),
    "I": blobs(30, 41, [0, 256, 70_000]).astype(np.int32),
    "F": blobs(30, 41, [0, 2.5, 7]).astype(np.float32),
    "RGB": np.stack([blobs(30, 41, [0, 255])] * 2 + [blobs(30, 41, [0, 9])], -1).astype(np.uint8),
    "RGBA": np.stack([blobs(30, 41, [0, 255])] * 4, -1).astype(np.uint8),
    "LA": np.stack([blobs(30, 41, [0, 255])] * 2, -1).astype(np.uint8),
}
#: Format and modes that it can hold.
FORMATS = {
    "PNG": ("L", "1", "I;16", "RGB", "RGBA", "LA"),
    "TIFF": ("L", "1", "I;16", "I", "F", "RGB", "RGBA", "LA"),
    "BMP": ("L", "1", "RGB"),
    "JPEG": ("L", "RGB"),
    "GIF": ("L",),
    "WEBP": ("RGB", "RGBA"),
    "PPM": ("L", "1", "RGB"),
    "TGA": ("L", "RGB", "RGBA", "LA"),
    "JPEG2000": ("L", "RGB"),
}


@pytest.mark.parametrize(
    ("kind", "mode"), [(kind, mode) for kind, modes in FORMATS.items() for mode in modes]
)
@pytest.mark.parametrize("backend", ["pillow", "cv2"])
def test_files_are_read_as_mmcv_reads_them(kind: str, mode: str, backend: str) -> None:
    data = encoded(KINDS[mode], kind)
    pytest.importorskip("mmcv")
    try:
        host = as_the_host(data, backend)
    except AttributeError:  # mmcv got None from OpenCV, which does not know the format
        with pytest.raises(ValueError, match="OpenCV cannot"):
            file_stats(data, backend)
        return
    facts = file_stats(data, backend)
    assert facts.shape == host.shape
    if host.ndim == 2:
        values, counts = np.unique(host.astype(np.int64), return_counts=True)
        assert facts.values == tuple(zip(values.tolist(), counts.tolist()))
    else:
        grey = host.shape[2] == 2
        rgb = host[:, :, [0, 0, 0] if grey else [2, 1, 0]].astype(int).reshape(-1, 3)
        colors, counts = np.unique(rgb @ [1 << 16, 1 << 8, 1], return_counts=True)
        assert dict(facts.colors) == dict(zip(colors.tolist(), counts.tolist()))
    assert facts.format in (kind, "MPO")


def test_opencv_gives_the_colours_of_a_palette_file() -> None:
    pytest.importorskip("cv2")
    data = encoded(KINDS["RGB"], "PNG", "P")
    facts = file_stats(data, "cv2")
    assert (facts.mode, facts.values, len(facts.shape)) == ("P", (), 3)
    assert facts.colors == file_stats(data, "pillow").colors


def test_a_photograph_keeps_its_most_frequent_colours() -> None:
    data = encoded(RNG.integers(0, 255, (100, 100, 3)).astype(np.uint8))
    facts = file_stats(data, "pillow")
    assert len(facts.colors) == label_file.COLORS
    assert facts.more_colors > 8000
    counts = [n for _, n in facts.colors]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize("backend", ["turbojpeg", "gdal", "tifffile"])
def test_a_decoder_that_is_not_there_is_said_before_anything_is_read(backend: str) -> None:
    if backend == "tifffile" and decode._installed("tifffile"):
        pytest.skip("tifffile is installed")
    with pytest.raises(FixkitError, match=f"imdecode_backend is '{backend}'"):
        scan_files([LabelFile("train", "x.png")], {"train": LabelReading(backend=backend)})


@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_tiff_files_are_what_the_host_makes_of_them(kind: str) -> None:
    tifffile, mmcv = pytest.importorskip("tifffile"), pytest.importorskip("mmcv")
    file = BytesIO()
    tifffile.imwrite(file, blobs(40, 33, [0, 3, 255]).astype(kind), compression="zlib")
    theirs = mmcv.imfrombytes(file.getvalue(), flag="unchanged", backend="tifffile")
    facts = file_stats(file.getvalue(), "tifffile")
    assert facts.values == count_values(theirs)
    assert (facts.format, facts.shape) == ("TIFF", theirs.shape)


def strips(array: Any, rows: int, packing: Any = None, **tags: Any) -> bytes:
    """A TIFF file of several strips, with other tags than are true."""
    file = BytesIO()
    Image.fromarray(array).save(file, "TIFF", tiffinfo={278: rows}, compression=packing)
    data = bytearray(file.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, length, value = struct.unpack_from("<HHII", data, at)
        length, value = tags.get(f"_{tag}", lambda *same: same)(length, value)
        struct.pack_into("<HHII", data, at, tag, kind, length, value)
    return bytes(data)


LIES = {
    "one strip less": {"_273": lambda length, value: (length - 1, value)},
    "more rows": {"_257": lambda length, value: (length, value + 9)},
    "fewer rows a strip": {"_278": lambda length, value: (length, value // 2)},
    "samples of colours": {"_262": lambda length, value: (length, 2)},
    "more bits": {"_258": lambda length, value: (length, 2 * value)},
}


@pytest.mark.parametrize("packing", [None, "tiff_lzw"])
@pytest.mark.parametrize("backend", ["pillow", "cv2"])
@pytest.mark.parametrize("lie", LIES)
def test_a_tiff_file_that_lacks_pixels_is_not_read(lie: str, backend: str, packing: Any) -> None:
    """Pillow leaves them zero, and OpenCV as the memory was."""
    array = blobs(40, 33, [1, 2, 3]).astype(np.uint8)
    assert file_stats(strips(array, 7, packing), backend).values == count_values(array)
    with pytest.raises((ValueError, OSError)):
        file_stats(strips(array, 7, packing, **LIES[lie]), backend)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_of_a_tiff_file_in_a_ring_are_no_endless_list(bigtiff: bool, order: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    file = BytesIO()
    with tifffile.TiffWriter(file, bigtiff=bigtiff, byteorder=order) as writer:
        for value in (1, 2):
            writer.write(np.full((20, 30), value, np.uint8))
    with tifffile.TiffFile(BytesIO(file.getvalue())) as written:
        first, second = (page.offset for page in written.pages)
    data = file.getvalue()
    file_stats(data, "tifffile")
    # The offset of the next page, 0 behind the last one, ends its tags.
    kind = order + ("Q" if bigtiff else "I")
    head, size = (8, 20) if bigtiff else (2, 12)
    (count,) = struct.unpack_from(order + ("Q" if bigtiff else "H"), data, second)
    ring = bytearray(data)
    struct.pack_into(kind, ring, second + head + count * size, first)
    with pytest.raises(ValueError, match="in a ring"):
        file_stats(bytes(ring), "tifffile")


def test_what_tifffile_does_not_write_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile = pytest.importorskip("tifffile")
    file = BytesIO()
    tifffile.imwrite(file, np.zeros((20, 30), np.uint8))
    imread = tifffile.imread

    def half(data: Any, out: Any = None) -> Any:
        whole = imread(data)
        array = np.full(whole.shape, 9, whole.dtype) if out is None else out
        array[:10] = whole[:10]
        return array

    monkeypatch.setattr(tifffile, "imread", half)
    with pytest.raises(ValueError, match="some pixels are missing"):
        file_stats(file.getvalue(), "tifffile")


@pytest.mark.parametrize("pages", ["none", "a line", "four axes"])
def test_what_tifffile_reads_but_is_no_map_is_not_read(pages: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    shapes = {"none": (3, 0), "a line": (1, 40), "four axes": (2, 3, 20, 30)}
    file = BytesIO()
    tifffile.imwrite(file, np.zeros(shapes[pages], np.uint8))
    with pytest.raises(ValueError, match="shape"):
        file_stats(file.getvalue(), "tifffile")


@pytest.mark.parametrize("number", [1e30, -3e38, np.inf, np.nan])
def test_numbers_that_are_no_labels_are_said(number: float) -> None:
    array = np.zeros((20, 30), np.float32)
    array[3, 4] = number
    with pytest.raises(ValueError, match=r"not finite|too large"):
        file_stats(encoded(array, "TIFF"), "pillow")
    array[3, 4] = 3e9
    assert file_stats(encoded(array, "TIFF"), "pillow").values[-1] == (3_000_000_000, 1)


def text(word: bytes, value: bytes = b"1") -> tuple[bytes, bytes]:
    return b"tEXt", word + b"\0" + value


REFUSED = {
    "palette of 257": [(b"PLTE", bytes(3 * 257))],
    "profile of another method": [(b"iCCP", b"name\0\1" + zlib.compress(b"x"))],
    "profile that unpacks to much": [(b"iCCP", b"n\0\0" + zlib.compress(bytes(1 << 21)))],
    "text that unpacks to much": [(b"zTXt", b"n\0\0" + zlib.compress(bytes(1 << 21)))],
    "gamma of two bytes": [(b"gAMA", b"\0\1")],
    "frame out of sequence": [(b"fcTL", struct.pack(">5I2H2B", 5, 4, 4, 0, 0, 1, 1, 0, 0))],
    "short animation": [(b"acTL", b"\0")],
    "frame outside": [(b"fcTL", struct.pack(">5I2H2B", 0, 99, 4, 0, 0, 1, 1, 0, 0))],
}


@both_ways
@pytest.mark.parametrize("color", [0, 3])
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_host_refuses_is_not_read(name: str, color: int) -> None:
    mmcv = pytest.importorskip("mmcv")
    if color == 0 and name.startswith("palette"):
        pytest.skip("a palette says nothing of grey values")
    palette = [(b"PLTE", bytes(30))] if color == 3 and not name.startswith("palette") else []
    samples = blobs(24, 31, [1, 2, 3])[..., None].astype(int)
    data = png_file(samples, 8, color, before=[*REFUSED[name], *palette])
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever Pillow raises
        mmcv.imfrombytes(data, flag="unchanged", backend="pillow")
    with pytest.raises(Exception):  # noqa: B017, PT011
        file_stats(data, "pillow")


def test_a_png_file_that_pillow_does_not_open_is_said_to_be_damaged(tmp_path: Path) -> None:
    samples = np.ones((4, 4, 1), int)
    before = REFUSED["profile of another method"]
    (tmp_path / "a.png").write_bytes(png_file(samples, 8, 0, before=before))
    error = label_file.examine(LabelFile("", str(tmp_path / "a.png"))).error
    assert error == "it is damaged: Pillow refuses its header, or what stands before its pixels"


READ_OTHERWISE = {
    "interlace": [text(b"interlace")],
    "compressed interlace": [(b"zTXt", b"interlace\0\0" + zlib.compress(b"1"))],
    "bbox": [text(b"bbox")],
    "smaller frame": [(b"fcTL", struct.pack(">5I2H2B", 0, 9, 8, 1, 1, 1, 1, 0, 0))],
    "exif": [text(b"exif")],
    "palette of four bytes": [(b"PLTE", bytes(4))],
    "harmless": [text(b"Title"), (b"gAMA", b"\0\0\xb1\x8f"), (b"abCd", b"x")],
}


@both_ways
@pytest.mark.parametrize("color", [0, 3])
@pytest.mark.parametrize("name", READ_OTHERWISE)
def test_what_pillow_reads_otherwise_for_a_chunk_is_read_so(name: str, color: int) -> None:
    """Pillow keeps texts beside its own notes of how a file is stored: one may be `interlace`."""
    mmcv = pytest.importorskip("mmcv")
    palette = [(b"PLTE", bytes(30))] if color == 3 and not name.startswith("palette") else []
    samples = blobs(24, 31, [1, 2, 3])[..., None].astype(int)
    data = png_file(samples, 8, color, before=[*READ_OTHERWISE[name], *palette])
    try:
        host = mmcv.imfrombytes(data, flag="unchanged", backend="pillow")
    except Exception:
        host = None
    try:
        found: Any = file_stats(data, "pillow").values
    except Exception:
        found = None
    if name == "smaller frame":  # of which the host fills the rest with zeros
        assert host is not None
        assert found is None
    else:
        assert found == (None if host is None else count_values(host))


# --- counting -----------------------------------------------------------------------------------


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([1, 2, 20, 256]),
    st.integers(1, 9),
    st.sampled_from(["u1", "u2", "i4", "?", "u4", "i8"]),
    st.integers(0, 999),
)
@example(1, 1, 1, 1, "u1", 0)
@example(1, 7, 2, 1, "u1", 0)
def test_counting_is_counting(h: int, w: int, top: int, scale: int, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    array = rng.integers(0, top, (h, w)).repeat(scale, 0).repeat(scale, 1).astype(kind)
    values, counts = np.unique(array, return_counts=True)
    assert count_values(array) == tuple(zip(values.astype(int).tolist(), counts.tolist()))
    assert count_values(array[:, ::-1]) == count_values(array)


@given(
    st.lists(st.integers(0, 255), min_size=1, max_size=24),
    st.lists(st.integers(1, 40), min_size=1, max_size=24),
    st.integers(1, 60),
    st.integers(0, 15),
    st.sampled_from(["u1", "u2", "i8"]),
)
@example([1, 2], [1], 99, 3, "u1")  # one mixed word of eight, over and over
@example([7], [40], 60, 0, "u1")
def test_counting_words_that_repeat_and_long_runs_is_bincount(
    values: list[int], lengths: list[int], times: int, cut: int, kind: str
) -> None:
    word = np.repeat(values, np.resize(lengths, len(values)))
    flat = np.tile(word, times)[cut:]
    expected = np.bincount(flat, minlength=256)
    found = count_values(flat.astype(kind)[None])
    assert dict(found) == {v: n for v, n in enumerate(expected.tolist()) if n}


@pytest.mark.parametrize("kind", ["u2", "i4"])
def test_large_maps_are_counted_by_bands(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count, "_BAND", 1000)
    array = blobs(77, 91, [0, 3, 255, 256, 40_000]).astype(kind)
    values, counts = np.unique(array, return_counts=True)
    assert count_values(array) == tuple(zip(values.tolist(), counts.tolist()))
    colors = np.stack([array.astype(np.uint8)] * 2 + [np.zeros(array.shape, np.uint8)], -1)
    packed, counts = np.unique(colors[:, :, 0] * np.int64(0x010100), return_counts=True)
    pairs, more = count_colors(colors, 2)
    assert more == len(packed) - 2
    best = sorted(zip(packed.tolist(), counts.tolist()), key=lambda pair: (-pair[1], pair[0]))
    assert list(pairs) == best[:2]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGB", "P", "1", "CMYK"])
def test_large_images_are_decoded_by_bands(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = Image.fromarray(RNG.integers(0, 255, (57, 33, 3)).astype(np.uint8)).convert(mode)
    file = BytesIO()
    photo.save(file, "TIFF" if mode == "CMYK" else "PNG")
    whole = decode._by_pillow(file.getvalue())
    monkeypatch.setattr(decode, "_BAND", 100)
    found = decode._by_pillow(file.getvalue())
    assert np.array_equal(found.array, whole.array)
    assert found.array.dtype == whole.array.dtype
    assert np.array_equal(whole.array, np.array(photo.convert("RGB") if mode == "CMYK" else photo))


@pytest.mark.parametrize("size", [19_999, 20_000, 20_001, 131_071, 131_075])
def test_counting_noise_is_counting(size: int) -> None:
    array = RNG.integers(0, 256, size).astype(np.uint8)
    values, counts = np.unique(array, return_counts=True)
    assert count_values(array) == tuple(zip(values.tolist(), counts.tolist()))


def test_colours_are_counted_without_alpha() -> None:
    array = np.zeros((2, 3, 4), np.uint8)
    array[0, 0] = (1, 2, 3, 4)
    array[0, 1] = (1, 2, 3, 9)
    assert count_colors(array) == (((0, 4), (0x010203, 2)), 0)


# --- what is wrong with files -------------------------------------------------------------------

WHOLE = encoded(blobs(64, 64, [0, 1, 7]).astype(np.uint8))
HUGE = png_file(np.zeros((1, 1, 1), int), 8, 0).replace(
    b"\0\0\0\1\0\0\0\1\x08", b"\0\1\0\0\0\1\0\0\x08"
)
BROKEN = {
    "rows": (png_file(np.ones((9, 9, 1), int), 8, 0, rows=5), "it is truncated"),
    "empty": (b"", "it is empty (0 bytes)"),
    "page": (b"\n<!DOCTYPE html><html>", "it is not an image; it is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    "text": (b"hello there", "not an image that Pillow knows; it begins with b'hello th'"),
    "cut": (WHOLE[:90], "it is truncated"),
    "head": (WHOLE[:20], "it is "),
    "jpeg": (encoded(KINDS["RGB"], "JPEG")[:400], "it is truncated"),
    "huge": (HUGE, "it is "),
    "nan": (encoded(np.full((4, 4), np.nan, np.float32), "TIFF"), "numbers that are not finite"),
}


@pytest.mark.parametrize("backend", ["pillow", "cv2"])
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_file_is_said(name: str, backend: str, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    content, expected = BROKEN[name]
    (tmp_path / "a.png").write_bytes(content)
    error = label_file.examine(LabelFile("", str(tmp_path / "a.png")), backend).error
    if backend == "pillow" or name != "jpeg":  # OpenCV fills in what is missing of a JPEG
        assert expected in error


def test_a_picture_that_would_fill_the_memory_is_not_decoded(tmp_path: Path) -> None:
    header = HUGE[:16] + b"\0\1\0\0\0\1\0\0" + HUGE[24:29]
    crc = zlib.crc32(header[12:]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(header + crc + HUGE[33:])
    error = label_file.examine(LabelFile("", str(tmp_path / "a.png"))).error
    assert "larger than Pillow decodes" in error


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert label_file.examine(LabelFile("", str(tmp_path / "a.png"))).error == "no such file"
    assert label_file.examine(LabelFile("", str(tmp_path))).error == "it is a folder"


# --- sizes of images ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_the_size_of_an_image_is_what_the_host_loads(
    kind: str, orientation: Any, tmp_path: Path
) -> None:
    mmcv = pytest.importorskip("mmcv")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    options = {"exif": exif} if orientation and kind != "BMP" else {}
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(encoded(np.zeros((20, 30, 3), np.uint8), kind, **options))
    (tmp_path / "label.png").write_bytes(WHOLE)
    file = LabelFile("", str(tmp_path / "label.png"), str(path))
    facts = label_file.examine(file)
    flags = {True: "color", False: "unchanged"}
    for turns, flag in flags.items():
        shape = label_file.examine(file, turns=turns).image_shape
        assert shape == mmcv.imread(str(path), flag=flag, backend="cv2").shape[:2]
    assert facts.turned == (orientation in (5, 6, 7, 8) and kind in ("JPEG", "PNG", "WEBP"))


def test_an_image_that_cannot_be_read_is_no_fault_of_the_label(tmp_path: Path) -> None:
    (tmp_path / "label.png").write_bytes(WHOLE)
    facts = label_file.examine(LabelFile("", str(tmp_path / "label.png"), str(tmp_path / "no.jpg")))
    assert (facts.error, facts.image_shape) == ("", None)


# --- many files ---------------------------------------------------------------------------------


def write_labels(folder: Path, count: int) -> list[LabelFile]:
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index in range(count):
        path = folder / f"{index:03}.png"
        path.write_bytes(encoded(blobs(24, 33, [0, 1, 2, index % 5, 255]).astype(np.uint8)))
        files.append(LabelFile(("train", "val")[index % 4 == 3], str(path)))
    return files


READINGS = {"train": LabelReading(4), "val": LabelReading(4, reduce_zero_label=True)}


def test_all_executors_give_the_same(tmp_path: Path) -> None:
    files = write_labels(tmp_path, 150)
    (tmp_path / "008.png").write_bytes(b"")
    expected = scan_files(files, READINGS, jobs=1)
    assert expected["train"].files + expected["val"].files == 150
    assert expected["train"].problems["unreadable"].files == 1
    assert sum(expected["train"].raw.values()) + sum(expected["val"].raw.values()) == 149 * 24 * 33
    for how in ({"executor": "threads"}, {"executor": "processes"}, {"jobs": 2}, {}):
        assert scan_files(iter(files), READINGS, **how) == expected


def test_statistics_are_what_counting_by_hand_gives(tmp_path: Path) -> None:
    files = write_labels(tmp_path, 40)
    stats = scan_files(files, READINGS)["train"]
    arrays = [np.array(Image.open(f.label)) for f in files if f.split == "train"]
    together = {(a, b): 0 for a in range(4) for b in range(a + 1, 4)}
    for array in arrays:
        for a, b in together:
            together[a, b] += {a, b} <= set(array.ravel().tolist())
    assert stats.together == {pair: n for pair, n in together.items() if n}
    assert stats.images[3] == sum(bool((a == 3).any()) for a in arrays)
    inside = [int((a < 4).sum()) for a in arrays if (a == 3).any()]
    assert stats.images_pixels[3] == sum(inside)
    assert stats.labels[4] == sum(int((a == 4).sum()) for a in arrays)
    assert stats.problems["out-of-range"].values == {4: stats.labels[4]}
    assert (stats.shapes, stats.modes) == ({"24x33": 30}, {"L": 30})


def test_progress_ends_with_the_number_of_files(tmp_path: Path) -> None:
    told: list[int] = []
    scan_files(write_labels(tmp_path, 30), READINGS, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 30


def test_labels_that_two_splits_share_are_found(tmp_path: Path) -> None:
    files = [f for f in write_labels(tmp_path, 12) if f.split == "train"]
    same = tmp_path / "copy.png"
    same.write_bytes(Path(files[2].label).read_bytes())
    blank = encoded(np.zeros((9, 9), np.uint8))
    for name in ("blank1.png", "blank2.png"):
        (tmp_path / name).write_bytes(blank)
    files += [
        LabelFile("train", str(tmp_path / "blank1.png")),
        LabelFile("val", str(tmp_path / "blank2.png")),
        LabelFile("val", str(same)),
        LabelFile("val", os.path.relpath(files[0].label)),
    ]
    found = scan_files(files, READINGS)["val"].problems
    assert [o.file for o in found[SAME_FILE].worst_files] == [os.path.relpath(files[0].label)]
    (twin,) = found[SAME_LABEL].worst_files
    assert (twin.file, twin.text) == (str(same), f"the same as {files[2].label} in train")


def a_million(count: int) -> Iterator[LabelFile]:
    return (LabelFile("train", f"/nowhere/{index:07}.png") for index in range(count))


def test_memory_does_not_grow_with_the_number_of_files() -> None:
    readings = {"train": LabelReading()}
    facts = FileStats((512, 512), "L", "PNG", ((0, 9), (1, 8)), digest=1)

    def peak(count: int) -> int:
        tracemalloc.start()
        total = SplitStats()
        for _ in a_million(count):
            total.add(facts, readings["train"])
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total.files == count
        return found

    assert peak(20_000) < peak(2_000) + 100_000


def crash(file: LabelFile, facts: FileStats, reading: LabelReading) -> Iterator[Any]:
    """A decoder with a fault, for one file."""
    if file.label.endswith("041.png") and os.getpid() != int(os.environ["SCAN_PARENT"]):
        os.kill(os.getpid(), signal.SIGKILL)  # SIGSEGV would print a traceback
    return iter([("unreadable", BadFile(file.label))] if facts.error else ())


def test_a_decoder_that_crashes_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCAN_PARENT", str(os.getpid()))
    files = write_labels(tmp_path, 150)
    stats = scan_files(files, READINGS, executor="processes", jobs=2, problems=crash)
    assert stats["train"].files + stats["val"].files == 150
    (bad,) = stats["train"].problems["unreadable"].worst_files
    assert bad.file.endswith("041.png")


def test_ctrl_c_ends_at_once_and_keeps_what_is_known(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import itertools, os, signal, sys
        from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading
        from mmseg_fixkit.datasets.scan_files import scan_files
        files = (LabelFile("train", sys.argv[1]) for _ in itertools.count())
        def progress(done):
            if done > 1000:
                os.kill(os.getpid(), signal.SIGINT)
        try:
            scan_files(files, {"train": LabelReading()}, jobs=2, executor=sys.argv[2],
                       cache=sys.argv[3], progress=progress)
        except KeyboardInterrupt:
            print("stopped")
    """)
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE)
    for executor in ("processes", "threads"):
        cache = tmp_path / f"{executor}.sqlite"
        told = subprocess.run(
            [sys.executable, "-c", program, str(path), executor, str(cache)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert (told.stdout, told.stderr) == ("stopped\n", "")
        assert cache.stat().st_size > 0


def test_unknown_executors_are_refused() -> None:
    with pytest.raises(FixkitError, match="executor is 'gpu', but there are threads, processes"):
        scan_files([LabelFile("train", "x")], READINGS, executor="gpu")
    with pytest.raises(FixkitError, match="jobs is -1"):
        scan_files([LabelFile("train", "x")], READINGS, jobs=-1)


def test_a_cluster_gives_the_same(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    files = write_labels(tmp_path, 150)
    (tmp_path / "008.png").write_bytes(b"")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        found = scan_files(iter(files), READINGS, executor=f"dask://{address}")
    assert found == scan_files(files, READINGS)


def test_a_cluster_that_is_not_there_is_said() -> None:
    pytest.importorskip("distributed")
    with pytest.raises(FixkitError, match="no dask scheduler answers at"):
        scan_files([LabelFile("train", "x")], READINGS, executor="dask://127.0.0.1:9")
