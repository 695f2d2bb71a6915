"""Class weights for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from mmseg_fixkit.cli.output.scan_rows import percent
from mmseg_fixkit.cli.output.terminal import cell, column, console_for, lines_of, table
from mmseg_fixkit.datasets.class_weights import ClassCounts

#: Method -> the weights of the classes, and that of "no object" where it is number N + 1.
Weights = Mapping[str, Sequence[float]]

_NO_OBJECT = "no object"
_WIDEST = 40
_WIDE = 1000


def weights_text(counts: ClassCounts, weights: Weights) -> str:
    """Return a table of the classes; of one method also the list to paste."""
    methods = ["-\n".join(method.rsplit("-", 1)) for method in weights]  # long names have two lines
    heads = ["pixels", "share", "files", *(methods if len(weights) > 1 else ["weight"])]
    numbers = (column(Text(head), right=True) for head in heads)
    shown = table(column("class", most=_WIDEST), *numbers)
    for row in _rows(counts, weights):
        shown.add_row(*map(cell, row))
    lines = lines_of(console_for(_WIDE), shown)
    if len(weights) == 1:
        lines += ["", f"class_weight={list(next(iter(weights.values())))}"]
    return "".join(f"{line}\n" for line in lines)


def _rows(counts: ClassCounts, weights: Weights) -> Iterator[list[str]]:
    numbers = zip(counts.names, counts.pixels, counts.shares, counts.images)
    for i, (name, pixels, share, files) in enumerate(numbers):
        of_class = [f"{of_method[i]:g}" for of_method in weights.values()]
        yield [name, f"{pixels:,}", percent(share), f"{files:,}", *of_class]
    last = [f"{of_method[-1]:g}" for of_method in weights.values()]
    if any(len(of_method) > len(counts.names) for of_method in weights.values()):
        yield [_NO_OBJECT, "", "", "", *last]


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
