"""Lines of a training: a loss that is nan or exactly 0, gradients that stay nan."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Optional

from mmseg_fixkit.apis.explain.clean_text import unwrapped
from mmseg_fixkit.apis.explain.fault import all_faults
from mmseg_fixkit.apis.explain.match import Match
from mmseg_fixkit.apis.explain.pieces import Piece

#: Without white space: a loss, one that is nan, and the norm of a gradient.
LOSS = re.compile(rb'loss[a-z_]{0,60}"?:[\dnN-]')
NAN = re.compile(rb'loss[a-z_\d.]{0,60}"?:-?(?:nan|NaN)')
GRADIENT = re.compile(rb"grad_norm")

_VALUE = re.compile(
    r'(?<![A-Za-z_.])"?(?P<head>[a-z]\w{0,60}\.(?:d\d+\.)?)?(?P<name>loss\w{0,60})"?\s{0,60}:\s{0,60}'
    r"(?P<value>-?(?:nan|NaN|inf|\d+\.\d+(?:e-?\d+)?|\d+))(?![\w.]*\.py)"
)
_NORM = re.compile(r'grad_norm"?\s*:\s*(nan|NaN|-?inf|-?[\d.]+)')
_ITERATION = re.compile(r"(?:Iter|Epoch)(?:\(train\))?\s*\[\s*(\d[\d/\]\[ ]*)\]")
_BREAK = re.compile(r"(?<=\w)\n(?=\w)")
_LINE = 1200  # characters of a line of a training, at most


def zero_losses(piece: Piece) -> Iterator[Match]:
    """Yield the losses of the first line with a loss that are 0: the sum, or all of one head."""
    text = _Joined(piece)
    first = next(_VALUE.finditer(text.plain), None)
    if first is None:
        return
    heads: dict[str, list[re.Match[str]]] = {}
    for value in _VALUE.finditer(text.plain, first.start(), text.end_of_line(first.start())):
        if "weight" not in value["name"]:
            heads.setdefault(value["head"] or "", []).append(value)
    yield from text.losses(
        "loss-zero",
        [v for values in heads.values() if not any(map(_number, values)) for v in values],
    )


def nan_losses(piece: Piece) -> Iterator[Match]:
    """Yield the losses of the first line with a nan that are nan."""
    text = _Joined(piece)
    values = [v for v in _VALUE.finditer(text.plain) if v["value"].lower().endswith("nan")]
    stop = text.end_of_line(values[0].start()) if values else 0
    yield from text.losses("loss-nan", [v for v in values if v.start() < stop])


def nan_gradient(piece: Piece) -> Iterator[Match]:
    """Yield the last norm of a gradient if it is nan."""
    text = _Joined(piece)
    values = list(_NORM.finditer(text.plain))
    if values and values[-1][1].lower() == "nan":
        yield text.match("gradient-nan", values[-1].start(), {})


def _number(value: re.Match[str]) -> float:
    """Return the value; nan counts as different from 0."""
    return float(value["value"]) or 0.0


class _Joined:
    """Text in which a terminal broke no word; lines of a log begin with a blanked timestamp."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        self.plain = _BREAK.sub("", piece.plain)

    @cached_property
    def _breaks(self) -> list[int]:
        return [found.start() for found in _BREAK.finditer(self._piece.plain)]

    def end_of_line(self, start: int) -> int:
        """Return where the values of an iteration end."""
        following = _ITERATION.search(self.plain, start)
        return min(following.start() if following else len(self.plain), start + _LINE)

    def losses(self, fault: str, values: list[re.Match[str]]) -> Iterator[Match]:
        """Yield the match of some losses of one line, if there are any."""
        if not values:
            return
        at = values[0].start()
        groups = {"names": ", ".join(f"{v['head'] or ''}{v['name']}" for v in values)}
        before = list(_ITERATION.finditer(self.plain, max(0, at - _LINE), at))
        if before:
            groups["iteration"] = " ".join(before[-1][1].replace("][", " ").split())
        yield self.match(fault, at, groups)

    def match(self, fault: str, at: int, groups: dict[str, str]) -> Match:
        """Return what was found at a character of :attr:`plain`."""
        joined = sum(place - number < at for number, place in enumerate(self._breaks))
        begin = self.plain.rfind("\n", 0, at) + 1
        stop: Optional[int] = self.plain.find("\n", at)
        line = unwrapped(self.plain[begin : stop if stop != -1 else None])[:300]
        return Match(all_faults()[fault], self._piece.line_at(at + joined), line, groups)
