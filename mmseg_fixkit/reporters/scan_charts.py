"""The graphics of a scan's page: distributions, sizes and modes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mmseg_fixkit.label_files.stats import LabelStats, SplitStats
from mmseg_fixkit.labels import Color
from mmseg_fixkit.reporters.markup import Markup, join, tag
from mmseg_fixkit.reporters.scan_rows import (
    CLASS,
    COLOR,
    OTHER,
    Row,
    color_name,
    counted,
    distribution,
    percent,
    pixels,
    printable,
    short,
    unpacked,
)

#: Rows of all distributions together; sizes and colours that are listed.
_MOST_ROWS = 1500
_MOST_ENTRIES = 10
_MOST_COLORS = 24


def name(text: str) -> Markup:
    """Return a name of the user's, which may run from right to left."""
    return tag("bdi", printable(text))


def swatch(color: Color) -> Markup:
    """Return a small square of a colour."""
    square = tag("rect", width=14, height=14, rx=3, fill=hexed(color))
    return tag("svg", square, class_="swatch", viewBox="0 0 14 14", aria_hidden="true")


def hexed(color: Color) -> str:
    """Write a colour as pages do."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def distributions(stats: LabelStats) -> Markup:
    """Return one table with bars for each split."""
    shown = {split: found for split, found in stats.splits.items() if found.files}
    most = max(20, _MOST_ROWS // max(len(shown), 1))
    decades = max((_decades(distribution(stats, s)) for s in shown.values()), default=2)
    return join(*(_distribution(stats, n, s, most, decades) for n, s in shown.items()))


def _decades(rows: Sequence[Row]) -> int:
    shares = [row.share for row in rows if row.pixels and row.kind != OTHER]
    return min(max(math.ceil(-math.log10(min(shares, default=1.0))), 2), 7)


def _distribution(
    stats: LabelStats, split_name: str, split: SplitStats, most: int, decades: int
) -> Markup:
    rows = distribution(stats, split)
    title = tag("h3", name(split_name) if split_name else "all files")
    about = f"{counted(split.files, 'file')}, {short(pixels(split))} pixels"
    head = tag("div", title, tag("span", about, class_="muted"), class_="card-head")
    if not any(row.pixels for row in rows):
        return tag("article", head, tag("p", "No file could be read."), class_="card split")
    columns = ["colour" if rows[0].kind == COLOR else "class", "", "share", "pixels", "files"]
    heads = join(*(tag("th", text, scope="col") for text in columns))
    body = join(*(_row(stats, split, row, decades) for row in rows[:most]))
    caption = tag("caption", f"Pixels and files of each class in {printable(split_name)}")
    table = tag("table", caption, tag("thead", tag("tr", heads)), tag("tbody", body))
    more = len(rows) - most
    fold = tag("p", f"and {more:,} more, all rarer", class_="muted") if more > 0 else ""
    scroll = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="classes")
    return tag("article", head, _ribbon(rows), scroll, fold, class_="card split")


def _ribbon(rows: Sequence[Row]) -> Markup:
    """Return all shares in one line, each in its colour."""
    left, parts = 0.0, []
    for row in rows:
        if row.share * 1000 >= 0.5:
            about = tag("title", f"{printable(row.name)}: {percent(row.share)}")
            width = max(row.share * 1000 - 1, 0.5)
            at = {"x": f"{left:.1f}", "width": f"{width:.1f}", "fill": hexed(row.color)}
            parts.append(tag("rect", about, height=14, **at))
        left += row.share * 1000
    return tag(
        "svg",
        *parts,
        class_="ribbon",
        viewBox="0 0 1000 14",
        preserveAspectRatio="none",
        role="img",
        aria_label="shares of all classes, which the table lists",
    )


def _row(stats: LabelStats, split: SplitStats, row: Row, decades: int) -> Markup:
    number = "" if row.kind == COLOR or row.name == str(row.label) else tag("small", row.label)
    label = tag("th", swatch(row.color), " ", name(row.name), " ", number, scope="row",
                title=printable(row.name))  # fmt: skip
    files = "" if row.files is None else f"{row.files:,}"
    note = _of_files(row, split)
    cells = [
        tag("td", _bar(row, decades), class_="bars"),
        tag("td", percent(row.share) if row.pixels else "absent"),
        tag("td", f"{row.pixels:,}", class_="pixels"),
        tag("td", files, title=note),
    ]
    kind = row.kind if row.pixels or row.kind != CLASS else "absent"
    return tag("tr", label, *cells, class_=f"row-{kind}", data_label=row.label)


def _of_files(row: Row, split: SplitStats) -> str:
    return f"{percent((row.files or 0) / (split.files or 1))} of the files"


def _bar(row: Row, decades: int) -> Markup:
    log = max(0.0, 1 + math.log10(row.share) / decades) if row.share else 0.0
    sizes = (("log", max(log, 0.006 if row.pixels else 0.0)), ("linear", row.share))
    bars = [
        tag("rect", class_=scale, width=f"{part * 100:.2f}", height=10) for scale, part in sizes
    ]
    lines = [_grid(n * 100 / decades) for n in range(1, decades)]
    return tag(
        "svg", *lines, *bars, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none",
        aria_hidden="true",
    )  # fmt: skip


def _grid(x: float) -> Markup:
    return tag("path", class_="grid log", d=f"M{x:.1f} 0v10")


def files(stats: LabelStats) -> Markup:
    """Return the sizes, modes and formats of each split, and the colours of colour files."""
    return join(*(_kinds(name, split) for name, split in stats.splits.items() if split.files))


def _kinds(split_name: str, split: SplitStats) -> Markup:
    lists = [
        ("Size (height x width)", split.shapes),
        ("Mode", split.modes),
        ("Format", split.formats),
    ]
    title = tag("h3", name(split_name) if split_name else "all files")
    blocks = [_counts(words, found, split.files) for words, found in lists if found]
    if split.colors:
        blocks.append(_colors(split.colors))
    return tag("article", tag("div", title, class_="card-head"), *blocks, class_="card")


def _counts(title: str, counts: Mapping[str, int], total: int) -> Markup:
    found = sorted(counts.items(), key=lambda pair: -pair[1])
    rows = [_count(text, count, total) for text, count in found[:_MOST_ENTRIES]]
    more = found[_MOST_ENTRIES:]
    if more:
        words = f"{len(more):,} more"
        rows.append(_count(words, sum(count for _, count in more), total))
    heads = join(tag("th", title, scope="col"), tag("td"), tag("th", "files", scope="col"))
    return tag("table", tag("thead", tag("tr", heads)), tag("tbody", *rows), class_="kinds")


def _count(text: str, count: int, total: int) -> Markup:
    width = f"{count / (total or 1) * 100:.2f}"
    bar = tag("svg", tag("rect", width=width, height=10), class_="bar", viewBox="0 0 100 10",
              preserveAspectRatio="none", aria_hidden="true")  # fmt: skip
    cells = [tag("td", bar, class_="bars"), tag("td", f"{count:,}")]
    return tag("tr", tag("th", name(text), scope="row"), *cells)


def _colors(colors: Mapping[int, int]) -> Markup:
    found = sorted(colors.items(), key=lambda pair: -pair[1])[:_MOST_COLORS]
    items = [
        tag("li", swatch(unpacked(code)), " ", tag("code", color_name(code)), f" {short(number)}")
        for code, number in found
    ]
    more = len(colors) - len(found)
    words = f"Colours and their pixels{f', {more:,} more not shown' if more else ''}"
    return join(tag("h4", words), tag("ul", *items, class_="colors"))
