"""Class weights for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from mmseg_fixkit.class_counts import ClassCounts
from mmseg_fixkit.reporters.scan_rows import percent, printable

#: Method -> the weights of the classes, and that of "no object" where it is number N + 1.
Weights = Mapping[str, Sequence[float]]

_NO_OBJECT = "no object"
_WIDEST = 40


def weights_text(counts: ClassCounts, weights: Weights) -> str:
    """Return a table of the classes; of one method also the list to paste."""
    lines = _aligned([*_headings(weights), *_rows(counts, weights)])
    if len(weights) == 1:
        lines = [*lines, "", f"class_weight={list(next(iter(weights.values())))}"]
    return "".join(f"{line}\n" for line in lines)


def _headings(weights: Weights) -> Iterator[list[str]]:
    """Yield the names of the columns; those of methods, which are long, in two lines."""
    names = ["class", "pixels", "share", "files"]
    if len(weights) == 1:
        yield [*names, "weight"]
        return
    halves = [method.rpartition("-") for method in weights]
    yield [""] * len(names) + [f"{first}{dash}" for first, dash, _ in halves]
    yield [*names, *(last for _, _, last in halves)]


def _rows(counts: ClassCounts, weights: Weights) -> Iterator[list[str]]:
    numbers = zip(counts.names, counts.pixels, counts.shares, counts.images)
    for i, (name, pixels, share, files) in enumerate(numbers):
        of_class = [f"{of_method[i]:g}" for of_method in weights.values()]
        yield [printable(name), f"{pixels:,}", percent(share), f"{files:,}", *of_class]
    last = [f"{of_method[-1]:g}" for of_method in weights.values()]
    if any(len(of_method) > len(counts.names) for of_method in weights.values()):
        yield [_NO_OBJECT, "", "", "", *last]


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Put names to the left and numbers to the right of columns as wide as they need."""
    table = [(row[0], *row[1:]) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*table)]
    name = min(widths[0], _WIDEST)
    return [
        "  ".join([set_cell_size(first, name), *(t.rjust(w) for t, w in zip(rest, widths[1:]))])
        for first, *rest in table
    ]


def weights_list(weights: Weights) -> str:
    """Return the weights alone, as ``--class-weight`` takes them."""
    return "".join(f"{','.join(f'{w:g}' for w in of_method)}\n" for of_method in weights.values())


def weights_record(counts: ClassCounts, weights: Weights) -> dict[str, Any]:
    """Return all of it for JSON."""
    numbers = zip(counts.names, counts.pixels, counts.shares, counts.images)
    return {
        "split": counts.split,
        "files": counts.files,
        "classes": [
            {"name": name, "pixels": pixels, "share": share, "files": files}
            for name, pixels, share, files in numbers
        ],
        "absent": list(counts.absent),
        "weights": {method: list(of_method) for method, of_method in weights.items()},
    }
