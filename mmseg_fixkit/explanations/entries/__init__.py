"""The table of faults, by subject."""

from __future__ import annotations

from functools import cache

from mmseg_fixkit.explanations.entries import (
    checkpoint_files,
    checkpoints,
    config,
    datasets,
    elsewhere,
    environment,
    labels,
    masks,
    training,
    weights,
)
from mmseg_fixkit.explanations.entry import TEXT, Entry

ENTRIES: tuple[Entry, ...] = (
    *environment.ENTRIES,
    *config.ENTRIES,
    *datasets.ENTRIES,
    *masks.ENTRIES,
    *labels.ENTRIES,
    *weights.ENTRIES,
    *checkpoints.ENTRIES,
    *checkpoint_files.ENTRIES,
    *training.ENTRIES,
    *elsewhere.ENTRIES,
)

BY_ID = {entry.id: entry for entry in ENTRIES}


@cache
def by_anchor() -> dict[str, tuple[Entry, ...]]:
    """Return anchor -> the entries that it may belong to."""
    table: dict[str, list[Entry]] = {}
    for entry in ENTRIES:
        for anchor in entry.anchors if entry.reader == TEXT else ():
            table.setdefault(anchor, []).append(entry)
    return {anchor: tuple(entries) for anchor, entries in table.items()}
