"""What the rules of family 4 look at, and the words that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import basename
from typing import Any, Optional

from mmseg_fixkit.core.diagnostics import Diagnostic, KeyPath, Location, Severity
from mmseg_fixkit.core.text import counted, first_few
from mmseg_fixkit.datasets import problems as p
from mmseg_fixkit.datasets.stats import BadFile, Counts, LabelStats, Problem, SplitStats

#: Files and values that a message names.
NAMED = 3

#: Share of the files of a split with wrong values above which its classes say nothing.
_SPOILT = 0.1
_SPOILING = (p.JPEG, p.GREY, p.COLOUR, p.WRAPS, p.BLURRED, p.UNREADABLE, p.NO_LABEL, p.OUT_OF_RANGE)

#: Share of the files up to which a value is a slip of the hand.
_SLIP = 0.1

#: The labels that Cityscapes has beside its 19 classes: ``labelIds`` go up to 33.
_CITYSCAPES_CLASSES, _CITYSCAPES_IDS = 19, 34
_CITYSCAPES_NAMES = frozenset({"road", "sidewalk", "building"})


@dataclass(frozen=True)
class ScanContext:
    """What is known of the label files of a scan."""

    stats: LabelStats

    def having(self, problem: str) -> Iterator[tuple[str, SplitStats, Problem]]:
        """Yield the splits with a problem, and the problem of each."""
        for name, split in self.stats.splits.items():
            found = split.problems.get(problem)
            if found is not None and found.files:
                yield name, split, found

    def is_binary(self, split: SplitStats) -> bool:
        """Whether 255 means a class: nothing but 0 and 255 is in a split.

        Or, of two classes, whether some files hold 0 and 255 and the others 0 and 1, so that no
        file has them all.
        """
        files = files_with(split, p.BINARY)
        if not files or set(split.raw) <= {0, 255}:
            return bool(files)
        return (
            self.stats.num_classes == 2
            and set(split.raw) == {0, 1, 255}
            and split.images.get(255, 0) == files + files_with(split, p.IGNORED)
        )

    def begins_at_one(self, split: SplitStats) -> bool:
        """Whether labels end one above the classes, as those do that count from 1.

        Where 0 occurs too, not only in a few files: that would be a slip.
        """
        outside = split.problems.get(p.OUT_OF_RANGE, Problem())
        if self.stats.reduce_zero_label or set(outside.values) != {self.stats.num_classes}:
            return False
        return not split.raw.get(0) or outside.files > _SLIP * split.files

    def begins_at_zero(self, split: SplitStats) -> bool:
        """Whether the zero label is taken off files whose labels are exactly the classes.

        The last class never occurs then, though every value below it does.
        """
        count = self.stats.num_classes
        used = set(split.raw) - {255}
        return self.stats.reduce_zero_label and bool(count) and used == set(range(count or 0))

    def is_label_ids(self, split: SplitStats) -> bool:
        """Whether the files are ``labelIds`` of Cityscapes, and the classes its 19."""
        outside = set(split.problems.get(p.OUT_OF_RANGE, Problem()).values)
        ids = set(range(_CITYSCAPES_CLASSES, _CITYSCAPES_IDS))
        if self.stats.num_classes != _CITYSCAPES_CLASSES or not outside or not outside <= ids:
            return False
        worst = split.problems[p.OUT_OF_RANGE].worst_files
        named = any(bad.file.endswith("labelIds.png") for bad in worst)
        return named or (len(outside) > 1 and set(self.stats.classes or ()) >= _CITYSCAPES_NAMES)

    def is_blurred_too(self, split: SplitStats) -> bool:
        """Whether values out of range are what blurs other files: some have too few to tell."""
        outside = split.problems.get(p.OUT_OF_RANGE, Problem())
        stray = split.problems.get(p.BLURRED, Problem())
        if not outside.values or not stray.values or stray.files < outside.files:
            return False
        return min(stray.values) <= min(outside.values) <= max(outside.values) <= max(stray.values)

    def is_misread(self, split: SplitStats) -> bool:
        """Whether one finding on the whole split explains its other values."""
        return (
            self.is_binary(split)
            or self.begins_at_one(split)
            or self.begins_at_zero(split)
            or self.is_label_ids(split)
        )

    @cached_property
    def pixels(self) -> Mapping[str, Optional[Counts]]:
        """Split -> label -> pixels, with the parts of a split together.

        None where too many of its files are wrong for them to say which classes there are.
        """
        found: dict[str, Optional[Counter[int]]] = {}
        for name, split in self.stats.splits.items():
            base = name.partition("[")[0]
            before = found.get(base, Counter())
            good = before is not None and split.files and not self._is_spoilt(split)
            found[base] = Counter(split.labels) + before if good and before is not None else None
        return found

    def _is_spoilt(self, split: SplitStats) -> bool:
        bad = sum(files_with(split, name) for name in _SPOILING)
        return bad > _SPOILT * split.files or self.is_misread(split)

    def names(self, labels: Sequence[int]) -> str:
        """Name a few classes, and count the others."""
        return first_few([self.stats.name(label) for label in labels], NAMED)

    @property
    def allowed(self) -> str:
        """Which labels may be in files, in words."""
        last = (self.stats.num_classes or 0) - 1
        ignored = f"{self.stats.ignore_index} for ignored pixels"
        if self.stats.reduce_zero_label:
            return f"reduce_zero_label=True allows 1 to {last + 1}, and 0 and {ignored}"
        allow = counted(last + 1, "class allows", "classes allow")
        return f"{allow} 0 to {last}, and {ignored}"

    def command(self, mode: str) -> str:
        """Return the command that writes corrected copies."""
        several = " + " in self.stats.source  # merged statistics
        source = "CONFIG" if several else self.stats.source
        return f"`mmseg-fix scan {source} --fix {mode} --out DIR`"

    def finding(
        self,
        key: KeyPath,
        message: str,
        *,
        problem: Optional[Problem] = None,
        found: Any = None,
        expected: Any = None,
        severity: Severity = Severity.ERROR,
    ) -> Diagnostic:
        """Return a finding; its place is the worst file, or the config."""
        place = problem.worst_files[0].file if problem and problem.worst_files else self._config
        return Diagnostic(
            "",
            "",
            message,
            key,
            found,
            expected,
            severity,
            location=Location(place) if place else None,
        )

    @property
    def _config(self) -> str:
        source = self.stats.source
        return source if source.endswith(".py") and "::" not in source else ""


def files_with(split: SplitStats, problem: str) -> int:
    """Return how many files of a split have a problem."""
    return split.problems.get(problem, Problem()).files


def of_files(problem: Problem, split: SplitStats) -> str:
    """Write ``3 of 120 files``."""
    return f"{problem.files:,} of {counted(split.files, 'file')}"


def worst(problem: Problem, *, pixels: bool = True) -> str:
    """Name the worst files, each with what there is to say of it."""
    shown = [_bad(bad, pixels) for bad in problem.worst_files]
    return first_few(shown, NAMED, problem.files)


def _bad(bad: BadFile, pixels: bool) -> str:
    detail = bad.text or (counted(bad.pixels, "pixel") if pixels else "")
    return basename(bad.file) + (f" ({detail})" if detail else "")
