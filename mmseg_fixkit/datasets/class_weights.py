"""Class weights for a loss, from the label files: the rarer a class, the more its pixels weigh.

Light enough for ``--help``, which names the methods: the statistics are imported by their callers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Optional, TypeVar

from mmseg_fixkit.config.host import NO_OBJECT_WEIGHT
from mmseg_fixkit.core.errors import FixkitError

if TYPE_CHECKING:
    from mmseg_fixkit.datasets.stats import LabelStats, SplitStats

Key = TypeVar("Key")

#: Least and largest weight.
Clip = tuple[float, float]

#: From here on, the weights of two classes are far apart.
_FAR = 100


@dataclass(frozen=True)
class ClassCounts:
    """How often each class occurs in the label files of one split."""

    split: str
    files: int  # how many
    names: tuple[str, ...]
    pixels: tuple[int, ...]  # of each class
    images: tuple[int, ...]  # the files that have it
    images_pixels: tuple[int, ...]  # the pixels of any class in those files
    #: label that is neither a class nor ignored -> pixels; nothing here counts them
    invalid: Mapping[int, int] = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)  # name of a problem -> files

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

    @property
    def present_shares(self) -> tuple[float, ...]:
        """The shares of the classes that have a pixel."""
        return tuple(share for share in self.shares if share)


def class_counts(stats: LabelStats, split: Optional[str] = None) -> ClassCounts:
    """Return how often each class occurs in one split: ``train`` or the only one, if left out.

    Raises:
        FixkitError: there is no such split, it is not known what the classes are, or none of them
            occurs.
    """
    classes = stats.classes
    if not classes:
        raise FixkitError(
            f"{stats.source}: the classes are not known; give them with --classes or --num-classes"
        )
    name, parts = _split(stats, split)
    files = sum(part.files for part in parts)
    labels = _total(part.labels for part in parts)
    labels.pop(stats.ignore_index, None)
    if not any(label in labels for label in range(len(classes))):
        seen = ", ".join(str(label) for label, _ in labels.most_common(5)) or "none"
        raise FixkitError(
            f"{stats.source}: none of the {files} label files of {name!r} has a pixel of a class "
            f"(labels 0 to {len(classes) - 1}); other labels in them: {seen}. `mmseg-fix scan` "
            "shows what is wrong"
        )

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


def _split(stats: LabelStats, split: Optional[str]) -> tuple[str, list[SplitStats]]:
    """Return the name of a split, and its parts: ``train[0]`` and on where they are kept apart."""
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


# --- the methods: counts -> a number for each class that is present -----------------------------


def median_frequency(counts: ClassCounts) -> list[float]:
    """``median(f) / f`` with f the class's share of the pixels of the images that it occurs in.

    Eigen & Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common
    Multi-Scale Convolutional Architecture", ICCV 2015, section 6.3.2. Ignored pixels count
    nowhere, so that images with wide ignored margins do not make their classes look rare.
    """
    if not all(counts.images_pixels[i] for i in counts.present):
        raise FixkitError(
            "the statistics have pixels of a class, but do not tell in which images; scan again "
            "with this version"
        )
    frequencies = [counts.pixels[i] / counts.images_pixels[i] for i in counts.present]
    middle = _median(frequencies)
    return [middle / frequency for frequency in frequencies]


def inverse_frequency(counts: ClassCounts) -> list[float]:
    """``1 / p`` with p the class's share of all pixels: every class has the same say in total.

    King & Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9 (2001), section
    4.2; scikit-learn's ``class_weight='balanced'`` but for a common factor.
    """
    return [1 / share for share in counts.present_shares]


def sqrt_inverse_frequency(counts: ClassCounts) -> list[float]:
    """``1 / sqrt(p)``: half way, in factors, between no weights and the inverse frequency.

    Cortinhal et al., "SalsaNext: Fast, Uncertainty-Aware Semantic Segmentation of LiDAR Point
    Clouds", ISVC 2020; for sampling, Mahajan et al., "Exploring the Limits of Weakly Supervised
    Pretraining", ECCV 2018.
    """
    return [1 / math.sqrt(share) for share in counts.present_shares]


def enet(counts: ClassCounts) -> list[float]:
    """``1 / ln(1.02 + p)``: between 1.4 for a class that is everywhere and 50.5 for the rarest.

    Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation",
    arXiv:1606.02147 (2016), section 5.2, with its c = 1.02.
    """
    return [1 / math.log(1.02 + share) for share in counts.present_shares]


def effective_number(counts: ClassCounts) -> list[float]:
    """``(1 - beta) / (1 - beta ** n)`` with n the class's count of pixels.

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 4.

    The paper counts images of one class and takes a beta of 0.9 to 0.9999. For the millions of
    pixels of a class ``beta ** n`` is 0 then, and all weights are the same. Its beta is
    ``(N - 1) / N`` with N the number of samples that tell all there is to tell of a class, which it
    takes to be the same for all classes. Here N is the count of the median class: classes of more
    pixels differ by a factor of 1.6 at most, those of fewer have nearly the inverse of their count.
    """
    pixels = [counts.pixels[i] for i in counts.present]
    enough = _median(pixels)
    decay = math.log1p(-1 / enough) if enough > 1 else -math.inf  # the logarithm of beta
    # expm1 and log1p: at a billion pixels 1 - beta has few digits left.
    return [math.expm1(decay) / math.expm1(decay * count) for count in pixels]


def _median(numbers: Sequence[float]) -> float:
    from statistics import median  # --help needs none

    return median(numbers)


#: The words of ``--method`` and ``--class-weight``.
METHODS: Mapping[str, Callable[[ClassCounts], list[float]]] = {
    "median-frequency": median_frequency,
    "inverse-frequency": inverse_frequency,
    "sqrt-inverse-frequency": sqrt_inverse_frequency,
    "enet": enet,
    "effective-number": effective_number,
}


# --- weights ------------------------------------------------------------------------------------


def class_weights(
    stats: LabelStats,
    method: str = "median-frequency",
    *,
    split: Optional[str] = None,
    clip: Optional[Clip] = None,
    query_head: bool = False,
    no_object: float = NO_OBJECT_WEIGHT,
) -> list[float]:
    """Return a weight for each class, by how often it occurs in the label files: 1 on average.

    A class without any pixel gets 1: it is the target of no pixel, so that its weight has no say,
    and stays harmless if it turns up later.

    Args:
        stats: of a scan that knows what the classes are.
        method: one of :data:`METHODS`.
        split: whose files count; ``train``, or the only one there is, where left out.
        clip: the least and the largest weight. They hold for the weights as returned: those in
            between are scaled such that the average is still 1, and keep their ratios.
        query_head: whether the weight of "no object" is added as number N + 1.
        no_object: that weight; neither clipped nor scaled.

    Raises:
        FixkitError: a word or number is none of the above, there is no such split, it is not
            known what the classes are, or none of them occurs.
    """
    counts = class_counts(stats, split)
    raw = METHODS[known(method, METHODS, "method")](counts)
    by_class = dict(zip(counts.present, _scaled(raw, _checked(clip))))
    average = math.fsum(by_class.values()) / len(by_class)
    weights = [by_class.get(i, average) for i in range(len(counts.names))]
    return [*weights, no_object] if query_head else weights


def rounded(weights: Sequence[float]) -> list[float]:
    """Return weights to four significant digits, as they are written into a config."""
    return [float(f"{weight:.4g}") for weight in weights]


def known(word: str, words: Collection[str], what: str) -> str:
    """Return ``word`` if it is one of ``words``; else FixkitError names the nearest."""
    from difflib import get_close_matches

    if word in words:
        return word
    near = get_close_matches(word, words, 1, 0.4)
    guess = f"did you mean {near[0]!r}? There are" if near else "there are"
    raise FixkitError(f"{word!r} is no {what}; {guess} {', '.join(words)}")


def _checked(clip: Optional[Clip]) -> Clip:
    low, high = clip or (0.0, math.inf)
    if not 0 <= low < high:
        raise FixkitError(f"clip is {low:g},{high:g}, but 0 <= least < largest has to hold")
    if not low < 1 < high:
        raise FixkitError(
            f"clip is {low:g},{high:g}, but the weights' average is to be 1, which has to lie "
            "between the two"
        )
    return low, high


def _scaled(raw: Sequence[float], clip: Clip) -> list[float]:
    """Scale and clip the weights such that their average is 1."""
    low, high = clip

    def at(factor: float) -> list[float]:
        return [min(max(factor * w, low), high) for w in raw]

    def average(factor: float) -> float:
        return math.fsum(at(factor)) / len(raw)

    # The average grows with the factor, in straight lines that bend where a weight meets a bound.
    bends = sorted({bound / w for w in raw for bound in clip if bound < math.inf} | {0.0})
    below = max(bend for bend in bends if average(bend) < 1)
    above = min((bend for bend in bends if average(bend) >= 1), default=2 * below + 1 / min(raw))
    slope = (average(above) - average(below)) / (above - below)
    return at(below + (1 - average(below)) / slope)


# --- what to know of them -----------------------------------------------------------------------


def remarks(
    counts: ClassCounts, weights: Sequence[float], *, queries: bool = False
) -> Iterator[str]:
    """Yield what is to be known of weights, for ``queries`` or not, before they are used."""
    if counts.absent:
        yield (
            f"no pixel of {', '.join(counts.absent)} in the {counts.split or 'label'} files: the "
            "weight is the average of the others, and has no say until there are some"
        )
    if counts.invalid:
        most = sorted(counts.invalid, key=lambda label: -counts.invalid[label])[:5]
        yield (
            f"{sum(counts.invalid.values()):,} pixels have a label that is neither a class nor "
            f"ignored ({', '.join(map(str, most))}) and were not counted; `mmseg-fix scan` shows "
            "the files"
        )
    if counts.problems:
        found = ", ".join(f"{name} ({files})" for name, files in counts.problems.items())
        yield f"label files with problems: {found}; `mmseg-fix scan` shows them"
    by_weight = {weights[i]: counts.names[i] for i in counts.present}
    largest, least = max(by_weight), min(by_weight)
    if largest > _FAR * least:
        yield (
            f"{by_weight[largest]} weighs {largest / least:,.0f} times as much as "
            f"{by_weight[least]}: such a loss is unsteady; --clip 0.1,10 or another method keeps "
            "them closer"
        )
    if queries:
        yield (
            "the loss of a query head counts a class once in an image, however many pixels it has: "
            "weights by pixels exaggerate there, so consider --method enet, or --clip"
        )
