"""The numbers that the graphics of a scan's page are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmseg_fixkit.cli.output.scan_rows import Row, decades, distribution, log_length, pixels
from mmseg_fixkit.datasets.stats import LabelStats

#: Rows of all distributions together; sizes and colours that are listed.
_MOST_ROWS = 1500
_MOST_ENTRIES = 10
MOST_COLORS = 24

_RIBBON = 1000


@dataclass(frozen=True)
class Stripe:
    """The part of a ribbon that a row has, in thousandths of the whole."""

    row: Row
    left: float
    width: float


@dataclass(frozen=True)
class Distribution:
    """The classes of one split."""

    split: str
    files: int
    pixels: int
    rows: tuple[Row, ...]  # the most frequent labels; none where no file could be read
    more: int  # labels that are left out
    decades: int  # powers of ten that the bars of all splits span

    @property
    def ribbon(self) -> Iterator[Stripe]:
        """All shares in one line, but for those that are too small to be seen."""
        left = 0.0
        for row in self.rows:
            width = row.share * _RIBBON
            if width >= 0.5:
                yield Stripe(row, left, max(width - 1, 0.5))
            left += width


def distributions(stats: LabelStats) -> list[Distribution]:
    """Return the distribution of each split that has files."""
    shown = {name: split for name, split in stats.splits.items() if split.files}
    most = max(20, _MOST_ROWS // max(len(shown), 1))
    rows = {name: distribution(stats, split) for name, split in shown.items()}
    span = max((decades(of_split, 7) for of_split in rows.values()), default=2)
    return [
        Distribution(
            name,
            split.files,
            pixels(split),
            rows[name][:most] if any(row.pixels for row in rows[name]) else (),
            max(len(rows[name]) - most, 0),
            span,
        )
        for name, split in shown.items()
    ]


def bar_lengths(row: Row, span: int) -> dict[str, float]:
    """Return the lengths of a row's bar by scale; what has a pixel is seen."""
    log = max(log_length(row.share, span), 0.006 if row.pixels else 0.0)
    return {"log": log, "linear": row.share}


def most_frequent(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the largest counts, and the sum of the others."""
    found = sorted(counts.items(), key=lambda pair: -pair[1])
    more = found[_MOST_ENTRIES:]
    rest = [(f"{len(more):,} more", sum(count for _, count in more))] if more else []
    return found[:_MOST_ENTRIES] + rest
