"""The statistics of label files: immutable, mergeable in any order, saved as JSON.

Merging is associative and commutative, and empty statistics change nothing. Memory is bounded:

- Of the files with a problem the :data:`KEPT` worst are named, by pixels and then by name, so that
  the same ones remain in whatever order is merged. How many there are is always exact.
- Of values, labels, sizes, modes and colours :data:`TOLD_APART` are told apart, so that those of
  8 and 16 bit always are and their counts are exact. Where there are more (ids of instances in 32
  bit, photographs among colour masks), the most frequent stay; only then does the order of
  merging show, in the rarest of them.

The same file, or the same content, in two splits is found by the fold (``label_files/twins.py``)
and stands among the problems of the later split, as :data:`SAME_FILE` and :data:`SAME_LABEL`.
Merging does not look for more of them: statistics remember no names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

from mmseg_fixkit.errors import FixkitError

#: Files that are named for a problem, worst first.
KEPT = 200

#: Values, labels, sizes, modes and colours that are told apart.
TOLD_APART = 1 << 16

#: Problems that only the fold sees, of the later one of two splits.
SAME_FILE = "in-two-splits"
SAME_LABEL = "same-label-in-two-splits"

#: value -> how many.
Counts = Mapping[int, int]

Key = TypeVar("Key")


@dataclass(frozen=True)
class Offender:
    """One file with one problem.

    Args:
        file: its path.
        pixels: how many pixels are at fault: what "worst first" goes by.
        values: ``(value or colour, pixels)`` at fault, most frequent first.
        text: what else there is to say, such as the two sizes that differ.
    """

    file: str
    pixels: int = 0
    values: tuple[tuple[int, int], ...] = ()
    text: str = ""

    @property
    def rank(self) -> tuple[Any, ...]:
        """What sorts the worst first, and all others in one order only."""
        return -self.pixels, self.file, self.text, self.values


def worst(offenders: Iterable[Offender]) -> tuple[Offender, ...]:
    """Return the :data:`KEPT` worst."""
    return tuple(sorted(offenders, key=lambda offender: offender.rank)[:KEPT])


def bounded(counts: dict[Key, int]) -> dict[Key, int]:
    """Return the most frequent :data:`TOLD_APART`: nearly always all."""
    if len(counts) <= TOLD_APART:
        return counts
    frequent = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(frequent[:TOLD_APART])


def _sum(a: Mapping[Key, int], b: Mapping[Key, int]) -> dict[Key, int]:
    """Return counts of both."""
    total = dict(a)
    for key, count in b.items():
        total[key] = total.get(key, 0) + count
    return bounded(total)


@dataclass(frozen=True)
class Problem:
    """All files of a split with one problem.

    Args:
        files: how many there are.
        pixels: how many pixels are at fault in all of them.
        values: value or colour -> pixels at fault.
        worst: the first :data:`KEPT` of them, worst first.
    """

    files: int = 0
    pixels: int = 0
    values: Counts = field(default_factory=dict)
    worst: tuple[Offender, ...] = ()

    def __add__(self, other: Problem) -> Problem:
        return Problem(
            self.files + other.files,
            self.pixels + other.pixels,
            _sum(self.values, other.values),
            worst((*self.worst, *other.worst)),
        )


@dataclass(frozen=True)
class SplitStats:
    """What the label files of one split hold together.

    Args:
        files: how many were looked at, unreadable ones too.
        raw: value in the files -> pixels.
        labels: label as the pipeline reads it, but before the cast to 8 bit -> pixels.
        images: label -> files that have it.
        images_pixels: class -> pixels of any class in the files that have it: what median
            frequency balancing divides by.
        together: ``(a, b)`` with ``a < b`` -> files that have both classes.
        shapes: ``"HxW"`` -> files.
        modes: mode -> files.
        formats: format -> files.
        colors: colour of colour files, and of palettes -> pixels.
        problems: name of a problem (see ``label_files/problems.py``) -> the files that have it.
        reading: how labels were read, in words for people: ``reduce_zero_label=True, …``.
    """

    files: int = 0
    raw: Counts = field(default_factory=dict)
    labels: Counts = field(default_factory=dict)
    images: Counts = field(default_factory=dict)
    images_pixels: Counts = field(default_factory=dict)
    together: Mapping[tuple[int, int], int] = field(default_factory=dict)
    shapes: Mapping[str, int] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, int] = field(default_factory=dict)
    colors: Counts = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    reading: str = ""

    def __add__(self, other: SplitStats) -> SplitStats:
        """Return the statistics of both.

        Raises:
            FixkitError: they were read in two ways.
        """
        counts = {name: _sum(getattr(self, name), getattr(other, name)) for name in COUNTS}
        names = {*self.problems, *other.problems}
        problems = {n: _found(self, n) + _found(other, n) for n in sorted(names)}
        reading = _agreed(self.reading, other.reading, "", "labels were read with")
        return SplitStats(self.files + other.files, **counts, problems=problems, reading=reading)


#: The counts of a split: names of fields.
COUNTS = (
    "raw",
    "labels",
    "images",
    "images_pixels",
    "together",
    "shapes",
    "modes",
    "formats",
    "colors",
)


def _found(stats: SplitStats, problem: str) -> Problem:
    return stats.problems.get(problem, Problem())


def _agreed(a: Any, b: Any, nothing: Any, what: str) -> Any:
    """Return what both say, or the one that says something.

    Raises:
        FixkitError: they differ.
    """
    said = [value for value in (a, b) if value != nothing]
    if len(said) == 2 and a != b:
        raise FixkitError(f"{what} {a} in one, {b} in the other; such statistics cannot be merged")
    return said[0] if said else nothing


#: Splits that come first, in this order.
_SPLITS = ("train", "val", "test")


def ordered_splits(splits: Mapping[str, SplitStats]) -> dict[str, SplitStats]:
    """Return splits in the order train, val, test, others."""
    known = {split: place for place, split in enumerate(_SPLITS)}
    return {s: splits[s] for s in sorted(splits, key=lambda s: (known.get(s, len(known)), s))}


@dataclass(frozen=True)
class LabelStats:
    """The statistics of a scan: split -> what its files hold, and what the classes are.

    Args:
        source: the config or folder, as the user wrote it.
        splits: by name, in the order train, val, test, others.
        classes: names, where a config or the user gives them.
        palette: a colour for each class, likewise.
        ignore_index: the label that is not counted.
        reduce_zero_label: whether labels were read that way.
    """

    source: str
    splits: Mapping[str, SplitStats] = field(default_factory=dict)
    classes: Optional[tuple[str, ...]] = None
    palette: Optional[tuple[tuple[int, int, int], ...]] = None
    ignore_index: int = 255
    reduce_zero_label: bool = False

    @property
    def num_classes(self) -> Optional[int]:
        """How many classes there are; None where nothing says."""
        return None if self.classes is None else len(self.classes)

    def name(self, label: int) -> str:
        """Return what a label is called: its class name, ``ignored``, or the number itself."""
        if label == self.ignore_index:
            return "ignored"
        if self.classes is not None and 0 <= label < len(self.classes):
            return self.classes[label]
        return str(label)

    def __add__(self, other: LabelStats) -> LabelStats:
        return merged(self, other)


def merged(a: LabelStats, b: LabelStats) -> LabelStats:
    """Return the statistics of two scans together.

    Args:
        a: one of them.
        b: the other; one without splits says nothing.

    Raises:
        FixkitError: they were read in different ways, or have other classes.
    """
    if not (a.splits and b.splits):
        return max(a, b, key=lambda stats: (bool(stats.splits), stats.source))
    names = {*a.splits, *b.splits}
    none = SplitStats()
    splits = {name: a.splits.get(name, none) + b.splits.get(name, none) for name in names}
    sources = {*a.source.split(_AND), *b.source.split(_AND)}
    return LabelStats(
        _AND.join(sorted(sources)),
        ordered_splits(splits),
        _agreed(a.classes, b.classes, None, "classes are"),
        _agreed(a.palette, b.palette, None, "the palette is"),
        _agreed(a.ignore_index, b.ignore_index, ..., "ignore_index is"),
        _agreed(a.reduce_zero_label, b.reduce_zero_label, ..., "reduce_zero_label is"),
    )


#: Between the sources of merged statistics.
_AND = " + "
