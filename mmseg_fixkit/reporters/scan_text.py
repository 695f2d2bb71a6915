"""A scan for people at a terminal: what fits a screen, however many classes there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import click
from rich.cells import cell_len, set_cell_size

from mmseg_fixkit.diagnostics import Diagnostic, Severity
from mmseg_fixkit.label_files.stats import LabelStats, SplitStats
from mmseg_fixkit.reporters.scan_bars import HTML, Chart, Page, folded
from mmseg_fixkit.reporters.scan_rows import (
    CLASS,
    COLOR,
    IGNORED,
    OTHER,
    absent,
    counted,
    distribution,
    percent,
    pixels,
    printable,
    readings,
    share_of_ignored,
    short,
    verdict,
)
from mmseg_fixkit.reporters.text import shown_path

#: A screen has this many lines; a narrow one gets what fits this many at 80 columns.
SCREEN = 40

_LEAST_ROWS, _MOST_ROWS = 7, 24
_SPLITS_SHOWN = 4
_NARROWEST = 40

#: Lines of a message at most: the first number with which all findings fit is taken.
_DETAIL = (8, 6, 5, 4, 3, 2, 1)


def scan_text(
    stats: LabelStats, diagnostics: Sequence[Diagnostic], width: int = 80, color: bool = False
) -> str:
    """Return the summary of a scan.

    Bars are drawn on a logarithmic scale, as the rarest class has often less than a ten-thousandth
    of the pixels; the heading says so. Classes in the middle are folded into one line where there
    are more than a screen takes, so that the rarest ones are always seen.

    Args:
        stats: of the scan.
        diagnostics: its findings.
        width: of the terminal.
        color: whether to write ANSI colours.
    """
    page = Page(stats, max(width, _NARROWEST), color)
    head = [*_header(page), *_splits(page)]
    closing = _closing(page, diagnostics)
    left = SCREEN - len(head) - len(closing) - 3  # blank lines between the four parts
    found = _findings(page, diagnostics, left - min(_LEAST_ROWS + 4, _height(page)))
    chart = _chart(page, left - len(found))
    blocks = [block for block in (head, chart, found, closing) if block]
    return "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks) + "\n"


def _header(page: Page) -> list[str]:
    stats = page.stats
    files = sum(split.files for split in stats.splits.values())
    total = sum(pixels(split) for split in stats.splits.values())
    classes = "classes not known"
    if stats.num_classes is not None:
        classes = f"{counted(stats.num_classes, 'class')}, {stats.ignore_index} ignored"
    lines = [
        page.style(
            page.cell(f"Labels of {shown_path(stats.source)}", page.width).rstrip(), bold=True
        ),
        page.cell(f"{counted(files, 'file')}, {short(total)} pixels, {classes}", page.width),
    ]
    reading = readings(stats)
    return [*lines, *page.wrapped(f"read with {reading}", 2)] if reading else lines


def _splits(page: Page) -> Iterator[str]:
    shown = list(page.stats.splits.items())[:_SPLITS_SHOWN]
    table = [_cells(page, name, split) for name, split in shown if split.files or split.problems]
    widths = [max(cell_len(row[n]) for row in table) for n in range(5)] if table else []
    for row in table:
        first, *numbers = (
            text.rjust(width) if column in (1, 2) else set_cell_size(text, width)
            for column, (text, width) in enumerate(zip(row, widths))
        )
        line = "  ".join([page.style(first, bold=True), *numbers, row[-1]])
        yield f"  {line}" if cell_len(click.unstyle(line)) < page.width - 2 else _cut(page, line)
    more = len(page.stats.splits) - _SPLITS_SHOWN
    if more > 0:
        words = f"  and {counted(more, 'more split')} ({HTML} shows all)"
        yield page.cell(words, page.width)


def _cut(page: Page, line: str) -> str:
    return f"  {page.cell(click.unstyle(line), page.width - 2)}"


def _cells(page: Page, name: str, split: SplitStats) -> tuple[str, ...]:
    ignored = share_of_ignored(page.stats, split)
    return (
        page.cell(name or "all", min(cell_len(name or "all"), 16)),
        counted(split.files, "file"),
        f"{short(pixels(split))} pixels",
        _most(list(split.shapes), "size"),
        f"{_most(list(split.modes), 'mode')} {_most(list(split.formats), 'format')}".strip(),
        f"{percent(ignored)} ignored" if ignored else "",
    )


def _most(names: Sequence[str], noun: str) -> str:
    """Name one thing, count several."""
    return printable(names[0]) if len(names) == 1 else counted(len(names), noun) if names else ""


def _height(page: Page) -> int:
    """How many lines the whole distribution takes."""
    first = next(iter(page.stats.splits.values()), SplitStats())
    return len(distribution(page.stats, first)) + 4


def _chart(page: Page, lines: int) -> list[str]:
    splits = {name: split for name, split in page.stats.splits.items() if split.files}
    if not splits:
        return ["No label file was found."]
    first, *others = splits
    rows = distribution(page.stats, splits[first])
    if not any(row.pixels for row in rows):
        return ["No label file could be read."]
    missing = _absent(page, splits)
    chart = Chart(page, first, rows, tuple(others[:2]))
    inner = [row for row in rows if row.kind in (CLASS, COLOR) and row.pixels]
    outer = [row for row in rows if row.kind == IGNORED and row.pixels]
    strange = [row for row in rows if row.kind == OTHER]
    room = lines - 1 - len(missing) - len(outer) - min(len(strange), 2)
    drawn = folded(chart, inner, max(_LEAST_ROWS, min(room, _MOST_ROWS)))
    return [
        chart.heading(),
        *drawn,
        *folded(chart, strange, 2, "values that are no class"),
        *map(chart.line, outer),
        *missing,
    ]


def _absent(page: Page, splits: dict[str, SplitStats]) -> list[str]:
    found = {name: absent(page.stats, split) for name, split in splits.items()}
    lines = [
        _listed(page, f"absent in {name}: " if name else "absent: ", names)
        for name, names in list(found.items())[:3]
        if names
    ]
    return [page.style(line, fg="yellow") for line in lines]


def _listed(page: Page, lead: str, names: Sequence[str]) -> str:
    """Name what fits a line, and count the rest."""
    line = f"  {lead}"
    for done, name in enumerate(names):
        left = len(names) - done
        more = f" and {left} more"
        part = f"{', ' if done else ''}{printable(name)}"
        reserve = 0 if left == 1 else len(more) + 1
        if cell_len(line + part) + reserve > page.width:
            return page.cell(f"{line}{more}" if done else f"{line}{left}", page.width)
        line += part
    return line


def _findings(page: Page, diagnostics: Sequence[Diagnostic], room: int) -> list[str]:
    """Write all findings, in as much detail as there is room for."""
    for lines in _DETAIL:
        blocks = [_finding(page, found, lines) for found in diagnostics]
        if sum(map(len, blocks)) <= room:
            return [line for block in blocks for line in block]
    shown = max(room - 1, 3)
    if len(diagnostics) <= shown:
        return [line for block in blocks for line in block]
    return [*(block[0] for block in blocks[:shown]), _other_codes(page, diagnostics[shown:])]


def _finding(page: Page, found: Diagnostic, lines: int) -> list[str]:
    note = " (warning)" if found.severity is Severity.WARNING else ""
    text = page.wrapped(f"{found.code} {found.name}: {found.message}{note}", lines)
    shade = "yellow" if note else "red"
    text[0] = text[0].replace(found.code, page.style(found.code, fg=shade, bold=True), 1)
    return text


def _other_codes(page: Page, diagnostics: Sequence[Diagnostic]) -> str:
    codes = [code for code, _ in groupby(sorted(d.code for d in diagnostics))]
    lead = f"and {counted(len(diagnostics), 'more finding')} ({HTML} shows all): "
    return _listed(page, lead, codes)


def _closing(page: Page, diagnostics: Sequence[Diagnostic]) -> list[str]:
    files = sum(split.files for split in page.stats.splits.values())
    found = verdict(diagnostics)
    shade = "red" if "error" in found else "yellow" if diagnostics else "green"
    lines = [f"Scanned {counted(files, 'file')}: {page.style(found, fg=shade, bold=True)}"]
    if diagnostics:
        text = f"`mmseg-fix rule CODE` explains a code; {HTML} shows the pixels."
        lines += page.wrapped(text, 2)
    return lines
