"""Facts of files, one after the other -> the statistics of their split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.label_files.facts import Facts, Reading
from mmseg_fixkit.label_files.stats import (
    COUNTS,
    KEPT,
    TOLD_APART,
    Offender,
    Problem,
    SplitStats,
    bounded,
    worst,
)

#: Classes whose occurring together is counted: labels have 8 bit.
_CLASSES = 256

#: Files whose classes are multiplied out at once.
_ROWS = 512

_TABLES = tuple(name for name in COUNTS if name != "together")

_Pairs = Iterable[tuple[Any, int]]


class Tally:
    """Adds up the files of one split; :meth:`stats` says what they hold together.

    It goes from process to process, and two of them can be put together: it is what statistics
    are while they grow.

    Args:
        reading: how the pipeline reads the files.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._meanings: dict[int, tuple[int, bool]] = {}
        self._files = 0
        self._counts: dict[str, dict[Any, int]] = {name: {} for name in _TABLES}
        self._problems: dict[str, _Growing] = {}
        self._together = _Together()

    def add(self, facts: Facts, found: Iterable[tuple[str, Offender]] = ()) -> None:
        """Add one file.

        Args:
            facts: what it holds.
            found: its problems by name.
        """
        self._files += 1
        for name, offender in found:
            self._problem(name).add(offender)
        if facts.error:
            return
        _add(self._counts["shapes"], (("x".join(map(str, facts.shape[:2])), 1),))
        _add(self._counts["modes"], ((facts.mode, 1),))
        _add(self._counts["formats"], ((facts.format, 1),))
        _add(self._counts["colors"], facts.colors)
        self._add_values(facts.values)

    def _add_values(self, values: tuple[tuple[int, int], ...]) -> None:
        labels: dict[int, int] = {}
        classes: dict[int, int] = {}
        inside = 0
        raw = self._counts["raw"]
        for value, pixels in values:
            raw[value] = raw.get(value, 0) + pixels
            label, is_class = self._meaning(value)
            labels[label] = labels.get(label, 0) + pixels
            if is_class:
                classes[label] = pixels
                inside += pixels
        totals, images = self._counts["labels"], self._counts["images"]
        for label, pixels in labels.items():
            totals[label] = totals.get(label, 0) + pixels
            images[label] = images.get(label, 0) + 1
        _add(self._counts["images_pixels"], ((label, inside) for label in classes))
        self._together.add(classes)

    def _meaning(self, value: int) -> tuple[int, bool]:
        """Return the label that a value becomes, and whether it is that of a class."""
        found = self._meanings.get(value)
        if found is None:
            label = self._reading.label(value)
            found = label, self._reading.is_class(label)
            if len(self._meanings) < 1 << 16:
                self._meanings[value] = found
        return found

    def _problem(self, name: str) -> _Growing:
        if name not in self._problems:
            self._problems[name] = _Growing()
        return self._problems[name]

    def note(self, name: str, offender: Offender) -> None:
        """Add a problem of a file that was added already."""
        self._problem(name).add(offender)

    def absorb(self, other: Tally) -> None:
        """Add all that another one has seen."""
        self._files += other._files
        for table, counts in self._counts.items():
            _add(counts, other._counts[table].items())
            self._counts[table] = _trimmed(counts)
        for name, problem in other._problems.items():
            self._problem(name).absorb(problem)
        self._together.absorb(other._together)

    def stats(self, reading: str = "") -> SplitStats:
        """Return what the files hold together.

        Args:
            reading: how they were read, in words.
        """
        return SplitStats(
            files=self._files,
            **{table: bounded(counts) for table, counts in self._counts.items()},
            together=self._together.counts(),
            problems={name: self._problems[name].whole() for name in sorted(self._problems)},
            reading=reading,
        )


def _add(counts: dict[Any, int], pairs: _Pairs) -> None:
    for key, count in pairs:
        counts[key] = counts.get(key, 0) + count


def _trimmed(counts: dict[Any, int]) -> dict[Any, int]:
    """Return the most frequent, once there are twice as many as are told apart.

    Sorting costs more than adding, so that it has to be rare.
    """
    return bounded(counts) if len(counts) > 2 * TOLD_APART else counts


class _Growing:
    """The files with one problem, while they are found."""

    def __init__(self) -> None:
        self._files = 0
        self._pixels = 0
        self._values: dict[int, int] = {}
        self._worst: list[Offender] = []

    def add(self, offender: Offender) -> None:
        self._files += 1
        self._pixels += offender.pixels
        _add(self._values, offender.values)
        self._keep((offender,))

    def absorb(self, other: _Growing) -> None:
        self._files += other._files
        self._pixels += other._pixels
        _add(self._values, other._values.items())
        self._values = _trimmed(self._values)
        self._keep(other._worst)

    def _keep(self, offenders: Iterable[Offender]) -> None:
        self._worst.extend(offenders)
        if len(self._worst) > 4 * KEPT:
            self._worst = list(worst(self._worst))

    def whole(self) -> Problem:
        return Problem(self._files, self._pixels, bounded(self._values), worst(self._worst))


class _Together:
    """How many files have two classes both, counted as a product of matrices."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []
        self._pairs: NDArray[np.int64] = np.zeros((0, 0), np.int64)

    def add(self, classes: Iterable[int]) -> None:
        self._rows.append([label for label in classes if label < _CLASSES])
        if len(self._rows) >= _ROWS:
            self._multiply()

    def absorb(self, other: _Together) -> None:
        self._rows.extend(other._rows)
        self._grow(other._pairs)
        if len(self._rows) >= _ROWS:
            self._multiply()

    def _multiply(self) -> None:
        size = 1 + max((max(row) for row in self._rows if row), default=-1)
        have = np.zeros((len(self._rows), size), np.float32)
        for place, row in enumerate(self._rows):
            have[place, row] = 1
        self._rows = []
        self._grow((have.T @ have).astype(np.int64))

    def _grow(self, pairs: NDArray[np.int64]) -> None:
        size = max(len(pairs), len(self._pairs))
        total = np.zeros((size, size), np.int64)
        for part in (pairs, self._pairs):
            total[: len(part), : len(part)] += part
        self._pairs = total

    def counts(self) -> dict[tuple[int, int], int]:
        self._multiply()
        first, second = np.nonzero(np.triu(self._pairs, 1))
        counts = self._pairs[first, second].tolist()
        return dict(zip(zip(first.tolist(), second.tolist()), counts))
