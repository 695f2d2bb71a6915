"""Class weights for a loss, from the label files: the rarer a class, the more its pixels weigh."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from statistics import median
from typing import Callable, Optional

from mmseg_fixkit.config.host import NO_OBJECT_WEIGHT
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.class_counts import ClassCounts, class_counts
from mmseg_fixkit.datasets.stats import LabelStats

#: Least and largest weight.
Clip = tuple[float, float]

_NO_IMAGES = (
    "the statistics have pixels of a class, but do not say in which images; scan again with this "
    "version"
)


@dataclass(frozen=True)
class Samples:
    """What a formula is given of the classes that occur.

    Args:
        counts: how many samples (pixels, or files) each class has: at least one.
        around: the samples of any class in the files that have it; None where not counted.
        beta: the hyperparameter of :func:`effective_number`.
    """

    counts: Sequence[int]
    around: Optional[Sequence[int]] = None
    beta: Optional[float] = None

    @property
    def shares(self) -> list[float]:
        """The part of the samples that each class has: they sum up to 1."""
        total = sum(self.counts)
        return [count / total for count in self.counts]


def median_frequency(samples: Samples) -> list[float]:
    """``median(f) / f`` with f the class's share of the pixels of the images that it occurs in.

    Eigen & Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common
    Multi-Scale Convolutional Architecture", ICCV 2015, section 6.3.2. Ignored pixels count
    nowhere, so that images with wide ignored margins do not make their classes look rare.
    """
    if samples.around is None:
        raise FixkitError(
            "median-frequency is about shares of pixels, so it cannot count images; take "
            "inverse-frequency with --count images, or count pixels"
        )
    if not all(samples.around):
        raise FixkitError(_NO_IMAGES)
    frequencies = [count / around for count, around in zip(samples.counts, samples.around)]
    middle = median(frequencies)
    return [middle / frequency for frequency in frequencies]


def inverse_frequency(samples: Samples) -> list[float]:
    """``1 / p`` with p the class's share of all pixels: every class has the same say in total.

    King & Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9 (2001), section
    4.2; scikit-learn's ``class_weight='balanced'`` but for a common factor.
    """
    return [1 / share for share in samples.shares]


def sqrt_inverse_frequency(samples: Samples) -> list[float]:
    """``1 / sqrt(p)``: half way, in factors, between no weights and the inverse frequency.

    Cortinhal et al., "SalsaNext: Fast, Uncertainty-Aware Semantic Segmentation of LiDAR Point
    Clouds", ISVC 2020; for sampling, Mahajan et al., "Exploring the Limits of Weakly Supervised
    Pretraining", ECCV 2018.
    """
    return [1 / math.sqrt(share) for share in samples.shares]


def enet(samples: Samples) -> list[float]:
    """``1 / ln(1.02 + p)``: between 1.4 for a class that is everywhere and 50.5 for the rarest.

    Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation",
    arXiv:1606.02147 (2016), section 5.2, with its c = 1.02.
    """
    return [1 / math.log(1.02 + share) for share in samples.shares]


def effective_number(samples: Samples) -> list[float]:
    """``(1 - beta) / (1 - beta ** n)`` with n the class's count of samples.

    Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 4.

    The paper counts images of one class and takes a beta of 0.9 to 0.9999. For the millions of
    pixels of a class ``beta ** n`` is 0 then, and all weights are the same. Its beta is
    ``(N - 1) / N`` with N the number of samples that tell all there is to tell of a class, which it
    takes to be the same for all classes. So where no beta is given, N is the count of the median
    class: classes of more samples differ by a factor of 1.6 at most, those of fewer have nearly
    the inverse of their count.
    """
    beta = samples.beta
    decay = _log_of_usual_beta(samples) if beta is None else math.log(beta) if beta else -math.inf
    # expm1 and log1p: at a billion pixels 1 - beta has few digits left.
    return [math.expm1(decay) / math.expm1(decay * count) for count in samples.counts]


def _log_of_usual_beta(samples: Samples) -> float:
    enough = median(samples.counts)
    return math.log1p(-1 / enough) if enough > 1 else -math.inf


Formula = Callable[[Samples], list[float]]

#: The words of ``--method`` and ``--class-weight``.
METHODS: Mapping[str, Formula] = {
    "median-frequency": median_frequency,
    "inverse-frequency": inverse_frequency,
    "sqrt-inverse-frequency": sqrt_inverse_frequency,
    "enet": enet,
    "effective-number": effective_number,
}

#: What is a sample: a pixel, or a file with the class.
COUNTS = ("pixels", "images")

#: Whose average is 1: of the classes' weights, of the pixels' weights; or no factor at all.
NORMALIZE = ("mean", "pixels", "none")


def class_weights(
    stats: LabelStats,
    method: str = "median-frequency",
    *,
    split: Optional[str] = None,
    count: str = "pixels",
    beta: Optional[float] = None,
    clip: Optional[Clip] = None,
    normalize: str = "mean",
    query_head: bool = False,
    no_object: float = NO_OBJECT_WEIGHT,
) -> list[float]:
    """Return a weight for each class, by how often it occurs in the label files.

    A class without any pixel gets the average of the others, 1 as a rule: it is the target of no
    pixel, so that its weight has no say, and stays harmless if it turns up later.

    Args:
        stats: of a scan that knows what the classes are.
        method: one of :data:`METHODS`.
        split: whose files count; ``train``, or the only one there is, where left out.
        count: ``'pixels'``, or ``'images'``: files that have the class, which is what the loss of
            a query head is taken over.
        beta: of ``effective-number``, from 0 to below 1; see :func:`effective_number`.
        clip: the least and the largest weight. They hold for the weights as returned: those in
            between are scaled such that the average is still 1, and keep their ratios.
        normalize: ``'mean'`` makes the average of the weights 1, ``'pixels'`` the average over
            all pixels, ``'none'`` leaves the formula's numbers.
        query_head: whether the weight of "no object" is added as number N + 1.
        no_object: that weight; neither clipped nor scaled.

    Raises:
        FixkitError: a word or number is none of the above, there is no such split, it is not
            known what the classes are, or none of them occurs.
    """
    counts = class_counts(stats, split)
    formula = METHODS[known(method, METHODS, "method")]
    raw = formula(_samples(counts, known(count, COUNTS, "count"), _checked_beta(beta)))
    pixels = [counts.shares[i] for i in counts.present]
    parts = pixels if known(normalize, NORMALIZE, "normalization") == "pixels" else None
    weights = _scaled(raw, parts, _checked_clip(clip, normalize), normalize)
    of_all = _with_absent(counts, weights)
    return [*of_all, no_object] if query_head else of_all


def _with_absent(counts: ClassCounts, weights: Sequence[float]) -> list[float]:
    average = math.fsum(weights) / len(weights)
    by_class = dict(zip(counts.present, weights))
    return [by_class.get(i, average) for i in range(len(counts.names))]


def rounded(weights: Sequence[float]) -> list[float]:
    """Return weights to four significant digits, as they are written into a config."""
    return [float(f"{weight:.4g}") for weight in weights]


def known(word: str, words: Collection[str], what: str) -> str:
    """Return ``word`` if it is one of ``words``.

    Raises:
        FixkitError: it is none; the message names the nearest.
    """
    if word in words:
        return word
    near = get_close_matches(word, words, 1, 0.4)
    guess = f"did you mean {near[0]!r}? There are" if near else "there are"
    raise FixkitError(f"{word!r} is no {what}; {guess} {', '.join(words)}")


def _samples(counts: ClassCounts, count: str, beta: Optional[float]) -> Samples:
    of_pixels = count == "pixels"
    every = counts.pixels if of_pixels else _found(counts.images, counts)
    around = [counts.images_pixels[i] for i in counts.present] if of_pixels else None
    return Samples([every[i] for i in counts.present], around, beta)


def _found(images: Sequence[int], counts: ClassCounts) -> Sequence[int]:
    if not all(images[i] for i in counts.present):
        raise FixkitError(_NO_IMAGES)
    return images


def _checked_beta(beta: Optional[float]) -> Optional[float]:
    if beta is not None and not 0 <= beta < 1:
        raise FixkitError(f"beta is {beta}, but it has to be from 0 to below 1, such as 0.9999")
    return beta


def _checked_clip(clip: Optional[Clip], normalize: str) -> Clip:
    low, high = clip or (0.0, math.inf)
    if not 0 <= low < high:
        raise FixkitError(f"clip is {low:g},{high:g}, but 0 <= least < largest has to hold")
    if normalize != "none" and not low < 1 < high:
        raise FixkitError(
            f"clip is {low:g},{high:g}, but the weights' average is to be 1, which has to lie "
            "between the two; give --normalize none for the formula's own numbers"
        )
    return low, high


def _scaled(
    raw: Sequence[float], parts: Optional[Sequence[float]], clip: Clip, normalize: str
) -> list[float]:
    """Clip the weights; unless ``normalize`` is none, after a scaling that makes the average 1."""
    low, high = clip
    if normalize == "none":
        return [min(max(w, low), high) for w in raw]
    parts = parts or [1 / len(raw)] * len(raw)

    def at(factor: float) -> list[float]:
        return [min(max(factor * w, low), high) for w in raw]

    def average(factor: float) -> float:
        return math.fsum(part * w for part, w in zip(parts, at(factor)))

    # The average grows with the factor, in straight lines that bend where a weight meets a bound.
    bends = sorted({bound / w for w in raw for bound in clip if bound < math.inf} | {0.0})
    below = max(bend for bend in bends if average(bend) < 1)
    above = min((bend for bend in bends if average(bend) >= 1), default=2 * below + 1 / min(raw))
    slope = (average(above) - average(below)) / (above - below)
    return at(below + (1 - average(below)) / slope)
