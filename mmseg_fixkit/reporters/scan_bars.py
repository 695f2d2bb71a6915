"""Bars in a terminal: the distribution of one split, with the shares of others beside it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from mmseg_fixkit.label_files.stats import LabelStats
from mmseg_fixkit.reporters.scan_rows import (
    CLASS,
    COLOR,
    IGNORED,
    OTHER,
    Row,
    distribution,
    percent,
    printable,
)

#: What shows everything that a screen does not take.
HTML = "`--html report.html`"

_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Page:
    """What is written about, and on how wide a terminal.

    Args:
        stats: of the scan.
        width: in cells.
        color: whether to write ANSI colours.
    """

    stats: LabelStats
    width: int
    color: bool

    def style(self, text: str, **how: Any) -> str:
        """Colour ``text``, if colours are wanted; ``how`` as in :func:`click.style`."""
        return click.style(text, **how) if self.color else text

    def cell(self, text: str, width: int) -> str:
        """Cut or fill ``text`` to a width in cells."""
        text = printable(text)
        if cell_len(text) > width:
            return set_cell_size(text, width - 1).rstrip() + "…" * (width > 0)
        return set_cell_size(text, width)

    def wrapped(self, text: str, lines: int) -> list[str]:
        """Break ``text`` into that many lines at most; all but the first are indented."""
        broken = textwrap.wrap(
            printable(text),
            self.width,
            subsequent_indent="  ",
            max_lines=lines,
            placeholder=" …",
            break_on_hyphens=False,
        )
        return [
            line if cell_len(line) <= self.width else self.cell(line, self.width) for line in broken
        ]


@dataclass(frozen=True)
class Chart:
    """Bars of the first split, and the shares of the others beside them."""

    page: Page
    first: str
    rows: Sequence[Row]
    others: tuple[str, ...]

    @cached_property
    def decades(self) -> int:
        """How many powers of ten a bar spans: down to the rarest class, 2 to 6."""
        shares = [row.share for row in self.rows if row.pixels and row.kind != OTHER]
        return min(max(math.ceil(-math.log10(min(shares, default=1.0))), 2), 6)

    @property
    def columns(self) -> tuple[str, ...]:
        """The splits for which there is room besides the first."""
        return self.others if self.page.width >= 70 else ()

    @cached_property
    def name_width(self) -> int:
        """Cells for a name: what the longest takes, within bounds."""
        longest = max(cell_len(printable(row.name)) for row in self.rows)
        return max(6, min(longest, self.page.width // 4))

    @property
    def bar_width(self) -> int:
        """Cells for the longest bar."""
        taken = self.name_width + 3 + 10 + 9 + 10 * len(self.columns)
        return max(6, min(self.page.width - taken, 44))

    def heading(self) -> str:
        """Name the columns and the scale."""
        room = self.bar_width + 4
        words = next((w for w in self._titles() if cell_len(w) <= room), "log scale")
        line = f"  {' ' * self.name_width} {set_cell_size(words, room)} share    files"
        others = "".join(f"{self.page.cell(name, 9).strip():>10}" for name in self.columns)
        return self.page.style(line + others, dim=True)

    def _titles(self) -> Iterator[str]:
        scale = f"{100 / 10**self.decades:g} to 100 %"
        where = f" of {printable(self.first)}" if self.first else ""
        yield f"share of the pixels{where}, log scale, {scale}"
        yield f"pixels{where}, log, {scale}"
        yield f"log scale, {scale}"

    def line(self, row: Row) -> str:
        """Draw one row."""
        style = self.page.style
        name = self.page.cell(row.name, self.name_width)
        files = "" if row.files is None else f"{row.files:,}"
        fault = row.kind == OTHER
        parts = [
            self._swatch(row),
            style(name, fg="red", bold=True) if fault else name,
            f" {self._bar(row)}",
            f"{percent(row.share):>10}{files:>9}",
            *(self._other(split, row) for split in self.columns),
        ]
        return " ".join(parts[:2]) + "".join(parts[2:])

    def _swatch(self, row: Row) -> str:
        if row.kind == OTHER:
            return self.page.style("!", fg="red", bold=True)
        return self.page.style("▌", fg=_cube(row)) if self.page.color else " "

    def fold(self, rows: Sequence[Row], noun: str = "") -> str:
        """Say what is left out."""
        what = f"more {noun}" if noun else f"more {_KINDS[rows[0].kind]}"
        text = (
            f"  … and {len(rows):,} {what}, {percent(rows[0].share)} to {percent(rows[-1].share)}"
        )
        hint = f" ({HTML} shows all)"
        whole = text + hint if cell_len(text + hint) <= self.page.width else text
        return self.page.style(self.page.cell(whole, self.page.width).rstrip(), dim=True)

    def _bar(self, row: Row) -> str:
        eighths = round(self._part(row.share) * self.bar_width * 8)
        full, rest = divmod(max(eighths, 1 if row.pixels else 0), 8)
        drawn = "█" * full + _EIGHTHS[rest].strip()
        style = {OTHER: "red", IGNORED: "bright_black"}.get(row.kind, "cyan")
        return self.page.style(drawn, fg=style) + self._ticks(len(drawn))

    def _ticks(self, start: int) -> str:
        """Fill a line behind its bar, with a dot at each power of ten."""
        marks = {round(n * self.bar_width / self.decades) for n in range(1, self.decades)}
        rest = "".join("·" if n in marks else " " for n in range(start, self.bar_width))
        return self.page.style(rest, dim=True)

    def _part(self, share: float) -> float:
        """Return how much of the whole width a bar takes."""
        return max(0.0, 1 + math.log10(share) / self.decades) if share else 0.0

    @cached_property
    def _shares(self) -> dict[str, dict[int, float]]:
        stats = self.page.stats
        return {
            split: {row.label: row.share for row in distribution(stats, stats.splits[split])}
            for split in self.columns
        }

    def _other(self, name: str, row: Row) -> str:
        share = self._shares[name].get(row.label, 0.0)
        if share or not row.pixels:
            return f"{percent(share):>10}"
        return self.page.style(f"{'absent':>10}", fg="yellow")


_KINDS = {CLASS: "classes", COLOR: "colours", OTHER: "values", IGNORED: "values"}


def _cube(row: Row) -> int:
    """The nearest of the 216 colours that nearly every terminal has."""
    red, green, blue = (round(part / 51) for part in row.color)
    return 16 + 36 * red + 6 * green + blue


def folded(chart: Chart, rows: Sequence[Row], room: int, noun: str = "") -> list[str]:
    """Draw the first rows and the last ones, and say how many are between them."""
    if len(rows) <= room:
        return [chart.line(row) for row in rows]
    if room < 3:
        return [*map(chart.line, rows[: room - 1]), chart.fold(rows[room - 1 :], noun)]
    last = room // 3
    middle = rows[room - 1 - last : -last]
    first = rows[: room - 1 - last]
    return [*map(chart.line, first), chart.fold(middle), *map(chart.line, rows[-last:])]
