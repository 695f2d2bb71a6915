"""One label file: what it holds, whatever config reads it, and how a pipeline reads it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any, Optional

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmseg_fixkit.datasets.count import Array, Pairs, by_count, count_colors, count_values
from mmseg_fixkit.datasets.decode import PNG_SIGNATURE, Decoded, Size, decode, image_size

#: The host casts labels to this many values.
_EIGHT_BIT = 256

#: Values whose meaning is remembered.
_MEANINGS = 1 << 16


@dataclass(frozen=True)
class LabelFile:
    """One label file to read."""

    split: str  # ``train``, ``val`` or ``test``; without a config a folder's own name, or ``""``
    label: str  # the path, as the pipeline opens it
    image: Optional[str] = None  # the path of its image; None where it is not known
    fault: str = ""  # why listing found no file here, but something that cannot be read


@dataclass(frozen=True)
class FileStats:
    """What one label file holds, whatever config reads it: this is what the cache keeps."""

    shape: tuple[int, ...] = ()  # ``(H, W)`` of values, ``(H, W, C)`` of colours
    mode: str = ""  # as Pillow names it: ``L``, ``I;16``, …; ``""`` if unreadable
    format: str = ""  # likewise: ``PNG``, ``JPEG``, …
    values: tuple[tuple[int, int], ...] = ()  # ``(value, pixels)``, by value; as decoded
    #: ``(0xRRGGBB, pixels)`` of colours or of a palette (mode ``P``): the 1,024 most frequent
    colors: tuple[tuple[int, int], ...] = ()
    more_colors: int = 0  # those left out of ``colors``
    #: ``(H, W)`` of the image, as the host's image loader would return it
    image_shape: Optional[tuple[int, int]] = None
    turned: bool = False  # the image's EXIF data turns it on its side
    digest: int = 0  # of the label file's bytes
    error: str = ""  # why it cannot be read; everything above is empty then

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.shape[0] * self.shape[1] if self.shape else 0


@dataclass(frozen=True)
class LabelReading:
    """How a pipeline turns the values of a file into labels.

    The host decodes, casts to 8 bit, reduces the zero label, then maps labels (mmseg 1.2.2,
    ``datasets/transforms/loading.py``). The scan leaves the cast out, to see what it would hide.
    """

    num_classes: Optional[int] = None  # None where no config says
    ignore_index: int = 255
    reduce_zero_label: bool = False  # 0 becomes 255 and every other value one less
    label_map: tuple[tuple[int, int], ...] = ()  # old and new labels, after the reduction
    backend: str = "pillow"  # as ``imdecode_backend`` names it
    #: of ``mmengine.fileio``, sorted; empty for this machine's own files
    backend_args: tuple[tuple[str, Any], ...] = ()
    #: as EXIF data says: mmcv does, with cv2 or pillow, for ``color_type`` 'color', 'grayscale'
    turns_images: bool = True

    @cached_property
    def _mapped(self) -> dict[int, int]:
        return dict(self.label_map)

    def label(self, value: int) -> int:
        """Return the label that ``value`` of a file becomes, were it not cast to 8 bit."""
        if self.reduce_zero_label:
            # 255 stays: the host turns 0 into 255, takes one off, and turns 254 back.
            value = 255 if value in (0, 255) else value - 1
        return self._mapped.get(value, value)

    def meaning(self, value: int) -> tuple[int, bool]:
        """Return the label that ``value`` becomes, and whether it is that of a class."""
        known = self._meanings.get(value)
        if known is None:
            label = self.label(value)
            known = label, self.is_class(label)
            if len(self._meanings) < _MEANINGS:
                self._meanings[value] = known
        return known

    @cached_property
    def _meanings(self) -> dict[int, tuple[int, bool]]:
        return {}

    @cached_property
    def classes(self) -> frozenset[int]:
        """The 8-bit values that become the label of a class."""
        return frozenset(v for v in range(_EIGHT_BIT) if self.is_class(self.label(v)))

    @cached_property
    def ignored(self) -> frozenset[int]:
        """The 8-bit values that become the ignored label."""
        return frozenset(v for v in range(_EIGHT_BIT) if self.label(v) == self.ignore_index)

    def is_class(self, label: int) -> bool:
        """Whether a label is that of a class; without a config, every one but the ignored is."""
        if label == self.ignore_index:
            return False
        return label >= 0 and (self.num_classes is None or label < self.num_classes)

    @property
    def in_words(self) -> str:
        """What a report says of it."""
        words = [f"imdecode_backend={self.backend}"]
        if self.reduce_zero_label:
            words.append("reduce_zero_label=True")
        if self.ignore_index != 255:
            words.append(f"ignore_index={self.ignore_index}")
        if self.label_map:
            words.append(f"label_map of {len(self.label_map)}")
        return ", ".join(words)


# --- read ---------------------------------------------------------------------------------------

#: Colours of one file that are kept.
COLORS = 1024

#: What a file begins with that is something else under the name of an image.
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
) -> FileStats:
    """Return what a label file holds: values as decoded, before any cast or reduction.

    ``turns`` says whether the loader of images turns them as their EXIF data says.
    """
    if file.fault:
        return FileStats(error=file.fault)
    try:
        data = read_bytes(file.label, backend_args)
    except Exception as error:  # of mmengine's file backends: anything
        return FileStats(error=unreadable(error))
    size = _image_size(file.image, backend_args) if with_image and file.image else None
    try:
        return file_stats(data, backend, size, turns)
    except Exception as error:  # decoders raise what they like at broken files
        return FileStats(error=_undecoded(data, error), digest=digest(data))


def read_bytes(path: str, backend_args: Optional[Arguments] = None) -> bytes:
    """Return what a file holds; from elsewhere through MMEngine, as the host does.

    Raises whatever the file backend does.
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


def file_stats(
    data: bytes, backend: str, size: Optional[Size] = None, turns: bool = True
) -> FileStats:
    """Return what a label file in memory holds, given the size of its image; see :func:`examine`.

    Raises whatever the decoder does.
    """
    found = decode(data, backend)
    values, colors, more_colors = _counted(found)
    return FileStats(
        shape=found.array.shape,
        mode=found.mode,
        format=found.format,
        values=values,
        colors=colors,
        more_colors=more_colors,
        image_shape=None if size is None else size.shape(turns),
        turned=size is not None and size.sideways,
        digest=digest(data),
    )


def digest(data: bytes) -> int:
    """Return 64 bits that tell files apart, at a hundredth of what decoding costs."""
    return zlib.crc32(data) << 32 | zlib.adler32(data)


def _counted(found: Decoded) -> tuple[Pairs, Pairs, int]:
    """Return values and colours, with their pixels, and how many colours are left out."""
    array = found.array
    if array.ndim == 3:
        return (), *count_colors(array, COLORS)
    values = count_values(_whole_numbers(array))
    return values, _of_palette(values, found.palette) if found.palette else (), 0


def _whole_numbers(array: Array) -> Array:
    """Return numbers cut to whole ones, as the host's cast does.

    Raises ValueError for numbers that are not finite, or that no whole number of 64 bit is.
    """
    if array.dtype.kind != "f":
        return array
    ends = np.array([array.min(), array.max()])
    if not np.isfinite(ends).all():
        raise ValueError("it holds numbers that are not finite")
    if np.abs(ends).max() >= 2.0**62:
        raise ValueError("it holds numbers that are too large for labels")
    return array.astype(np.int64 if np.abs(ends).max() >= 2.0**31 else np.int32)


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


def unreadable(error: Exception) -> str:
    """Say why the bytes of something cannot be read."""
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
            return f"it is not an image; it {what}"
    if isinstance(error, UnidentifiedImageError) and data.startswith(PNG_SIGNATURE):
        return "it is damaged: Pillow refuses its header, or what stands before its pixels"
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text.format(start=data[:8], error=_first_line(error))
    if "truncated" in str(error).lower():
        return "it is truncated: its end is missing"
    return f"it is damaged: {_first_line(error)}"


#: What a decoder raises -> what to say.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (UnidentifiedImageError, "it is not an image that Pillow knows; it begins with {start!r}"),
    (Image.DecompressionBombError, "it is larger than Pillow decodes: {error}"),
    (MemoryError, "it is too large for the memory of this machine"),
)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
