"""A scan for people at a terminal: what fits a screen, however many classes there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mmseg_fixkit.cli.output.scan_bars import HTML, chart, folded
from mmseg_fixkit.cli.output.scan_rows import (
    CLASS,
    COLOR,
    IGNORED,
    OTHER,
    absent,
    distribution,
    percent,
    pixels,
    readings,
    share_of_ignored,
    short,
)
from mmseg_fixkit.cli.output.terminal import (
    cell,
    clipped,
    column,
    console_for,
    lines_of,
    one_line,
    table,
)
from mmseg_fixkit.cli.output.text import shown_path, verdict
from mmseg_fixkit.core.diagnostics import Diagnostic, Severity
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.datasets.stats import LabelStats, SplitStats

#: A screen has this many lines; a narrow one gets what fits this many at 80 columns.
SCREEN = 40

_LEAST_ROWS, _MOST_ROWS = 7, 24
_SPLITS_SHOWN = 4
_NARROWEST = 40

#: Below this width only the first split has room.
_WIDE = 70

#: Lines of a message at most, and the width of a code before it.
_DETAIL = 8
_CODE = 7


def scan_text(
    stats: LabelStats, diagnostics: Sequence[Diagnostic], width: int = 80, color: bool = False
) -> str:
    """Return the summary of a scan.

    Bars are drawn on a logarithmic scale, as the rarest class has often less than a ten-thousandth
    of the pixels; the heading says so. Classes in the middle are folded into one line where there
    are more than a screen takes, so that the rarest ones are always seen.
    """
    console = console_for(max(width, _NARROWEST), color)
    head = [*_header(console, stats), *_splits(console, stats)]
    closing = _closing(console, stats, diagnostics)
    left = SCREEN - len(head) - len(closing) - 3  # blank lines between the four parts
    found = _findings(console, diagnostics, left - min(_LEAST_ROWS + 4, _height(stats)))
    bars = _chart(console, stats, left - len(found))
    blocks = [block for block in (head, bars, found, closing) if block]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _header(console: Console, stats: LabelStats) -> Iterator[str]:
    files = sum(split.files for split in stats.splits.values())
    total = sum(pixels(split) for split in stats.splits.values())
    classes = "classes not known"
    if stats.num_classes is not None:
        classes = f"{counted(stats.num_classes, 'class')}, {stats.ignore_index} ignored"
    yield one_line(console, f"Labels of {shown_path(stats.source)}", "bold")
    yield one_line(console, f"{counted(files, 'file')}, {short(total)} pixels, {classes}")
    reading = readings(stats)
    if reading:
        lines = cell(f"read with {reading}").wrap(console, console.width)
        yield from lines_of(console, clipped(lines, console.width, 2))


def _splits(console: Console, stats: LabelStats) -> Iterator[str]:
    shown = list(stats.splits.items())[:_SPLITS_SHOWN]
    rows = [_cells(stats, name, split) for name, split in shown if split.files or split.problems]
    if rows:
        yield from lines_of(console, _fitting(console, rows))
    more = len(stats.splits) - _SPLITS_SHOWN
    if more > 0:
        yield one_line(console, f"  and {counted(more, 'more split')} ({HTML} shows all)")


def _cells(stats: LabelStats, name: str, split: SplitStats) -> list[Text]:
    ignored = share_of_ignored(stats, split)
    return [
        cell(f"  {name or 'all'}", "bold"),
        cell(counted(split.files, "file")),
        cell(f"{short(pixels(split))} pixels"),
        cell(_most(list(split.shapes), "size")),
        cell(f"{_most(list(split.modes), 'mode')} {_most(list(split.formats), 'format')}".strip()),
        cell(f"{percent(ignored)} ignored" if ignored else ""),
    ]


def _most(names: Sequence[str], noun: str) -> str:
    """Name one thing, count several."""
    return names[0] if len(names) == 1 else counted(len(names), noun) if names else ""


def _fitting(console: Console, rows: Sequence[Sequence[Text]]) -> Table:
    """Return a table of as many columns as there is room for."""
    wide = console.options.update(width=10_000)
    tables = (_table(rows, columns) for columns in range(len(rows[0]), 0, -1))
    return next(t for t in tables if Measurement.get(console, wide, t).maximum <= console.width)


def _table(rows: Sequence[Sequence[Text]], columns: int) -> Table:
    layout = [column(most=18), column(right=True), column(right=True), *(column() for _ in "123")]
    made = table(*layout[:columns])
    for row in rows:
        made.add_row(*row[:columns])
    return made


def _height(stats: LabelStats) -> int:
    """How many lines the whole distribution takes."""
    first = next(iter(stats.splits.values()), SplitStats())
    return len(distribution(stats, first)) + 4


def _chart(console: Console, stats: LabelStats, lines: int) -> list[str]:
    splits = {name: split for name, split in stats.splits.items() if split.files}
    if not splits:
        return ["No label file was found."]
    first, *others = splits
    rows = distribution(stats, splits[first])
    if not any(row.pixels for row in rows):
        return ["No label file could be read."]
    missing = list(_absent(console, stats, splits))
    inner = [row for row in rows if row.kind in (CLASS, COLOR) and row.pixels]
    outer = [row for row in rows if row.kind == IGNORED and row.pixels]
    strange = [row for row in rows if row.kind == OTHER]
    room = lines - 1 - len(missing) - len(outer) - min(len(strange), 2)
    entries = [
        *folded(inner, max(_LEAST_ROWS, min(room, _MOST_ROWS)), console.width),
        *folded(strange, 2, console.width),
        *outer,
    ]
    beside = others[:2] if console.width >= _WIDE else []
    return [*chart(console, stats, first, entries, beside), *missing]


def _absent(console: Console, stats: LabelStats, splits: Mapping[str, SplitStats]) -> Iterator[str]:
    for name, split in list(splits.items())[:3]:
        names = absent(stats, split)
        where = f"absent in {name}" if name else "absent"
        if names:
            text = f"  {counted(len(names), 'class')} {where}: {', '.join(names)}"
            yield one_line(console, text, "yellow")


def _findings(console: Console, diagnostics: Sequence[Diagnostic], room: int) -> list[str]:
    """Write all findings, in as much detail as there is room for."""
    width = console.width - _CODE
    texts = [_message(found).wrap(console, width) for found in diagnostics]
    detail = _DETAIL
    while detail > 1 and sum(min(len(text), detail) for text in texts) > room:
        detail -= 1
    most = max(room - 1, 3)
    shown = diagnostics if detail > 1 or len(diagnostics) <= most + 1 else diagnostics[:most]
    found = table(column(), column(), gap=1)
    for diagnostic, text in zip(shown, texts):
        shade = "yellow" if diagnostic.severity is Severity.WARNING else "red"
        found.add_row(cell(diagnostic.code, f"bold {shade}"), clipped(text, width, detail))
    lines = lines_of(console, found) if shown else []
    left = diagnostics[len(shown) :]
    return [*lines, one_line(console, _other_codes(left))] if left else lines


def _message(found: Diagnostic) -> Text:
    note = " (warning)" if found.severity is Severity.WARNING else ""
    return cell(f"{found.name}: {found.message}{note}")


def _other_codes(diagnostics: Sequence[Diagnostic]) -> str:
    codes = ", ".join(sorted({found.code for found in diagnostics}))
    return f"and {counted(len(diagnostics), 'more finding')} ({HTML} shows all): {codes}"


def _closing(console: Console, stats: LabelStats, diagnostics: Sequence[Diagnostic]) -> list[str]:
    files = sum(split.files for split in stats.splits.values())
    found = verdict(diagnostics)
    shade = "red" if "error" in found else "yellow" if diagnostics else "green"
    text = Text.assemble(f"Scanned {counted(files, 'file')}: ", (found, f"bold {shade}"))
    if diagnostics:
        text.append(f"\n`mmseg-fix rule CODE` explains a code; {HTML} shows the pixels.")
    return lines_of(console, text)
