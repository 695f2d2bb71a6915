"""Label files of several labels a pixel, decoded, checked and written: planes and bit maps."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.label_formats import FORMATS
from mmseg_fixkit.datasets.label_bits import (
    IGNORED,
    MAX_PNG_LABELS,
    LabelFileError,
    Map,
    checked_map,
    highest,
    label_bits,
    pack,
    runs_from_zero,
    values_in_words,
)

#: How plane files say "on": recognised, 1 (255 is ignored then), or 255.
VALUES = ("auto", 1, 255)

Size = tuple[int, int]


def checked_labels(labels: Union[int, Sequence[str]]) -> tuple[str, ...]:
    """Return the names of labels; a number stands for ``label_0``, ``label_1`` and so on.

    Raises FixkitError if there are none, too many, or two of one name.
    """
    if isinstance(labels, str):
        raise FixkitError(f"labels is the text {labels!r}, but a list of names is needed")
    names = tuple(f"label_{i}" for i in range(labels)) if isinstance(labels, int) else labels
    label_bits(len(names))
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise FixkitError(f"the label {twice[0]!r} is given twice, but every label needs a name")
    return tuple(str(name) for name in names)


def checked_format(name: str, labels: int) -> str:
    """Return the name of a format if it is known and holds that many labels; else FixkitError."""
    if name not in FORMATS:
        raise FixkitError(f"the format is {name!r}, but it has to be one of {tuple(FORMATS)}")
    if name == "bits" and labels > MAX_PNG_LABELS:
        raise FixkitError(
            f"there are {labels} labels, but a grey PNG of 16 bit has bits for {MAX_PNG_LABELS} "
            "and the ignore flag; keep them in one of the formats 'planes', 'files' and 'coco'"
        )
    return name


def decode(content: bytes, file: str) -> NDArray[Any]:
    """Decode a single-channel image; what has a palette gives its indices.

    Raises LabelFileError if it cannot be read, or has colour channels.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            values = np.array(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise LabelFileError(f"{file} cannot be read as an image: {error}") from None
    if values.ndim != 2:
        raise LabelFileError(
            f"{file} has {values.shape[2]} colour channels, but a label file has one; colours are "
            "converted to a plane for each label first"
        )
    return values.astype(np.uint8) if values.dtype == bool else values


def encode(values: NDArray[Any]) -> bytes:
    """Encode a map or plane of 8 or 16 bit as a grey PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def check_size(found: Sequence[int], image: Optional[Size], file: str) -> None:
    """Raise LabelFileError where heights and widths differ."""
    if image is not None and tuple(found) != tuple(image):
        raise LabelFileError(f"{file} is {_size(found)}, but its image is {_size(image)}")


def _size(size: Sequence[int]) -> str:
    return f"{size[1]} x {size[0]} pixels"


def read_bits(values: NDArray[Any], labels: int, file: str, image: Optional[Size] = None) -> Map:
    """Return the map that a file of the format ``bits`` holds.

    Raises LabelFileError if its size is not the image's, or a value has a bit that is no label's.
    """
    check_size(values.shape, image, file)
    return checked_map(values, labels, file)


def label_file_names(path: str, labels: Sequence[str], pattern: str) -> tuple[str, ...]:
    """Return the file of each label, for the label map ``path`` that a dataset names.

    ``pattern``, with ``{stem}``, ``{label}`` and ``{index}``, is below the folder of ``path``.
    Raises FixkitError if it gives two labels one file, or has other fields.
    """
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    try:
        names = [pattern.format(stem=stem, label=n, index=i) for i, n in enumerate(labels)]
    except (KeyError, IndexError, ValueError) as error:
        raise FixkitError(
            f"file_pattern is {pattern!r}, but only {{stem}}, {{label}} and {{index}} can stand in "
            f"it: {error}"
        ) from None
    if len(set(names)) != len(names):
        raise FixkitError(
            f"file_pattern is {pattern!r}, but each label needs a file of its own: put {{label}} "
            "or {index} into it"
        )
    return tuple(f"{folder}/{name}" if folder else name for name in names)


def filled(
    planes: Sequence[Optional[NDArray[Any]]], files: Sequence[str], size: Size
) -> list[NDArray[Any]]:
    """Return the planes, empty where there is no file; LabelFileError for one of another size."""
    for plane, file in zip(planes, files):
        check_size(size if plane is None else plane.shape, size, file)
    return [np.zeros(size, np.uint8) if plane is None else plane for plane in planes]


def side_by_side(
    values: NDArray[Any], labels: int, file: str, image: Optional[Size] = None
) -> NDArray[Any]:
    """Return the planes (L, H, W) of a file in which they stand side by side.

    Raises LabelFileError if the width is not that of ``labels`` planes, or the height is another.
    """
    height, width = values.shape
    each = width // labels if image is None else image[1]
    if width == each * labels and (image is None or height == image[0]):
        return values.reshape(height, labels, each).transpose(1, 0, 2)
    raise LabelFileError(f"{file} is {_size((height, width))}, but {_expected(labels, image)}"
                         f"{_likely(values, labels, image)}")  # fmt: skip


def _expected(labels: int, image: Optional[Size]) -> str:
    if image is None:
        return f"the width of {labels} planes side by side is a multiple of {labels}"
    planes = "the plane of 1 label" if labels == 1 else f"{labels} planes side by side"
    return (
        f"its image is {_size(image)}, so {planes} would be {_size((image[0], image[1] * labels))}"
    )


def _likely(values: NDArray[Any], labels: int, image: Optional[Size]) -> str:
    if image is None or values.shape[0] != image[0] or values.shape[1] % image[1]:
        return ""
    found = values.shape[1] // image[1]
    if found > 1:
        return f"; it has {found} planes, and {labels} labels are named"
    kind = "single-label map" if highest(values) > 1 else "mask of one label"
    return f"; it looks like a {kind}"


@dataclass(frozen=True)
class OnValue:
    """What "on" is written as in the plane files of a dataset."""

    on: int  # 1 or 255
    file: Optional[str] = None  # the file that showed it; None where the user gave it


def read_planes(
    planes: Sequence[NDArray[Any]],
    files: Sequence[str],
    values: Union[str, int] = "auto",
    on_value: Optional[OnValue] = None,
) -> tuple[Map, Optional[OnValue]]:
    """Return the map of planes (H, W) of 0 and 1, or 0 and 255, and what is known of "on" now.

    ``values`` is what "on" is written as; ``'auto'`` takes 1 where a plane has 1, and 255 where it
    has 255 and no 1. With 1, 255 is a pixel that all labels ignore. ``on_value`` is what planes
    before these have shown.

    Raises LabelFileError if a value is none of these, or two files mean different things.
    """
    known = on_value if values == "auto" else OnValue(int(values))
    tops = [int(plane.max(initial=0)) for plane in planes]
    for plane, file, top in zip(planes, files, tops):
        found = _meaning(plane, top, file, known)
        known = known or found
    ignored = None
    if known is not None and known.on == 1 and IGNORED in tops:
        ignored = np.logical_or.reduce([plane == IGNORED for plane in planes])
    return pack(planes, ignored), known


def _meaning(
    plane: NDArray[Any], top: int, file: str, known: Optional[OnValue]
) -> Optional[OnValue]:
    """Check one plane, and return what its own values say."""
    if top == 0 and plane.min(initial=0) == 0:
        return None
    ones, full = _look(plane, top, file)
    fault = _mixed(ones, full, file, known)
    if fault:
        raise LabelFileError(f"{file} {fault}")
    return OnValue(1 if ones else IGNORED, file)


def _look(plane: NDArray[Any], top: int, file: str) -> tuple[bool, bool]:
    """Return whether a plane has 1 and whether it has 255."""
    if top == 1 and plane.dtype.kind == "u":
        return True, False
    legal = (plane == 0) | (plane == 1) | (plane == IGNORED)
    if not legal.all():
        raise LabelFileError(_foreign(plane, legal, file))
    return bool((plane == 1).any()), top == IGNORED


def _foreign(plane: NDArray[Any], legal: NDArray[np.bool_], file: str) -> str:
    text = f"{file} holds {values_in_words(plane[~legal])}, but a plane holds 0 and 1, or 0 and 255"
    if runs_from_zero(plane):
        return (
            f"{text}; it holds every value of 0..{highest(plane)}, as a single-label map does, in "
            "which a pixel has one class"
        )
    return text


def _mixed(ones: bool, full: bool, file: str, known: Optional[OnValue]) -> str:
    if known is None:
        if ones and full:
            return (
                "holds 0, 1 and 255, which may be 0/1 with ignored pixels, or 0/255 with a fault; "
                "if 255 means ignored, say values=1"
            )
        return ""
    if known.on == IGNORED and ones:
        stated = "values=255 is given" if known.file is None else f"{known.file} holds 0 and 255"
        return f"holds 1, but {stated}"
    if known.on == 1 and full and known.file is not None:
        return (
            f"holds 255, but {known.file} holds 0 and 1: say values=1 if 255 means ignored, or "
            "make all files of one kind"
        )
    return ""
