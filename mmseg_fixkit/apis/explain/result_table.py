"""Result tables: what ``nan`` and ``0.0`` in them mean.

``IoUMetric`` of mmsegmentation 1.2.2 divides the common pixels of a class by those of its union
(IoU) and by those of its ground truth (Acc), so the two together say which of them there are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mmseg_fixkit.apis.explain.clean_text import Cleaned
from mmseg_fixkit.apis.explain.fault import all_faults
from mmseg_fixkit.apis.explain.match import Match
from mmseg_fixkit.apis.explain.pieces import Piece
from mmseg_fixkit.core.text import first_few

#: What a table of classes begins with, without white space.
HEAD = re.compile(rb"\|Class\|")

_HEADER = re.compile(r"\|Class((?:\|[A-Z][A-Za-z]+)+)\|")
_ROW = re.compile(
    r"[-+=]*(?:\|[-:|]+\|(?=\|[^-:|])[-+=]*)?"
    r"\|([^|+][^|]*)((?:\|(?:nan|-?\d+(?:\.\d+)?))+)\|"
)
#: Columns that divide by the union, by name; the other one is Acc, or Recall.
_OVERLAP = ("IoU", "Dice", "Fscore")
_FOUND = ("Acc", "Recall")


@dataclass(frozen=True)
class Row:
    """A class of a table: overlap (IoU or Dice) and share of its pixels that were found."""

    name: str
    overlap: float
    found: float


def classes_of_note(piece: Piece) -> Iterator[Match]:
    """Yield what the last table of classes in a piece says; nothing where each was found."""
    text = piece.joined
    tables = ((h, tuple(_rows(text, h))) for h in _HEADER.finditer(text.without_spaces))
    header, rows = next((t for t in reversed(list(tables)) if t[1]), (None, ()))
    if header is None:
        return
    line = piece.line_at(text.places[header.start()])
    for fault, shown_rows in _findings(rows).items():
        names = ", ".join(row.name for row in shown_rows)
        shown = first_few([f"{r.name} {r.overlap:g} {r.found:g}" for r in shown_rows], 6)
        evidence = f"{text.lines_of(*header.span())} … {shown}"
        yield Match(all_faults()[fault], line, evidence, {"names": names})


def _rows(text: Cleaned, header: re.Match[str]) -> Iterator[Row]:
    columns, start = header[1].split("|")[1:], header.end()
    overlap = next((columns.index(c) for c in _OVERLAP if c in columns), None)
    share = next((columns.index(c) for c in _FOUND if c in columns), None)
    while overlap is not None and share is not None:
        row = _ROW.match(text.without_spaces, start)
        if row is None:
            return
        cells = [float(cell) for cell in row[2].split("|")[1:]]
        if len(cells) != len(columns):
            return
        yield Row(text.original(*row.span(1)), cells[overlap], cells[share])
        start = row.end()


def _findings(rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    absent = [r for r in rows if math.isnan(r.overlap) and math.isnan(r.found)]
    without_truth = [r for r in rows if r.overlap == 0 and math.isnan(r.found)]
    never_hit = [r for r in rows if r.overlap == 0 and r.found == 0]
    hit = [r for r in rows if r.overlap > 0]
    if len(absent) == len(rows):
        return {"result-nothing-counted": rows}
    others = len(rows) - len(hit)
    if len(hit) == 1 and others and len(absent) == others and hit[0].overlap == 100:
        return {"result-only-one-labelled": hit}
    if len(hit) == 1 and never_hit and not without_truth and hit[0].found == 100:
        return {"result-one-class": hit, **_named("result-absent", absent)}
    return {
        **_named("result-without-truth", without_truth),
        **_named("result-never-hit", never_hit),
        **_named("result-absent", absent),
    }


def _named(fault: str, rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    return {fault: rows} if rows else {}
