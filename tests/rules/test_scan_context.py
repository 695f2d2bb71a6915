"""What the values of a split say together."""

from __future__ import annotations

from typing import Any

import pytest

from mmseg_fixkit.datasets.label_file import LabelReading
from mmseg_fixkit.datasets.stats import LabelStats, SplitStats
from mmseg_fixkit.rules.scan_context import ScanContext


@pytest.mark.parametrize(
    ("raw", "reduces", "begins_at_zero"),
    [
        ((0, 1, 2), True, True),
        ((0, 1, 2, 255), True, True),
        ((0, 1, 2), False, False),
        ((0, 1), True, False),
        ((1, 2), True, False),
        ((0, 1, 2, 3), True, False),
        ((0, 1, 2, 254), True, False),
        ((0, 1, 2, 256), True, False),
        ((255,), True, False),
        ((), True, False),
    ],
)
def test_labels_that_are_exactly_the_classes_begin_at_zero(
    raw: tuple[int, ...], reduces: bool, begins_at_zero: bool
) -> None:
    split = SplitStats(files=3, raw=dict.fromkeys(raw, 7))
    stats = stats_of(split, reduce_zero_label=reduces)
    assert ScanContext(stats).begins_at_zero(split) is begins_at_zero


def stats_of(split: SplitStats, **options: Any) -> LabelStats:
    return LabelStats("c.py", {"train": split}, ("a", "b", "c"), None, **options)


def test_classes_that_nobody_says_begin_nowhere() -> None:
    split = SplitStats(files=3, raw={0: 1})
    unknown = LabelStats("labels", {"train": split}, None, None, reduce_zero_label=True)
    assert ScanContext(unknown).begins_at_zero(split) is False
    assert LabelReading().num_classes is None
