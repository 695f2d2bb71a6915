"""What the two reports of a scan show: rows of a distribution, numbers in words, worst files."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from mmseg_fixkit.core.diagnostics import Diagnostic
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.datasets import problems as kinds
from mmseg_fixkit.datasets.stats import BadFile, LabelStats, Problem, SplitStats

CLASS, IGNORED, OTHER, COLOR = "class", "ignored", "other", "colour"

_GOLDEN = 0.618034


@dataclass(frozen=True)
class Row:
    """One label of a split."""

    label: int  # 0xRRGGBB in a row of a colour
    name: str
    kind: str  # CLASS, IGNORED, OTHER (no class has it) or COLOR
    pixels: int
    files: Optional[int]  # None where that is not counted
    share: float  # of all pixels of the split
    color: Color


def distribution(stats: LabelStats, split: SplitStats) -> tuple[Row, ...]:
    """Return a row for each class, absent ones too, and for each other label that was found.

    The most frequent come first, classes before the others. Without a label map in any file, the
    rows are of colours.
    """
    if not split.labels and split.colors:
        return _colors(split.colors)
    total = sum(split.labels.values()) or 1
    labels = set(split.labels) | set(range(stats.num_classes or 0))
    found = [
        Row(
            label,
            stats.name(label),
            kind_of(stats, label),
            split.labels.get(label, 0),
            split.images.get(label, 0),
            split.labels.get(label, 0) / total,
            color_of(stats, label),
        )
        for label in labels
    ]
    return tuple(sorted(found, key=lambda row: (_ORDER[row.kind], -row.pixels, row.label)))


_ORDER = {CLASS: 0, COLOR: 0, OTHER: 1, IGNORED: 2}


def _colors(colors: Mapping[int, int]) -> tuple[Row, ...]:
    total = sum(colors.values()) or 1
    found = [
        Row(code, color_name(code), COLOR, pixels, None, pixels / total, unpacked(code))
        for code, pixels in colors.items()
    ]
    return tuple(sorted(found, key=lambda row: -row.pixels))


def decades(rows: Sequence[Row], most: int) -> int:
    """Return how many powers of ten a bar spans: 2 or more, down to the rarest class."""
    shares = [row.share for row in rows if row.pixels and row.kind != OTHER]
    return min(max(math.ceil(-math.log10(min(shares, default=1.0))), 2), most)


def log_length(share: float, span: int) -> float:
    """Return how much of its whole length a bar takes that spans so many powers of ten."""
    return max(0.0, 1 + math.log10(share) / span) if share else 0.0


def kind_of(stats: LabelStats, label: int) -> str:
    """Return whether a label is that of a class, ignored, or neither."""
    if label == stats.ignore_index:
        return IGNORED
    known = stats.num_classes
    return CLASS if label >= 0 and (known is None or label < known) else OTHER


def color_of(stats: LabelStats, label: int) -> Color:
    """Return the palette's colour of a label, or one of our own that neighbours do not have."""
    if label == stats.ignore_index:
        return (128, 128, 128)
    if stats.palette is not None and 0 <= label < len(stats.palette):
        return stats.palette[label]
    light = (0.55, 0.68, 0.45)[label % 3]
    red, green, blue = colorsys.hls_to_rgb(label * _GOLDEN % 1.0, light, 0.62)
    return (round(red * 255), round(green * 255), round(blue * 255))


def unpacked(code: int) -> Color:
    """Return the parts of ``0xRRGGBB``."""
    return (code >> 16 & 255, code >> 8 & 255, code & 255)


def hexed(color: Color) -> str:
    """Write a colour as pages do."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def color_name(code: int) -> str:
    """Write ``0xRRGGBB`` as pages do."""
    return hexed(unpacked(code))


def absent(stats: LabelStats, split: SplitStats) -> tuple[str, ...]:
    """Return the names of classes without a pixel; none where the classes are not known."""
    if not split.labels:
        return ()
    return tuple(stats.name(n) for n in range(stats.num_classes or 0) if not split.labels.get(n))


def share_of_ignored(stats: LabelStats, split: SplitStats) -> float:
    """Return how much of a split is not counted."""
    return split.labels.get(stats.ignore_index, 0) / (sum(split.labels.values()) or 1)


def pixels(split: SplitStats) -> int:
    """Return how many pixels were counted, of label maps or of colours."""
    return sum(split.raw.values()) or sum(split.labels.values()) or sum(split.colors.values())


def readings(stats: LabelStats) -> str:
    """Return how labels were read: once where all splits agree."""
    words = {name: split.reading for name, split in stats.splits.items() if split.reading}
    if len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{name}: {reading}" for name, reading in words.items())


@dataclass(frozen=True)
class Fault:
    """One file of a finding, its split, and the name of the problem."""

    split: str
    problem: str
    bad_file: BadFile


#: Code of a finding -> the problems of files that it may be about.
_PROBLEMS = {
    "MSF401": (kinds.OUT_OF_RANGE,),
    "MSF402": (kinds.WRAPS,),
    "MSF403": (kinds.COLOUR,),
    "MSF404": (kinds.GREY,),
    "MSF405": (kinds.BINARY,),
    "MSF406": (kinds.JPEG,),
    "MSF407": (kinds.BLURRED,),
    "MSF408": (kinds.IGNORED,),
    "MSF411": (kinds.UNREADABLE,),
    "MSF412": (kinds.NO_LABEL,),
    "MSF413": (kinds.NO_IMAGE, kinds.UNUSED),
    "MSF414": (kinds.SIZE,),
    "MSF421": (kinds.OUT_OF_RANGE,),
    "MSF422": (kinds.OUT_OF_RANGE,),
    "MSF425": (kinds.SAME_FILE, kinds.SAME_LABEL),
    "MSF426": (kinds.COLOUR,),
}


def problems_of(stats: LabelStats, diagnostic: Diagnostic) -> tuple[tuple[str, str, Problem], ...]:
    """Return ``(split, name, problem)`` of what a finding is about.

    Its key begins with the split. Of several problems, its place tells which: the worst file.
    """
    found = [
        (split, name, stats.splits[split].problems[name])
        for split in stats.splits
        if split in diagnostic.key
        for name in _PROBLEMS.get(diagnostic.code, ())
        if name in stats.splits[split].problems
    ]
    place = diagnostic.location.file if diagnostic.location else ""
    there = [each for each in found if place in {o.file for o in each[2].worst_files[:1]}]
    return tuple(there or found)


def faults(stats: LabelStats, diagnostic: Diagnostic) -> tuple[Fault, ...]:
    """Return the files of a finding that are known, worst first."""
    found = [
        Fault(split, name, bad_file)
        for split, name, problem in problems_of(stats, diagnostic)
        for bad_file in problem.worst_files
    ]
    return tuple(sorted(found, key=lambda fault: -fault.bad_file.pixels))


def short(number: int) -> str:
    """Write a large number by three digits: ``6.24 G``."""
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M")):
        if number >= size:
            value = number / size
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return f"{number:,}"


def percent(share: float) -> str:
    """Write a share so that rare classes do not become zero."""
    value = share * 100
    if value == 0:
        return "0 %"
    if value < 0.0001:
        return "<0.0001 %"
    for least, digits in ((10, 1), (0.1, 2), (0.01, 3)):
        if value >= least:
            return f"{value:.{digits}f} %"
    return f"{value:.4f} %"
