"""What becomes of the values of a label file: the modes of ``scan --fix``, as frozen tables. Pure.

Values are those in the files. The corrected files are read by the same pipeline, so "class 0" and
"ignored" stand for the value that this pipeline reads so: with ``reduce_zero_label``, class 0 is 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

import numpy as np

from mmseg_fixkit.core.text import first_few
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.facts import Reading
from mmseg_fixkit.label_files.palettes import Palette, is_grey, pack, unpack

#: Values that an 8-bit file holds, which is all that the host reads.
BYTE = range(256)

_SHOWN = 5  # values or colours that a message names
_CHUNK = 4096  # colours that are compared with a palette at once
_NO_VALUE = 1 << 20  # beyond every value of a file


@dataclass(frozen=True)
class Recoded:
    """What becomes of one file: a new value for each of its values, or why it is refused."""

    table: Mapping[int, int] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class ColorTable:
    """What values colours stand for.

    Args:
        name: whose colours they are.
        values: ``(0xRRGGBB, value)``.
        shared: colours that several classes have, which say nothing.
        nearest: how far each part of a colour may be off, if that leaves one colour only.
        other: the value of every other colour; None refuses the file.
    """

    name: str
    values: tuple[tuple[int, int], ...]
    shared: tuple[int, ...] = ()
    nearest: int = 0
    other: Optional[int] = None

    def of(self, colors: Iterable[int]) -> Recoded:
        """Return a value for each of ``colors``."""
        known = dict(self.values)
        found = {color: known[color] for color in colors if color in known}
        others = [color for color in colors if color not in known]
        if self.nearest and others:
            found.update(self._near(others))
        if self.other is not None:
            found.update((color, self.other) for color in others if color not in found)
        left = [color for color in others if color not in found]
        if not left:
            return Recoded(found)
        return Recoded(refused=f"{_colors(left)} {_are(left)} not in {self.name}{self._hint(left)}")

    def _near(self, colors: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield colours and their value, where all colours near them stand for the same."""
        targets = [*self.values, *((color, _NO_VALUE) for color in self.shared)]
        parts = np.array([unpack(color) for color, _ in targets], np.int16)
        values = np.array([value for _, value in targets])
        for start in range(0, len(colors), _CHUNK):
            some = np.array([unpack(c) for c in colors[start : start + _CHUNK]], np.int16)
            near = np.abs(some[:, None] - parts).max(2) <= self.nearest
            low = np.where(near, values, _NO_VALUE).min(1)
            high = np.where(near, values, -_NO_VALUE).max(1)
            one = np.flatnonzero((low == high) & (low < _NO_VALUE))
            yield from ((colors[start + i], int(low[i])) for i in one.tolist())

    def _hint(self, left: Collection[int]) -> str:
        if set(left) & set(self.shared):
            return " for one class only: two of its classes share a colour"
        return "; palette:ignore makes such pixels ignored, palette:nearest=K takes close colours"

    @property
    def text(self) -> str:
        """What it does, in words."""
        near = f", or at most {self.nearest} off" if self.nearest else ""
        other = "" if self.other is None else f", other colours to {self.other}"
        return f"colours to values by {self.name}{near}{other}"


@dataclass(frozen=True)
class Recoding:
    """What ``scan --fix`` does to the files of a split, step by step, in the order of the fields.

    Args:
        reading: how the pipeline reads the values, before and after.
        colors: the values of colours; None refuses files with colours, or leaves it to ``grey``.
        grey: whether colours of three equal parts become that part.
        values: ``(old, new)``; other values stay.
        binary: whether 0 and 255 become 0 and 1.
        threshold: values from here on become 1, and all below 0.
        outside: what values that are neither a class nor ignored become.
        narrow: whether wider files are written in 8 bit even where no value changes.
        auto: only what fits a file is done to it, and nothing is asked of other files.
        palette: colours of the values, for those who look at the new files.
    """

    reading: Reading = field(default_factory=Reading)
    colors: Optional[ColorTable] = None
    grey: bool = False
    values: tuple[tuple[int, int], ...] = ()
    binary: bool = False
    threshold: Optional[int] = None
    outside: Optional[int] = None
    narrow: bool = False
    auto: bool = False
    palette: Optional[tuple[tuple[int, int, int], ...]] = None

    def of_colors(self, colors: Collection[int]) -> Recoded:
        """Return a value for each colour (``0xRRGGBB``) of a file, or why there is none."""
        if self.grey and all(map(is_grey, colors)):
            first = Recoded({color: color & 255 for color in colors})
        elif self.colors is not None:
            first = self.colors.of(colors)
        else:
            why = "are not all grey" if self.grey else "have no palette that says what they are"
            first = Recoded(refused=f"its colours {why}: {_colors(colors)}; add palette or remap")
        if first.refused:
            return first
        then = self.of_values(set(first.table.values()))
        return then if then.refused else Recoded({c: then.table[v] for c, v in first.table.items()})

    def of_values(self, values: Collection[int]) -> Recoded:
        """Return a new value for each value of a file, or why there is none."""
        remapped = dict(self.values)
        table = {value: remapped.get(value, value) for value in values}
        if self.binary or self.threshold is not None:
            odd = self._to_binary(table)
            if odd:
                return Recoded(refused=f"it holds {_listed(odd)}, but binary is for 0 and 255 only")
        if self.outside is not None:
            table = {old: self._inside(new, self.outside) for old, new in table.items()}
        return Recoded(table)

    def _to_binary(self, table: dict[int, int]) -> list[int]:
        """Change ``table`` to 0 and 1; return the values for which that cannot be."""
        if self.threshold is not None:
            table.update({old: int(new >= self.threshold) for old, new in table.items()})
            return []
        odd = sorted(set(table.values()) - {0, 255})
        if not odd:
            table.update({old: int(new == 255) for old, new in table.items()})
        # Files that hold 0 and 1 already are as they should be.
        return [] if self.auto or set(table.values()) <= {0, 1} else odd

    def _inside(self, value: int, target: int) -> int:
        label = self.reading.label(value)
        good = label == self.reading.ignore_index or self.reading.is_class(label)
        return value if good else target

    @property
    def text(self) -> str:
        """What it does, in words."""
        said = [
            self.colors.text if self.colors else "",
            "grey colours to values" if self.grey else "",
            ", ".join(f"{old} to {new}" for old, new in self.values),
            "0 and 255 to 0 and 1" if self.binary else "",
            "" if self.threshold is None else f"values from {self.threshold} on to 1, below to 0",
            "" if self.outside is None else f"values out of range to {self.outside}",
            "16 to 8 bit" if self.narrow else "",
        ]
        text = "; ".join(filter(None, said))
        return f"what fits a file of: {text}" if self.auto else text

    @property
    def digest(self) -> str:
        """Tells two recodings apart, also in another process."""
        return hashlib.blake2b(repr(self).encode(), digest_size=8).hexdigest()


def unfitting(values: Iterable[int]) -> str:
    """Say which values no 8-bit file holds; nothing if all fit."""
    wide = sorted({value for value in values if value not in BYTE})
    return f"{_listed(wide)} {_are(wide)} outside 0..255, which is all that is read" if wide else ""


def value_of_label(reading: Reading, label: int) -> int:
    """Return the value of a file that is read as ``label``; the same number if it is.

    Raises:
        FixkitError: no value is.
    """
    candidates: list[int] = [label, *BYTE]
    for value in candidates:
        if value in BYTE and reading.label(value) == label:
            return value
    raise FixkitError(
        f"--fix cannot write label {label}: no value of 0..255 is read as {label} "
        "through the zero-label reduction and label map of this config"
    )


def color_table(
    palette: Palette, reading: Reading, nearest: int = 0, other: Optional[int] = None
) -> ColorTable:
    """Return the values that files need so that ``palette``'s colours are read as its classes."""
    shared = {pack(color) for color, _ in palette.duplicates}
    values = {
        color: value_of_label(reading, label)
        for color, label in palette.labels(reading.ignore_index).items()
        if color not in shared and (reading.is_class(label) or label == reading.ignore_index)
    }
    return ColorTable(
        palette.name, tuple(sorted(values.items())), tuple(sorted(shared)), nearest, other
    )


def _colors(colors: Collection[int]) -> str:
    return first_few([f"#{color:06x}" for color in sorted(colors)], _SHOWN)


def _listed(values: Collection[int]) -> str:
    return first_few([str(value) for value in sorted(values)], _SHOWN)


def _are(found: Collection[int]) -> str:
    return "is" if len(found) == 1 else "are"
