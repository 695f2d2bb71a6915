"""How often each class occurs in the label files of one split, and what to know of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional, TypeVar

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.stats import Counts, LabelStats, SplitStats

Key = TypeVar("Key")

#: From here on, the weights of two classes are said to be far apart.
_FAR = 100


@dataclass(frozen=True)
class ClassCounts:
    """How often each class occurs in the label files of one split.

    Args:
        split: its name.
        files: how many files it has.
        names: of the classes.
        pixels: of each class.
        images: the files that have it.
        images_pixels: the pixels of any class in those files.
        strays: label that is neither a class nor ignored -> pixels. Nothing here counts them.
        problems: name of a problem, as a scan finds it -> files.
    """

    split: str
    files: int
    names: tuple[str, ...]
    pixels: tuple[int, ...]
    images: tuple[int, ...]
    images_pixels: tuple[int, ...]
    strays: Counts = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)

    @property
    def present(self) -> tuple[int, ...]:
        """The classes that have a pixel."""
        return tuple(i for i, count in enumerate(self.pixels) if count)

    @property
    def absent(self) -> tuple[str, ...]:
        """The names of the classes that have none."""
        return tuple(name for name, count in zip(self.names, self.pixels) if not count)

    @property
    def shares(self) -> tuple[float, ...]:
        """The part of the pixels of all classes that each class has."""
        total = sum(self.pixels)
        return tuple(count / total for count in self.pixels)


def class_counts(stats: LabelStats, split: Optional[str] = None) -> ClassCounts:
    """Return how often each class occurs in one split.

    Args:
        stats: of a scan that knows what the classes are.
        split: whose files count; ``train``, or the only one there is, where left out.

    Raises:
        FixkitError: there is no such split, it is not known what the classes are, or none of them
            occurs.
    """
    classes = _classes(stats)
    name, parts = _split(stats, split)
    files = sum(part.files for part in parts)
    labels = _total(part.labels for part in parts)
    labels.pop(stats.ignore_index, None)
    if not any(label in labels for label in range(len(classes))):
        raise FixkitError(_none_of_them(stats, name, files, labels))

    def by_class(total: Counter[int]) -> tuple[int, ...]:
        return tuple(total[label] for label in range(len(classes)))

    return ClassCounts(
        name,
        files,
        classes,
        by_class(labels),
        by_class(_total(part.images for part in parts)),
        by_class(_total(part.images_pixels for part in parts)),
        {label: n for label, n in labels.items() if not 0 <= label < len(classes)},
        _total({k: p.files for k, p in part.problems.items()} for part in parts),
    )


def _classes(stats: LabelStats) -> tuple[str, ...]:
    if not stats.classes:
        raise FixkitError(
            f"{stats.source}: nothing says what the classes are; give them with --classes or "
            "--num-classes"
        )
    return stats.classes


def _split(stats: LabelStats, split: Optional[str]) -> tuple[str, list[SplitStats]]:
    """Return the name of a split, and its parts: ``train[0]`` and on where they are told apart."""
    names = list(stats.splits)
    wanted = names[0] if split is None and len(names) == 1 else split or "train"
    parts = [name for name in names if name == wanted or name.startswith(f"{wanted}[")]
    if not parts:
        there = ", ".join(names) or "none"
        raise FixkitError(
            f"{stats.source} has no label files of the split {wanted!r} (there: {there}); name "
            "one with --split"
        )
    return wanted, [stats.splits[name] for name in parts]


def _total(counts: Iterable[Mapping[Key, int]]) -> Counter[Key]:
    total: Counter[Key] = Counter()
    for each in counts:
        total.update({key: number for key, number in each.items() if number})
    return total


def _none_of_them(stats: LabelStats, name: str, files: int, labels: Counter[int]) -> str:
    last = len(stats.classes or ()) - 1
    seen = ", ".join(str(label) for label, _ in labels.most_common(5)) or "none"
    return (
        f"{stats.source}: none of the {files} label files of {name!r} has a pixel of a class "
        f"(labels 0 to {last}); other labels in them: {seen}. `mmseg-fix scan` shows what is wrong"
    )


def remarks(
    counts: ClassCounts, weights: Sequence[float], *, queries: bool = False
) -> Iterator[str]:
    """Say what is to be known of weights before they are used.

    Args:
        counts: what they were computed from.
        weights: of the classes; more are not looked at.
        queries: whether they are for query heads, and count pixels.
    """
    if counts.absent:
        yield (
            f"no pixel of {', '.join(counts.absent)} in the {counts.split or 'label'} files: the "
            "weight is the average of the others, and has no say until there are some"
        )
    if counts.strays:
        yield _of_strays(counts.strays)
    if counts.problems:
        found = ", ".join(f"{name} ({files})" for name, files in counts.problems.items())
        yield f"label files with problems: {found}; `mmseg-fix scan` shows them"
    yield from _far_apart({weights[i]: counts.names[i] for i in counts.present})
    if queries:
        yield (
            "the loss of a query head counts a class once in an image, however many pixels it has: "
            "consider `mmseg-fix weights --count images`"
        )


def _of_strays(strays: Counts) -> str:
    most = sorted(strays, key=lambda label: -strays[label])[:5]
    return (
        f"{sum(strays.values()):,} pixels have a label that is neither a class nor ignored "
        f"({', '.join(map(str, most))}) and were not counted; `mmseg-fix scan` shows the files"
    )


def _far_apart(by_weight: Mapping[float, str]) -> Iterator[str]:
    largest, least = max(by_weight), min(by_weight)
    if largest > _FAR * least:
        yield (
            f"{by_weight[largest]} weighs {largest / least:,.0f} times as much as "
            f"{by_weight[least]}: such a loss is unsteady; --clip 0.1,10 or another method keeps "
            "them closer"
        )
