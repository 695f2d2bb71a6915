"""Statistics of label files: the laws of merging, and what is saved is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.label_file import FileStats, LabelReading
from mmseg_fixkit.datasets.stats import (
    MAX_DISTINCT,
    MAX_FILES,
    BadFile,
    LabelStats,
    Problem,
    SplitStats,
    load_stats,
    save_stats,
)

NUMBERS = st.integers(0, 10**12)
COUNTS = st.dictionaries(st.integers(0, 2**16), NUMBERS, max_size=4)
NAMES = st.text('abc/é"', min_size=1, max_size=3)
PAIRS = st.tuples(st.integers(0, 9), st.integers(0, 9))
VALUES = st.lists(st.tuples(st.integers(0, 300), NUMBERS), max_size=2).map(tuple)
BAD_FILES = st.builds(BadFile, NAMES, st.integers(0, 3), VALUES, NAMES)
PROBLEMS = st.builds(Problem, NUMBERS, NUMBERS, COUNTS, st.lists(BAD_FILES, max_size=4).map(sorted))
WORDS = st.dictionaries(NAMES, NUMBERS, max_size=3)
SPLITS = st.builds(
    SplitStats,
    files=NUMBERS,
    raw=COUNTS,
    labels=COUNTS,
    images=COUNTS,
    images_pixels=COUNTS,
    together=st.dictionaries(PAIRS, NUMBERS, max_size=3),
    shapes=WORDS,
    modes=WORDS,
    formats=WORDS,
    colors=COUNTS,
    problems=st.dictionaries(NAMES, PROBLEMS, max_size=2),
    reading=st.sampled_from(["", "reduce_zero_label=True"]),
)
STATS = st.builds(
    LabelStats,
    source=st.sampled_from(["a.py", "data/b", "a.py + data/b"]),
    splits=st.dictionaries(st.sampled_from(["train", "val", "other"]), SPLITS, min_size=1),
    classes=st.sampled_from([None, ("road", "sky")]),
    palette=st.sampled_from([None, ((1, 2, 3), (4, 5, 6))]),
)


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        (LabelReading(), "imdecode_backend=pillow"),
        (
            LabelReading(
                backend="cv2",
                reduce_zero_label=True,
                ignore_index=0,
                label_map=((1, 2), (3, 4)),
            ),
            "imdecode_backend=cv2, reduce_zero_label=True, ignore_index=0, label_map of 2",
        ),
        (LabelReading(ignore_index=254), "imdecode_backend=pillow, ignore_index=254"),
        (LabelReading(ignore_index=255, label_map=((1, 1),)), None),
    ],
)
def test_a_reading_is_told_by_what_is_not_as_usual(reading: LabelReading, words: Any) -> None:
    assert reading.in_words == (words or "imdecode_backend=pillow, label_map of 1")


@given(SPLITS, SPLITS, SPLITS)
def test_splits_are_merged_in_any_order(a: SplitStats, b: SplitStats, c: SplitStats) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + SplitStats() == a


@given(STATS, STATS, STATS)
def test_statistics_are_merged_in_any_order(a: LabelStats, b: LabelStats, c: LabelStats) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert [*(a + b).splits] == [*(b + a).splits]
    assert a + LabelStats("") == LabelStats("") + a == a


@given(st.lists(BAD_FILES, max_size=12), st.integers(0, 12))
def test_the_worst_are_the_same_however_they_are_merged(found: Any, cut: int) -> None:
    halves = [Problem(), Problem()]
    for place, bad in enumerate(found):
        halves[place < cut].add(bad)
    halves[0].merge(halves[1])
    assert halves[0].worst_files == sorted(found)


def test_as_many_files_are_named_as_are_kept() -> None:
    ranks = range(3 * MAX_FILES)
    totals = []
    for order in (ranks, reversed(ranks)):
        total, other = Problem(), Problem()
        for i in order:
            (total, other)[i % 3 == 0].add(BadFile(f"{i:05}", i, ((7, i),)))
        total.merge(other)
        totals.append(total)
    assert totals[0] == totals[1]
    assert (total.files, total.pixels) == (3 * MAX_FILES, sum(ranks))
    assert total.values == {7: sum(ranks)}
    assert [bad.pixels for bad in total.worst_files] == list(ranks)[: -MAX_FILES - 1 : -1]


def test_the_most_frequent_values_stay_where_there_are_too_many() -> None:
    counts = {value: 1 + (value == 60_000) for value in range(MAX_DISTINCT)}
    stats = SplitStats(raw=counts) + SplitStats(raw={60_000: 1, 5: 1})
    assert stats.raw == {**counts, 60_000: 3, 5: 2}
    stats.merge(SplitStats(raw={MAX_DISTINCT: 1}))
    assert len(stats.raw) == MAX_DISTINCT // 2
    assert (stats.raw[60_000], stats.raw[5]) == (3, 2)


FACTS = st.builds(
    FileStats,
    shape=st.sampled_from([(4, 5), (6, 5)]),
    mode=st.sampled_from(["L", "P"]),
    format=st.just("PNG"),
    values=st.dictionaries(
        st.sampled_from([0, 1, 2, 9, 254, 255, 300, 70_000]), st.integers(1, 50), min_size=1
    ).map(lambda counts: tuple(sorted(counts.items()))),
)
READING = LabelReading(3, reduce_zero_label=True, label_map=((0, 0), (1, 2), (2, 255)))


@given(st.lists(FACTS, max_size=9), st.integers(0, 9))
def test_adding_files_one_by_one_or_in_parts_gives_the_same(files: Any, cut: int) -> None:
    def added(part: Any) -> SplitStats:
        total = SplitStats(reading="so")
        for file in part:
            total.add(file, READING, [("odd", BadFile("x", 1))] if file.mode == "P" else [])
        return total

    whole, parts = added(files), added(files[:cut])
    parts.merge(added(files[cut:]))
    assert parts == whole
    assert added(files[:cut]) + added(files[cut:]) == whole


@given(st.lists(FACTS, min_size=1, max_size=6))
def test_counts_are_what_the_reading_says(files: Any) -> None:
    stats = SplitStats()
    for file in files:
        stats.add(file, READING)
    seen = [{READING.label(v) for v, _ in f.values} for f in files]
    for label in set().union(*seen):
        pixels = [n for f in files for v, n in f.values if READING.label(v) == label]
        assert stats.labels[label] == sum(pixels)
        assert stats.images[label] == sum(label in labels for labels in seen)
    for a in range(3):
        for b in range(a + 1, 3):
            assert stats.together.get((a, b), 0) == sum({a, b} <= labels for labels in seen)
    for c in stats.images_pixels:
        assert READING.is_class(c)
        inside = [
            sum(n for v, n in f.values if READING.is_class(READING.label(v)))
            for f, labels in zip(files, seen)
            if c in labels
        ]
        assert stats.images_pixels[c] == sum(inside)


@given(STATS)
def test_what_is_saved_is_loaded(tmp_path_factory: Any, stats: LabelStats) -> None:
    path = tmp_path_factory.getbasetemp() / "stats.json"
    save_stats(stats, path)
    assert load_stats(path) == stats


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "holds no label statistics"),
        ("[1]", "holds no label statistics"),
        ('{"classes": []}', "holds no label statistics"),
        ('{"format": "mmseg-fixkit label statistics", "version": 99}', "has version 99"),
        ('{"format": "mmseg-fixkit label statistics", "version": 1}', "damaged"),
    ],
)
def test_other_files_are_refused(content: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FixkitError, match=expected):
        load_stats(tmp_path / "a.json")


@given(STATS, st.sampled_from(["files", "raw", "together", "problems", "splits", "ignore_index"]))
def test_a_file_that_lacks_something_is_refused(
    tmp_path_factory: Any, stats: LabelStats, key: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    save_stats(stats, path)
    tree = json.loads(path.read_text())
    for place in (tree, *tree.get("splits", {}).values()):
        place.pop(key, None)
    path.write_text(json.dumps(tree))
    with pytest.raises(FixkitError, match="damaged"):
        load_stats(path)


def test_files_that_cannot_be_opened_are_said(tmp_path: Path) -> None:
    with pytest.raises(FixkitError, match="cannot be read: No such file"):
        load_stats(tmp_path / "none.json")
    with pytest.raises(FixkitError, match="cannot be written"):
        save_stats(LabelStats("a"), tmp_path / "none" / "a.json")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"classes": ("a",)}, "classes are"),
        ({"palette": ((1, 1, 1),)}, "the palette is"),
        ({"ignore_index": 0}, "ignore_index is"),
        ({"reduce_zero_label": True}, "reduce_zero_label is"),
        ({"splits": {"train": SplitStats(1, reading="other")}}, "labels were read with"),
    ],
)
def test_scans_of_other_kinds_are_not_merged(changed: Any, expected: str) -> None:
    own = {
        "source": "a",
        "splits": {"train": SplitStats(1, reading="this")},
        "classes": ("b",),
        "palette": ((2, 2, 2),),
    }
    with pytest.raises(FixkitError, match=expected):
        LabelStats(**own) + LabelStats(**{**own, **changed})
