"""Lines of a training: a loss that is nan or exactly 0, gradients that stay nan."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Optional

from mmseg_fixkit.explanations.cleaned import unwrapped, without_decoration
from mmseg_fixkit.explanations.entries import BY_ID
from mmseg_fixkit.explanations.matching import Match
from mmseg_fixkit.explanations.stream import Window

#: What the finder calls its places.
FIRST, NAN, GRADIENT = "first loss", "nan loss", "gradient"
PLACES = frozenset({FIRST, NAN, GRADIENT})

_LOSS = re.compile(rb'loss[a-z_]*"?:[\dnN-]')
_NAN = re.compile(rb'loss[a-z_\d.]*"?:-?(?:nan|NaN)')

_VALUE = re.compile(
    r'(?<![A-Za-z_.])"?(?P<head>[a-z]\w*\.(?:d\d+\.)?)?(?P<name>loss\w*)"?\s*:\s*'
    r"(?P<value>-?(?:nan|NaN|inf|\d+\.\d+(?:e-?\d+)?|\d+))(?![\w.]*\.py)"
)
_ITERATION = re.compile(r"(?:Iter|Epoch)(?:\(train\))?\s*\[\s*([\d/\]\[ ]+)\]")
_BREAK = re.compile(r"(?<=\w)\n(?=\w)")
_LINE = 1200  # characters of a line of a training, at most


class LossFinder:
    """Finds the first loss of a text, the first that is nan, and the last gradient of a piece."""

    def __init__(self) -> None:
        self._first = self._nan = False

    def __call__(self, squeezed: bytes, stop: int) -> Iterator[tuple[int, str]]:
        """Yield places before ``stop``."""
        if not self._first and (found := _LOSS.search(squeezed)) and found.start() < stop:
            self._first = True
            yield found.start(), FIRST
        nan = b":nan" in squeezed or b":NaN" in squeezed
        if nan and not self._nan and (found := _NAN.search(squeezed)) and found.start() < stop:
            self._nan = True
            yield found.start(), NAN
        place = squeezed.rfind(b"grad_norm", 0, stop)
        if place >= 0:
            yield place, GRADIENT


class LossReader:
    """Reads the pieces of text that :class:`LossFinder` found."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._gradient: Optional[Match] = None

    def read(self, window: Window) -> Iterator[Match]:
        """Yield what the first loss and the first nan say."""
        text = _Joined(without_decoration(window.text), window)
        if FIRST in window.hits and FIRST not in self._seen:
            yield from _found("loss-zero", _first_zero(text.plain), text)
        if NAN in window.hits and NAN not in self._seen:
            yield from _found("loss-nan", _first_nan(text.plain), text)
        if GRADIENT in window.hits:
            self._gradient = _last_gradient(text)
        self._seen |= window.hits

    def close(self) -> Iterator[Match]:
        """Yield what the last gradient of the text says."""
        if self._gradient is not None:
            yield self._gradient


class _Joined:
    """Text in which a terminal broke no word; lines of a log begin with a blanked timestamp."""

    def __init__(self, text: str, window: Window) -> None:
        self._breaks = [found.start() for found in _BREAK.finditer(text)]
        self._window = window
        self.plain = _BREAK.sub("", text)

    def line_at(self, at: int) -> int:
        """Return the number of the line of a character of :attr:`plain`."""
        before = sum(place - joined < at for joined, place in enumerate(self._breaks))
        return self._window.line_at(at + before)

    def around(self, at: int) -> str:
        """Return the line of a character."""
        begin = self.plain.rfind("\n", 0, at) + 1
        stop = self.plain.find("\n", at)
        return unwrapped(self.plain[begin : stop if stop >= 0 else len(self.plain)])[:300]


#: Where the first of some losses stands, and their names.
Place = tuple[int, list[str]]


def _found(entry_id: str, place: Optional[Place], text: _Joined) -> Iterator[Match]:
    if place is None:
        return
    at, names = place
    groups = {"names": ", ".join(names)}
    before = list(_ITERATION.finditer(text.plain, max(0, at - _LINE), at))
    if before:
        groups["iteration"] = " ".join(before[-1][1].replace("][", " ").split())
    yield Match(BY_ID[entry_id], text.line_at(at), text.around(at), groups)


def _first_zero(plain: str) -> Optional[Place]:
    """Return the losses of the first line that are 0: the sum, or all of one head."""
    first = next(_VALUE.finditer(plain), None)
    if first is None:
        return None
    stop = _next_line(plain, first.start())
    heads: dict[str, list[re.Match[str]]] = {}
    for value in _VALUE.finditer(plain, first.start(), stop):
        if "weight" not in value["name"]:
            heads.setdefault(value["head"] or "", []).append(value)
    zeros = [v for values in heads.values() if not any(map(_number, values)) for v in values]
    return (zeros[0].start(), [_name(v) for v in zeros]) if zeros else None


def _next_line(plain: str, start: int) -> int:
    following = _ITERATION.search(plain, start)
    return min(following.start() if following else len(plain), start + _LINE)


def _first_nan(plain: str) -> Optional[Place]:
    values = [v for v in _VALUE.finditer(plain) if v["value"].lower().endswith("nan")]
    if not values:
        return None
    stop = _next_line(plain, values[0].start())
    return values[0].start(), [_name(v) for v in values if v.start() < stop]


def _last_gradient(text: _Joined) -> Optional[Match]:
    values = list(re.finditer(r'grad_norm"?\s*:\s*(nan|NaN|-?inf|-?[\d.]+)', text.plain))
    if not values or values[-1][1].lower() != "nan":
        return None
    at = values[-1].start()
    return Match(BY_ID["gradient-nan"], text.line_at(at), text.around(at), {})


def _name(value: re.Match[str]) -> str:
    return f"{value['head'] or ''}{value['name']}"


def _number(value: re.Match[str]) -> float:
    """Return the value; nan counts as different from 0."""
    return float(value["value"]) or 0.0
