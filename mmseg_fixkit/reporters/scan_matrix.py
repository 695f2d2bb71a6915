"""Which classes meet in a file: a matrix that is readable with 150 of them too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from mmseg_fixkit.label_files.stats import LabelStats
from mmseg_fixkit.labels import Color
from mmseg_fixkit.reporters.markup import Markup, join, tag
from mmseg_fixkit.reporters.scan_charts import hexed, name
from mmseg_fixkit.reporters.scan_rows import CLASS, color_of, kind_of, printable

#: The rarest of more classes are left out.
_MOST_CLASSES = 160

#: Upper bounds of the shades of the matrix, as shares of the files that have the row's class.
SHADES = (0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

#: With more classes the table below the matrix lists pairs instead.
_TABLE_CLASSES = 24
_TABLE_PAIRS = 60

#: Up to so many classes, cells and letters of the matrix have these sizes.
_CELLS = ((12, 30, 13), (24, 22, 12), (60, 15, 11), (_MOST_CLASSES, 11, 9))
_NAME_LETTERS = 22

#: A sheet of paper takes a matrix of this side.
_PAPER = 800


def together(stats: LabelStats) -> Markup:
    """Return the matrix of classes that meet in a file, most frequent first; or a word why not."""
    images, pairs = _summed(stats)
    order = sorted((c for c in images if kind_of(stats, c) == CLASS), key=lambda c: -images[c])
    left_out, order = len(order) - _MOST_CLASSES, order[:_MOST_CLASSES]
    if len(order) < 2 or not pairs:
        return tag("p", "There are no two classes whose files are known.", class_="muted")
    names = [printable(stats.name(c)) for c in order]
    fold = f"The {left_out:,} rarest classes are left out." if left_out > 0 else ""
    return join(
        tag("p", fold, class_="muted") if fold else "",
        _legend(),
        _matrix(order, names, images, pairs, [color_of(stats, c) for c in order]),
        _table(order, names, images, pairs),
    )


Pairs = Mapping[tuple[int, int], int]


def _summed(stats: LabelStats) -> tuple[dict[int, int], dict[tuple[int, int], int]]:
    images: dict[int, int] = {}
    pairs: dict[tuple[int, int], int] = {}
    for split in stats.splits.values():
        for label, count in split.images.items():
            images[label] = images.get(label, 0) + count
        for pair, count in split.together.items():
            pairs[pair] = pairs.get(pair, 0) + count
    return {label: count for label, count in images.items() if count}, pairs


def _both(pairs: Pairs, a: int, b: int) -> int:
    return pairs.get((min(a, b), max(a, b)), 0)


def _matrix(
    order: Sequence[int],
    names: Sequence[str],
    images: Mapping[int, int],
    pairs: Pairs,
    colors: Sequence[Color],
) -> Markup:
    cell, letters = next((c, size) for most, c, size in _CELLS if len(order) <= most)
    side = len(order) * cell
    longest = min(max(map(len, names)), _NAME_LETTERS)
    margin = round(longest * letters * 0.62) + cell + 8
    data = {
        "names": names,
        "files": [images[c] for c in order],
        "together": [_both(pairs, a, b) for a, b in combinations(order, 2)],
    }
    cells = tag(
        "svg",
        *_shaded(order, images, pairs),
        tag("rect", class_="cursor", width=1, height=1, x=-9, y=-9),
        class_="cells",
        viewBox=f"0 0 {len(order)} {len(order)}",
        width=side,
        height=side,
        role="img",
        tabindex=0,
        aria_label="How often classes are in one file; arrow keys read the cells, the table below "
        "has the numbers",
        data_matrix=json.dumps(data, ensure_ascii=False, separators=(",", ":")),
    )
    top = _axis(names, colors, cell, letters, margin, turned=True)
    left = _axis(names, colors, cell, letters, margin, turned=False)
    large = " large" if side > _PAPER else ""
    grid = tag("div", tag("span", class_="corner"), top, left, cells, class_=f"matrix{large}")
    box = tag("div", grid, class_="matrix-scroll")
    return join(box, tag("p", "Point at a cell, or move with the arrow keys.", class_="readout",
                         aria_live="polite"))  # fmt: skip


def _shaded(order: Sequence[int], images: Mapping[int, int], pairs: Pairs) -> Iterator[Markup]:
    """Yield a path for each shade: one for each cell would be ten times as long."""
    paths: dict[int, list[str]] = {}
    for y, row in enumerate(order):
        for x, column in enumerate(order):
            both = _both(pairs, row, column)
            if x != y and both:
                share = both / images[row]
                shade = next((n for n, bound in enumerate(SHADES) if share <= bound), 7)
                paths.setdefault(shade, []).append(f"M{x} {y}h1v1h-1z")
    diagonal = "".join(f"M{n} {n}h1v1h-1z" for n in range(len(order)))
    yield tag("path", class_="diagonal", d=diagonal)
    for shade, cells in sorted(paths.items()):
        yield tag("path", class_=f"shade-{shade + 1}", d="".join(cells))


def _axis(
    names: Sequence[str],
    colors: Sequence[Color],
    cell: int,
    letters: int,
    margin: int,
    *,
    turned: bool,
) -> Markup:
    side, marks = len(names) * cell, []
    dot = round(cell * 0.55)
    for n, (text, color) in enumerate(zip(names, colors)):
        cut = text if len(text) <= _NAME_LETTERS else f"{text[: _NAME_LETTERS - 1]}…"
        middle = (n + 0.5) * cell
        at = (
            f"translate({middle} {margin}) rotate(-90)"
            if turned
            else f"translate({margin} {middle})"
        )
        edge = 4 if turned else -4 - dot
        words = tag(
            "text", cut, x=edge + dot + 5 if turned else edge - 5, y=round(letters * 0.34, 1),
            text_anchor="start" if turned else "end",
        )  # fmt: skip
        square = tag("rect", x=edge, y=-dot / 2, width=dot, height=dot, rx=2, fill=hexed(color))
        marks.append(tag("g", words, square, transform=at))
    width, height = (side, margin) if turned else (margin, side)
    return tag(
        "svg", *marks, class_="top" if turned else "left", width=width, height=height,
        font_size=letters, aria_hidden="true",
    )  # fmt: skip


def _legend() -> Markup:
    bounds = [0.0, *SHADES]
    items = [_key("shade-0", "never")]
    for n, (low, high) in enumerate(zip(bounds, bounds[1:])):
        words = f"to {high * 100:g} %" if high < 1 else f"over {low * 100:g} %"
        items.append(_key(f"shade-{n + 1}", words))
    words = "Of the files with the class of the row, so many have that of the column:"
    return tag("div", tag("span", words), *items, class_="legend")


def _key(shade: str, words: str) -> Markup:
    square = tag("rect", class_=shade, width=14, height=14, rx=3)
    icon = tag("svg", square, class_="swatch", viewBox="0 0 14 14", aria_hidden="true")
    return tag("span", icon, " ", words, class_="key")


def _table(
    order: Sequence[int], names: Sequence[str], images: Mapping[int, int], pairs: Pairs
) -> Markup:
    if len(order) <= _TABLE_CLASSES:
        summary, table = "The same as a table of files", _whole(order, names, images, pairs)
    else:
        summary = f"The {_TABLE_PAIRS} pairs that meet most often as a table"
        table = _most_frequent(order, names, pairs)
    box = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=summary)
    return tag("details", tag("summary", summary), box)


def _whole(
    order: Sequence[int], names: Sequence[str], images: Mapping[int, int], pairs: Pairs
) -> Markup:
    heads = join(tag("td"), *(tag("th", name(text), scope="col") for text in names))
    rows = []
    for text, row in zip(names, order):
        counts = (images[row] if row == c else _both(pairs, row, c) for c in order)
        cells = join(*(tag("td", f"{count:,}") for count in counts))
        rows.append(tag("tr", tag("th", name(text), scope="row"), cells))
    return tag("table", tag("thead", tag("tr", heads)), tag("tbody", *rows), class_="numbers")


def _most_frequent(order: Sequence[int], names: Sequence[str], pairs: Pairs) -> Markup:
    found = [
        (_both(pairs, a, b), names[x], names[y])
        for (x, a), (y, b) in combinations(enumerate(order), 2)
    ]
    best = sorted(found, key=lambda entry: -entry[0])[:_TABLE_PAIRS]
    rows = [
        tag("tr", tag("td", name(a)), tag("td", name(b)), tag("td", f"{count:,}"))
        for count, a, b in best
    ]
    heads = join(*(tag("th", text, scope="col") for text in ("class", "with", "files")))
    return tag("table", tag("thead", tag("tr", heads)), tag("tbody", *rows))
