"""A label file -> its facts; whatever is wrong with it becomes a fact too."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Optional

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmseg_fixkit.label_files.count import Array, Pairs, by_count, count_colors, count_values
from mmseg_fixkit.label_files.decode import Decoded, Size, decode, image_size
from mmseg_fixkit.label_files.facts import Facts, LabelFile

#: Colours of one file that are kept.
COLORS = 1024

#: What a file begins with that is something else under the name of a picture.
_OTHER_THINGS = (
    (b"version https://git-lfs", "is a pointer of Git LFS: run `git lfs pull` there"),
    (b"<!doctype html", "is a web page, as a failed download leaves it"),
    (b"<html", "is a web page, as a failed download leaves it"),
    (b"<?xml", "is XML text"),
)

Arguments = Mapping[str, Any]


def examine(
    file: LabelFile,
    backend: str = "pillow",
    with_image: bool = True,
    backend_args: Optional[Arguments] = None,
    turns: bool = True,
) -> Facts:
    """Return what a label file holds: values as decoded, before any cast or reduction.

    Args:
        file: the label and its image.
        backend: as ``imdecode_backend`` of the host.
        with_image: whether to look up the size of the image.
        backend_args: of ``mmengine.fileio``, where files are elsewhere.
        turns: whether the loader of images turns them as their EXIF data says.
    """
    try:
        data = read_bytes(file.label, backend_args)
    except Exception as error:  # of mmengine's file backends: anything
        return Facts(error=_unread(error))
    size = _image_size(file.image, backend_args) if with_image and file.image else None
    try:
        return facts_of(data, backend, size, turns)
    except Exception as error:  # decoders raise what they like at broken files
        return Facts(error=_undecoded(data, error), digest=digest(data))


def read_bytes(path: str, backend_args: Optional[Arguments] = None) -> bytes:
    """Return what a file holds; from elsewhere through MMEngine, as the host does.

    Raises:
        Exception: whatever the file backend raises.
    """
    if is_local(path, backend_args):
        with open(path, "rb", buffering=0) as file:
            return file.read()
    from mmengine import fileio

    data: bytes = fileio.get(path, backend_args=dict(backend_args) if backend_args else None)
    return data


def is_local(path: str, backend_args: Optional[Arguments] = None) -> bool:
    """Whether a file is on this machine, so that MMEngine is not needed to read it."""
    backend = (backend_args or {}).get("backend", "local")
    return backend in ("local", "LocalBackend") and "://" not in path


def facts_of(data: bytes, backend: str, size: Optional[Size] = None, turns: bool = True) -> Facts:
    """Return the facts of a label file that is in memory.

    Args:
        data: the label file.
        backend: as ``imdecode_backend`` of the host.
        size: of its image.
        turns: whether the loader of images turns them as their EXIF data says.

    Raises:
        Exception: whatever the decoder raises.
    """
    found = decode(data, backend)
    values, colors = _counted(found)
    return Facts(
        shape=found.array.shape,
        mode=found.mode,
        format=found.format,
        values=values,
        colors=colors[:COLORS],
        more_colors=max(0, len(colors) - COLORS),
        image_shape=None if size is None else size.shape(turns),
        turned=size is not None and size.sideways,
        digest=digest(data),
    )


def digest(data: bytes) -> int:
    """Return 64 bits that tell files apart, at a hundredth of what decoding costs."""
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def _counted(found: Decoded) -> tuple[Pairs, Pairs]:
    """Return values and colours, with their pixels."""
    array = found.array
    if array.ndim == 3:
        return (), count_colors(array)
    values = count_values(_whole_numbers(array))
    return values, _of_palette(values, found.palette) if found.palette else ()


def _whole_numbers(array: Array) -> Array:
    """Return numbers as the host's cast takes them: without what is behind the point.

    Raises:
        ValueError: some are not finite.
    """
    if array.dtype.kind != "f":
        return array
    if not np.isfinite(array).all():
        raise ValueError("it holds numbers that are not finite")
    return array.astype(np.int64)


def _of_palette(values: Pairs, palette: bytes) -> Pairs:
    """Return the colours that the indices of a palette file stand for."""
    counts: dict[int, int] = {}
    for index, pixels in values:
        color = int.from_bytes(palette[3 * index : 3 * index + 3].ljust(3, b"\0"), "big")
        counts[color] = counts.get(color, 0) + pixels
    return by_count(counts.items())


def _image_size(path: str, backend_args: Optional[Arguments]) -> Optional[Size]:
    """Return the size of an image; None where it cannot be read, which is no fault of the label."""
    try:
        if is_local(path, backend_args):
            with open(path, "rb") as file:
                return image_size(file)
        return image_size(BytesIO(read_bytes(path, backend_args)))
    except Exception:
        return None


# --- what is wrong ------------------------------------------------------------------------------


def _unread(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, OSError) and error.strerror:
        return f"it cannot be read: {error.strerror}"
    return f"it cannot be read: {_first_line(error)}"


def _undecoded(data: bytes, error: Exception) -> str:
    if not data:
        return "it is empty (0 bytes)"
    start = data[:64].lstrip().lower()
    for begin, what in _OTHER_THINGS:
        if start.startswith(begin):
            return f"it is no picture; it {what}"
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text.format(start=data[:8], error=_first_line(error))
    if "truncated" in str(error).lower():
        return "it is truncated: its end is missing"
    return f"it is damaged: {_first_line(error)}"


#: What a decoder raises -> what to say.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (UnidentifiedImageError, "it is no picture that Pillow knows; it begins with {start!r}"),
    (Image.DecompressionBombError, "it is larger than Pillow decodes: {error}"),
    (MemoryError, "it is too large for the memory of this machine"),
)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
