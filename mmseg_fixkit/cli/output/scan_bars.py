"""Bars in a terminal: the distribution of one split, with the shares of others beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Union

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from mmseg_fixkit.cli.output.scan_rows import (
    CLASS,
    COLOR,
    IGNORED,
    OTHER,
    Row,
    decades,
    distribution,
    log_length,
    percent,
)
from mmseg_fixkit.cli.output.terminal import cell, column, lines_of, one_line, table
from mmseg_fixkit.datasets.stats import LabelStats

#: What shows everything that a screen does not take.
HTML = "`--html report.html`"

_KINDS = {
    CLASS: "classes",
    COLOR: "colours",
    OTHER: "values that are no class",
    IGNORED: "values",
}
_WIDEST = 84
#: What is not absent has a bar that is seen.
_SHORTEST = 0.015

#: A row, or a line that stands for several.
Entry = Union[Row, str]


def chart(
    console: Console, stats: LabelStats, first: str, entries: Sequence[Entry], others: Sequence[str]
) -> list[str]:
    """Draw bars of the first split, with the shares of the others beside them."""
    rows = [entry for entry in entries if isinstance(entry, Row)]
    shares = {
        split: {row.label: row.share for row in distribution(stats, stats.splits[split])}
        for split in others
    }
    span = decades(rows, 6)
    scale = f"log scale, {100 / 10**span:g} to 100 %"
    drawn = table(
        column(most=max(6, console.width // 4) + 2),
        column(f"{first}, {scale}" if first else scale, rest=True),
        *(column(head, right=True, most=9) for head in ("of pixels", "files", *others)),
        expand=True,
    )
    drawn.width = min(console.width, _WIDEST)
    for row in rows:
        drawn.add_row(*_cells(row, span, shares, in_color=console.color_system is not None))
    lines = iter(lines_of(console, drawn))
    return [next(lines), *_with_folds(console, entries, lines)]


def _with_folds(console: Console, entries: Iterable[Entry], lines: Iterator[str]) -> Iterator[str]:
    """Rows are in a table of one line each; other entries take the whole width."""
    for entry in entries:
        yield next(lines) if isinstance(entry, Row) else one_line(console, entry, "dim")


def _cells(
    row: Row, span: int, shares: Mapping[str, Mapping[int, float]], *, in_color: bool
) -> Iterator[RenderableType]:
    if row.kind == OTHER:
        yield Text.assemble("! ", cell(row.name), style="bold red")
    else:
        swatch = ("▌", "rgb({},{},{})".format(*row.color)) if in_color else " "
        yield Text.assemble(swatch, " ", cell(row.name))
    length = max(log_length(row.share, span), _SHORTEST) if row.pixels else 0
    yield Bar(1, 0, length, color={OTHER: "red", IGNORED: "bright_black"}.get(row.kind, "cyan"))
    yield percent(row.share)
    yield "" if row.files is None else f"{row.files:,}"
    for of_split in shares.values():
        share = of_split.get(row.label, 0.0)
        yield percent(share) if share or not row.pixels else Text("absent", "yellow")


def folded(rows: Sequence[Row], room: int, width: int) -> list[Entry]:
    """Take the first rows and the last ones, and say how many are between them."""
    if len(rows) <= room:
        return list(rows)
    last = len(rows) - room // 3
    first = room - 1 - room // 3
    return [*rows[:first], _fold(rows[first:last], width), *rows[last:]]


def _fold(rows: Sequence[Row], width: int) -> str:
    shares = f"{percent(rows[0].share)} to {percent(rows[-1].share)}"
    text = f"  … and {len(rows):,} more {_KINDS[rows[0].kind]}, {shares}"
    whole = f"{text} ({HTML} shows all)"
    return whole if cell_len(whole) <= width else text
