"""The statistics of one label file -> what is wrong with it, as its pipeline reads it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Callable, Optional

from mmseg_fixkit.core.palettes import is_grey
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.datasets.stats import BadFile

if TYPE_CHECKING:  # the rules know the problems by name, without NumPy and Pillow
    from mmseg_fixkit.datasets.label_file import FileStats, LabelFile, LabelReading

#: Names of problems, as keys of ``SplitStats.problems``.
UNREADABLE = "unreadable"
NO_LABEL = "image-without-label"
NO_IMAGE = "label-without-image"  # found by listing, not here
UNUSED = "unused-label"  # likewise
JPEG = "jpeg"
COLOUR = "colour-mask"
GREY = "grey-as-colour"
WRAPS = "wraps"
BLURRED = "blurred"
BINARY = "binary-255"
OUT_OF_RANGE = "out-of-range"
IGNORED = "all-ignored"
SIZE = "size-differs"
SAME_FILE = "in-two-splits"  # of the later split; only the scan of both finds these two
SAME_LABEL = "same-label-in-two-splits"

Problems = Iterator[tuple[str, BadFile]]

#: Colours of one file that are remembered.
_COLORS = 256

_LOSSY = frozenset({"JPEG", "MPO"})

#: Interpolation leaves few pixels of each value between two that many pixels have. How many
#: pixels are "many", how many values there have to be, and how far apart.
_MANY = 0.01
_STRAY_VALUES = 12
_STRAY_VALUES_OF_UNKNOWN_CLASSES = 32
_SPAN = 64
_BETWEEN = 0.9
_PARTS = 8
_BOUNDARY = 0.25


def problems(file: LabelFile, stats: FileStats, reading: LabelReading) -> Problems:
    """Yield the name and the bad file of each thing that is wrong with a file.

    Of several things that are wrong with its values, it is the one that explains the others: a
    JPEG has values out of range too. Only 0 and 255 may be right, which the whole split tells, so
    it does not hide what else there is.
    """
    if stats.error:
        yield _unreadable(file, stats)
        return
    yield from _of_size(file, stats)
    values = {value for value, _ in stats.values}
    if _is_ordinary(values, stats, reading):
        return
    if values == {0, 255} and len(stats.shape) == 2:
        yield BINARY, BadFile(file.label, _pixels(stats.values[-1:]), stats.values)
    for name, find in _OF_VALUES:
        found = find(file, stats, reading)
        if found is not None:
            yield name, found
            return


def _is_ordinary(values: set[int], stats: FileStats, reading: LabelReading) -> bool:
    """Whether nothing below can find a fault: most files are so, and this is quick."""
    fitting = len(stats.shape) == 2 and values - reading.classes <= reading.ignored
    known = reading.num_classes is not None or len(values) < _STRAY_VALUES_OF_UNKNOWN_CLASSES
    classes = not values.isdisjoint(reading.classes)
    return fitting and known and classes and values != {0, 255} and stats.format not in _LOSSY


def is_missing(stats: FileStats) -> bool:
    """Whether the file could not be read because it is not there."""
    return "no such file" in stats.error.lower()


def _unreadable(file: LabelFile, stats: FileStats) -> tuple[str, BadFile]:
    if file.image and is_missing(stats):
        return NO_LABEL, BadFile(file.image, text=f"{file.label} is not there")
    return UNREADABLE, BadFile(file.label, text=stats.error)


def _of_size(file: LabelFile, stats: FileStats) -> Problems:
    size = stats.shape[:2]
    if stats.image_shape is None or size == stats.image_shape:
        return
    label, image = (f"{width} x {height}" for height, width in (size, stats.image_shape))
    text = f"{label}, its image {image}"
    if size == stats.image_shape[::-1]:
        turned = ", which its EXIF data turns" if stats.turned else ""
        text = f"{text}: on its side{turned}"
    yield SIZE, BadFile(file.label, stats.pixels, (), text)


def _jpeg(file: LabelFile, stats: FileStats, _: LabelReading) -> Optional[BadFile]:
    if stats.format not in _LOSSY:
        return None
    return BadFile(file.label, stats.pixels, text=f"{_kinds(stats)} in a {stats.format} file")


def _kinds(stats: FileStats) -> str:
    if len(stats.shape) == 3:
        return counted(len(stats.colors) + stats.more_colors, "colour")
    return counted(len(stats.values), "value")


def _grey(file: LabelFile, stats: FileStats, _: LabelReading) -> Optional[BadFile]:
    if not _is_grayscale(stats):
        return None
    values = tuple((color & 255, pixels) for color, pixels in stats.colors)
    return BadFile(file.label, stats.pixels, values[:_COLORS], f"mode {stats.mode}")


def _is_grayscale(stats: FileStats) -> bool:
    return len(stats.shape) == 3 and all(is_grey(color) for color, _ in stats.colors)


def _colour(file: LabelFile, stats: FileStats, _: LabelReading) -> Optional[BadFile]:
    if len(stats.shape) != 3:
        return None
    return BadFile(file.label, stats.pixels, stats.colors[:_COLORS], f"mode {stats.mode}")


def _wraps(file: LabelFile, stats: FileStats, reading: LabelReading) -> Optional[BadFile]:
    large = [(v, pixels) for v, pixels in stats.values if not 0 <= v < 256]
    if not large:
        return None
    return BadFile(file.label, _pixels(large), _frequent_first(large), f"mode {stats.mode}")


def _blurred(file: LabelFile, stats: FileStats, reading: LabelReading) -> Optional[BadFile]:
    stray = _stray(stats, reading)
    needed = _STRAY_VALUES_OF_UNKNOWN_CLASSES if reading.num_classes is None else _STRAY_VALUES
    if len(stray) < needed or stray[-1][0] - stray[0][0] < _SPAN:
        return None
    if reading.num_classes is None and not _fills(stats, stray):
        return None
    return BadFile(file.label, _pixels(stray), _frequent_first(stray))


def _fills(stats: FileStats, stray: list[tuple[int, int]]) -> bool:
    """Whether values are few pixels all over the range: those of many classes are not both."""
    if _pixels(stray) > _BOUNDARY * stats.pixels:
        return False
    low, high = stats.values[0][0], stats.values[-1][0] + 1
    places = Counter(_PARTS * (value - low) // (high - low) for value, _ in stray)
    return all(places[part] > 1 for part in range(_PARTS))


def _stray(stats: FileStats, reading: LabelReading) -> list[tuple[int, int]]:
    """Return the values, and their pixels, that look made by interpolation.

    Each of them is rare, is no class, and lies between two that are frequent. Where many rare
    ones lie elsewhere, as the ids of instances do, none is taken for such.
    """
    many = _MANY * stats.pixels
    frequent = [v for v, pixels in stats.values if pixels >= many]
    rare = [(v, pixels) for v, pixels in stats.values if pixels < many]
    between = [(v, n) for v, n in rare if frequent and min(frequent) < v < max(frequent)]
    if len(between) < _BETWEEN * len(rare):
        return []
    return [(v, n) for v, n in between if reading.num_classes is None or not _fits(reading, v)]


def _fits(reading: LabelReading, value: int) -> bool:
    return value in reading.classes or value in reading.ignored


def _out_of_range(file: LabelFile, stats: FileStats, reading: LabelReading) -> Optional[BadFile]:
    outside = [(v, pixels) for v, pixels in stats.values if not _fits(reading, v)]
    if not outside:
        return None
    return BadFile(file.label, _pixels(outside), _frequent_first(outside))


def _all_ignored(file: LabelFile, stats: FileStats, reading: LabelReading) -> Optional[BadFile]:
    if any(v not in reading.ignored for v, _ in stats.values):
        return None
    return BadFile(file.label, stats.pixels, stats.values)


def _pixels(values: Iterable[tuple[int, int]]) -> int:
    return sum(pixels for _, pixels in values)


def _frequent_first(values: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted(values, key=lambda pair: (-pair[1], pair[0])))


#: What can be wrong with the values of a file; the first that fits explains what follows.
_OF_VALUES: tuple[
    tuple[str, Callable[[LabelFile, FileStats, LabelReading], Optional[BadFile]]], ...
] = (
    (JPEG, _jpeg),
    (GREY, _grey),
    (COLOUR, _colour),
    (WRAPS, _wraps),
    (BLURRED, _blurred),
    (OUT_OF_RANGE, _out_of_range),
    (IGNORED, _all_ignored),
)
