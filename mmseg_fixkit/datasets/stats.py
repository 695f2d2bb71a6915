"""The statistics of label files: added up file by file, merged in any order, saved as JSON.

Merging is associative and commutative, and empty statistics change nothing. Memory is bounded:

- Of the files with a problem the :data:`MAX_FILES` worst are named, by pixels and then by name, so
  that the same ones remain in whatever order is merged. How many there are is always exact.
- At most :data:`MAX_DISTINCT` values, labels, sizes, modes and colours are kept apart, so that
  those of 8 and 16 bit always are and their counts are exact. Where there are more (ids of
  instances in 32 bit, photographs among colour masks), the rarer half is left out; only then does
  the order of merging show, in the rarest of them.

The same file, or the same content, in two splits is found by the scan (``duplicates.py``). Merging
does not look for more of them: statistics remember no names.
"""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from mmseg_fixkit.core.errors import FixkitError

if TYPE_CHECKING:
    from mmseg_fixkit.datasets.label_file import FileStats, LabelReading

#: Files that are named for a problem, worst first.
MAX_FILES = 200

#: Values, labels, sizes, modes and colours that are kept apart.
MAX_DISTINCT = 1 << 16

#: Classes that are counted together: labels have 8 bit.
_CLASSES = 256

#: value -> how many.
Counts = dict[int, int]

Key = TypeVar("Key")
_Path = Union[str, Path]


@dataclass(frozen=True)
class BadFile:
    """One file with one problem."""

    file: str  # its path
    pixels: int = 0  # at fault: what "worst first" goes by
    values: tuple[tuple[int, int], ...] = ()  # ``(value or colour, pixels)``, most frequent first
    text: str = ""  # what else there is to say, such as the two sizes that differ

    def _rank(self) -> tuple[Any, ...]:
        return -self.pixels, self.file, self.text, self.values

    def __lt__(self, other: BadFile) -> bool:
        """Whether it is the worse one of two; all files have one order only."""
        return self._rank() < other._rank()


def _add(counts: dict[Key, int], pairs: Iterable[tuple[Key, int]]) -> None:
    for key, count in pairs:
        counts[key] = counts.get(key, 0) + count
    if len(counts) > MAX_DISTINCT:
        frequent = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        counts.clear()
        counts.update(frequent[: MAX_DISTINCT // 2])


@dataclass
class Problem:
    """All files of a split with one problem."""

    files: int = 0  # how many
    pixels: int = 0  # at fault, in all of them
    values: Counts = field(default_factory=dict)  # value or colour -> pixels at fault
    worst_files: list[BadFile] = field(default_factory=list)  # first :data:`MAX_FILES`, worst first

    def add(self, bad: BadFile) -> None:
        """Add one file."""
        self.files += 1
        self.pixels += bad.pixels
        _add(self.values, bad.values)
        if len(self.worst_files) < MAX_FILES or bad < self.worst_files[-1]:
            insort(self.worst_files, bad)
            del self.worst_files[MAX_FILES:]

    def merge(self, other: Problem) -> None:
        """Add all files of another."""
        self.files += other.files
        self.pixels += other.pixels
        _add(self.values, other.values.items())
        self.worst_files = sorted((*self.worst_files, *other.worst_files))[:MAX_FILES]


@dataclass
class SplitStats:
    """What the label files of one split hold together."""

    files: int = 0  # unreadable ones too
    reading: str = ""  # how labels were read, in words for people: ``reduce_zero_label=True, …``
    raw: Counts = field(default_factory=dict)  # value in the files -> pixels
    labels: Counts = field(default_factory=dict)  # label as read, but not cast to 8 bit -> pixels
    images: Counts = field(default_factory=dict)  # label -> files that have it
    #: class -> pixels of any class in the files that have it: for median frequency balancing
    images_pixels: Counts = field(default_factory=dict)
    #: ``(a, b)`` with ``a < b`` -> files that have both classes
    together: dict[tuple[int, int], int] = field(default_factory=dict)
    shapes: dict[str, int] = field(default_factory=dict)  # ``"HxW"`` -> files
    modes: dict[str, int] = field(default_factory=dict)  # mode -> files
    formats: dict[str, int] = field(default_factory=dict)  # format -> files
    colors: Counts = field(default_factory=dict)  # of colour files, and palettes -> pixels
    problems: dict[str, Problem] = field(default_factory=dict)  # by name, see ``problems.py``

    def add(
        self,
        file: FileStats,
        reading: LabelReading,
        found: Iterable[tuple[str, BadFile]] = (),
    ) -> None:
        """Add one file, with its problems by name."""
        self.files += 1
        for name, bad in found:
            self.problem(name).add(bad)
        if file.error:
            return
        _add(self.shapes, (("x".join(map(str, file.shape[:2])), 1),))
        _add(self.modes, ((file.mode, 1),))
        _add(self.formats, ((file.format, 1),))
        _add(self.colors, file.colors)
        _add(self.raw, file.values)
        labels: Counts = {}
        classes: set[int] = set()
        for value, pixels in file.values:
            label, is_class = reading.meaning(value)
            labels[label] = labels.get(label, 0) + pixels
            if is_class:
                classes.add(label)
        inside = sum(labels[label] for label in classes)
        _add(self.labels, labels.items())
        _add(self.images, ((label, 1) for label in labels))
        _add(self.images_pixels, ((label, inside) for label in classes))
        small = sorted(label for label in classes if label < _CLASSES)
        _add(self.together, ((pair, 1) for pair in combinations(small, 2)))

    def problem(self, name: str) -> Problem:
        """Return the problem of a name, to add to it."""
        return self.problems.setdefault(name, Problem())

    def merge(self, other: SplitStats) -> None:
        """Add all files of another split; FixkitError if they were read in two ways."""
        self.reading = _agreed(self.reading, other.reading, "", "labels were read with")
        self.files += other.files
        for name in _COUNTS:
            _add(getattr(self, name), getattr(other, name).items())
        for name, problem in other.problems.items():
            self.problem(name).merge(problem)

    def __add__(self, other: SplitStats) -> SplitStats:
        """Return the statistics of both; raises as :meth:`merge`."""
        both = SplitStats()
        both.merge(self)
        both.merge(other)
        return both


_NO_COUNTS = ("files", "reading", "problems")
_COUNTS = tuple(each.name for each in fields(SplitStats) if each.name not in _NO_COUNTS)


def _agreed(a: Any, b: Any, nothing: Any, what: str) -> Any:
    """Return what both say, or the one that says something; FixkitError if they differ."""
    stated = [value for value in (a, b) if value != nothing]
    if len(stated) == 2 and a != b:
        raise FixkitError(f"{what} {a} in one, {b} in the other; such statistics cannot be merged")
    return stated[0] if stated else nothing


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
        """Return the statistics of two scans together; one without splits says nothing.

        Raises:
            FixkitError: they were read in different ways, or have other classes.
        """
        if not (self.splits and other.splits):
            return max(self, other, key=lambda stats: (bool(stats.splits), stats.source))
        none = SplitStats()
        names = {*self.splits, *other.splits}
        splits = {n: self.splits.get(n, none) + other.splits.get(n, none) for n in names}
        return LabelStats(
            _AND.join(sorted({*self.source.split(_AND), *other.source.split(_AND)})),
            ordered_splits(splits),
            _agreed(self.classes, other.classes, None, "classes are"),
            _agreed(self.palette, other.palette, None, "the palette is"),
            _agreed(self.ignore_index, other.ignore_index, ..., "ignore_index is"),
            _agreed(self.reduce_zero_label, other.reduce_zero_label, ..., "reduce_zero_label is"),
        )


#: Between the sources of merged statistics.
_AND = " + "


# --- JSON ---------------------------------------------------------------------------------------

#: What the file says it is.
FORMAT = "mmseg-fixkit label statistics"
VERSION = 1

#: Counts whose keys are words; those of the others are numbers.
_BY_WORD = ("shapes", "modes", "formats")


def save_stats(stats: LabelStats, path: _Path) -> None:
    """Write statistics to a JSON file, in one step; FixkitError if it cannot be written."""
    from mmseg_fixkit.core.files import write_file

    write_file(path, f"{json.dumps(stats_to_json(stats), indent=1)}\n")


def load_stats(path: _Path) -> LabelStats:
    """Return the statistics in a file that :func:`save_stats` wrote; else FixkitError."""
    try:
        tree = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise FixkitError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        tree = None
    return stats_from_json(tree, path)


def are_stats(path: str) -> bool:
    """Whether a file is meant to hold statistics: any ``.json`` that is not a config in JSON."""
    if not path.endswith(".json"):
        return False
    try:
        tree = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return True
    is_config = (
        isinstance(tree, dict) and "format" not in tree and tree.keys() & {"model", "_base_"}
    )
    return not is_config


def stats_to_json(stats: LabelStats) -> dict[str, Any]:
    """Return statistics as JSON knows them."""
    tree = {"format": FORMAT, "version": VERSION, **vars(stats)}
    return {**tree, "splits": {name: _split_to_json(s) for name, s in stats.splits.items()}}


def _split_to_json(split: SplitStats) -> dict[str, Any]:
    counts = {name: dict(sorted(getattr(split, name).items())) for name in _COUNTS}
    pairs = [[*pair, files] for pair, files in counts["together"].items()]
    problems = {
        name: {
            "files": problem.files,
            "pixels": problem.pixels,
            "values": dict(sorted(problem.values.items())),
            "worst": [vars(bad) for bad in problem.worst_files],
        }
        for name, problem in sorted(split.problems.items())
    }
    return {**vars(split), **counts, "together": pairs, "problems": problems}


def stats_from_json(tree: Any, path: _Path = "") -> LabelStats:
    """Return the statistics that :func:`stats_to_json` turned into a tree, or raise FixkitError.

    ``path`` is where it comes from, for messages.
    """
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise FixkitError(
            f"{path} holds no label statistics; write them with `mmseg-fix scan CONFIG|DIR` and "
            "its option to save them"
        )
    if tree.get("version") != VERSION:
        raise FixkitError(
            f"{path} has version {tree.get('version')} of label statistics, but this release reads "
            f"version {VERSION}; scan again"
        )
    try:
        return _stats(tree)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FixkitError(
            f"{path} holds damaged label statistics ({error!r}); scan again"
        ) from None


def _stats(tree: Mapping[str, Any]) -> LabelStats:
    classes, palette = tree["classes"], tree["palette"]
    splits = {str(name): _split(split) for name, split in tree["splits"].items()}
    return LabelStats(
        str(tree["source"]),
        ordered_splits(splits),
        None if classes is None else tuple(map(str, classes)),
        None if palette is None else tuple((int(r), int(g), int(b)) for r, g, b in palette),
        int(tree["ignore_index"]),
        bool(tree["reduce_zero_label"]),
    )


def _split(tree: Mapping[str, Any]) -> SplitStats:
    counts: dict[str, Any] = {
        name: _counts(tree[name], str if name in _BY_WORD else int)
        for name in _COUNTS
        if name != "together"
    }
    counts["together"] = {(int(a), int(b)): int(files) for a, b, files in tree["together"]}
    problems = {str(name): _problem(**found) for name, found in tree["problems"].items()}
    return SplitStats(int(tree["files"]), str(tree["reading"]), **counts, problems=problems)


def _counts(tree: Mapping[str, Any], kind: type) -> dict[Any, int]:
    return {kind(key): int(count) for key, count in tree.items()}


def _problem(files: Any, pixels: Any, values: Any, worst: Any) -> Problem:
    return Problem(int(files), int(pixels), _counts(values, int), [_bad(**bad) for bad in worst])


def _bad(file: Any, pixels: Any, values: Any, text: Any) -> BadFile:
    pairs = tuple((int(value), int(count)) for value, count in values)
    return BadFile(str(file), int(pixels), pairs, str(text))
