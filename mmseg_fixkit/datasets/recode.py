"""What becomes of the values of a label file: the modes of ``scan --fix``, as frozen tables. Pure.

Values are those in the files. The corrected files are read by the same pipeline, so "class 0" and
"ignored" stand for the value that this pipeline reads so: with ``reduce_zero_label``, class 0 is 1.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.core.palettes import (
    KNOWN,
    VOC,
    Palette,
    as_hex,
    is_grey,
    pack,
    pack_image,
    unpack,
)
from mmseg_fixkit.core.text import first_few
from mmseg_fixkit.datasets.count import count_values
from mmseg_fixkit.datasets.decode import Decoded
from mmseg_fixkit.datasets.label_file import LabelReading

Array = NDArray[Any]

#: Values that an 8-bit file holds, which is all that the host reads.
BYTE = range(256)

_SHOWN = 5  # values or colours that a message names
_CHUNK = 4096  # colours that are compared with a palette at once
_NO_VALUE = 1 << 20  # beyond every value of a file


@dataclass(frozen=True)
class MappingResult:
    """What becomes of one file: a new value for each of its values, or why it is refused."""

    table: Mapping[int, int] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class ColorTable:
    """What values colours stand for."""

    name: str  # whose colours they are
    values: tuple[tuple[int, int], ...]  # ``(0xRRGGBB, value)``
    shared: tuple[int, ...] = ()  # colours of several classes, which stand for none
    tolerance: int = 0  # how far each part of a colour may be off, if that leaves one colour only
    default: Optional[int] = None  # the value of every other colour; None refuses the file

    def of(self, colors: Collection[int]) -> MappingResult:
        """Return a value for each of ``colors``."""
        known = dict(self.values)
        others = [color for color in colors if color not in known]
        found = {color: known[color] for color in colors if color in known}
        found.update(self._near(others) if self.tolerance else ())
        if self.default is not None:
            found = {**dict.fromkeys(others, self.default), **found}
        left = [color for color in others if color not in found]
        if left:
            return MappingResult(refused=f"{_colors(left)} not in {self.name}{self._hint(left)}")
        return MappingResult(found)

    def _near(self, colors: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield colours and their value, where all colours near them stand for the same."""
        targets = [*self.values, *((color, _NO_VALUE) for color in self.shared)]
        parts = np.array([unpack(color) for color, _ in targets], np.int16)
        values = np.array([value for _, value in targets])
        for start in range(0, len(colors), _CHUNK):
            some = np.array([unpack(c) for c in colors[start : start + _CHUNK]], np.int16)
            near = np.abs(some[:, None] - parts).max(2) <= self.tolerance
            low = np.where(near, values, _NO_VALUE).min(1)
            high = np.where(near, values, -_NO_VALUE).max(1)
            one = np.flatnonzero((low == high) & (low < _NO_VALUE))
            yield from ((colors[start + i], int(low[i])) for i in one.tolist())

    def _hint(self, left: Collection[int]) -> str:
        if set(left) & set(self.shared):
            return " for one class only: two of its classes share a colour"
        return "; palette:ignore makes such pixels ignored, palette:nearest=K takes close colours"


@dataclass(frozen=True)
class LabelMapping:
    """What ``scan --fix`` does to the files of a split, step by step, in the order of fields."""

    reading: LabelReading = field(default_factory=LabelReading)  # before and after
    colors: Optional[ColorTable] = None  # None refuses colours, or leaves them to ``grey``
    grey: bool = False  # colours of three equal parts become that part
    values: tuple[tuple[int, int], ...] = ()  # ``(old, new)``; other values stay
    binary: bool = False  # 0 and 255 become 0 and 1
    threshold: Optional[int] = None  # values from here on become 1, all below 0
    outside: Optional[int] = None  # what values become that are neither class nor ignored
    narrow: bool = False  # write wider files in 8 bit even where no value changes
    auto: bool = False  # do only what fits a file, and ask nothing of other files
    palette: Optional[tuple[Color, ...]] = None  # of the values, for those who look at new files

    def of_colors(self, colors: Collection[int]) -> MappingResult:
        """Return a value for each colour (``0xRRGGBB``) of a file, or why there is none."""
        first = self._values_of(colors)
        then = self.of_values(set(first.table.values()))
        refused = first.refused or then.refused
        if refused:
            return MappingResult(refused=refused)
        return MappingResult({color: then.table[value] for color, value in first.table.items()})

    def _values_of(self, colors: Collection[int]) -> MappingResult:
        if self.grey and all(map(is_grey, colors)):
            return MappingResult({color: color & 255 for color in colors})
        if self.colors is not None:
            return self.colors.of(colors)
        why = "are not all grey" if self.grey else "have no palette that tells what they are"
        shown = first_few([as_hex(color) for color in sorted(colors)], _SHOWN)
        return MappingResult(refused=f"its colours {why}: {shown}; add palette or remap")

    def of_values(self, values: Collection[int]) -> MappingResult:
        """Return a new value for each value of a file, or why there is none."""
        remapped = dict(self.values)
        table = {value: remapped.get(value, value) for value in values}
        if self.threshold is not None:
            table = {old: int(new >= self.threshold) for old, new in table.items()}
        elif self.binary:
            odd = set(table.values()) - {0, 255}
            if not odd:
                table = {old: int(new == 255) for old, new in table.items()}
            # Files that hold 0 and 1 already are as they should be.
            elif not self.auto and not set(table.values()) <= {0, 1}:
                shown = _values(odd)
                return MappingResult(refused=f"it holds {shown}, but binary is for 0 and 255 only")
        if self.outside is not None:
            table = {old: self._inside(new, self.outside) for old, new in table.items()}
        return MappingResult(table)

    def _inside(self, value: int, target: int) -> int:
        label = self.reading.label(value)
        good = label == self.reading.ignore_index or self.reading.is_class(label)
        return value if good else target

    @property
    def digest(self) -> str:
        """Distinguishes two mappings, also in another process."""
        return hashlib.blake2b(repr(self).encode(), digest_size=8).hexdigest()


def value_of_label(reading: LabelReading, label: int) -> int:
    """Return the value that is read as ``label``, the same number if it is.

    Raises FixkitError if no value is.
    """
    candidates: tuple[int, ...] = (label, *BYTE)
    for value in candidates:
        if value in BYTE and reading.label(value) == label:
            return value
    raise FixkitError(
        f"--fix cannot write label {label}: no value of 0..255 is read as {label} "
        "through the zero-label reduction and label map of this config"
    )


def color_table(
    palette: Palette, reading: LabelReading, nearest: int = 0, other: Optional[int] = None
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


def _values(values: Collection[int]) -> str:
    return first_few([str(value) for value in sorted(values)], _SHOWN)


def _colors(colors: Collection[int]) -> str:
    shown = first_few([as_hex(color) for color in sorted(colors)], _SHOWN)
    return f"{shown} {_are(colors)}"


def _are(found: Collection[int]) -> str:
    return "is" if len(found) == 1 else "are"


# --- the text of a mode ---------------------------------------------------------------------------


HELP = (
    "ignore, background, a class name or label, remap:7=0,8=1 or remap:FILE, palette "
    "(palette:cityscapes, palette:ignore, palette:nearest=K), grey, binary (binary:threshold=K), "
    "8bit, auto; several with commas"
)


@dataclass(frozen=True)
class _Known:
    """What the modes are read against."""

    reading: LabelReading
    classes: tuple[str, ...]
    palette: Optional[Palette]
    seen: Optional[frozenset[int]]

    @property
    def ignored(self) -> int:
        return value_of_label(self.reading, self.reading.ignore_index)


_Fields = dict[str, Any]


def parse_recoding(
    text: str,
    *,
    reading: Optional[LabelReading] = None,
    classes: Optional[Sequence[str]] = None,
    palette: Optional[Sequence[Color]] = None,
    seen: Optional[Collection[int]] = None,
) -> LabelMapping:
    """Return what a MODE text asks for: modes with commas between them, see :data:`HELP`.

    They are done in the order of :class:`LabelMapping`'s fields, however they are written. ``auto``
    turns 0 and 255 into 0 and 1 only where ``seen``, all values of the split, holds nothing else.

    Raises:
        FixkitError: an unknown mode, or one that needs what is not known.
    """
    known = _Known(
        reading or LabelReading(),
        tuple(classes or ()),
        Palette("the palette of these classes", tuple(palette)) if palette else None,
        None if seen is None else frozenset(seen),
    )
    fields: _Fields = {}
    for mode in _split(text):
        new = _fields_of(mode, known)
        if any(fields.get(name, value) != value for name, value in new.items()):
            raise FixkitError(f"--fix {mode} is one mode too many: it contradicts another one")
        fields.update(new)
    if known.palette is not None:
        fields.setdefault("palette", _colors_of_values(known.palette, known.reading))
    return LabelMapping(reading=known.reading, **fields)


def _split(text: str) -> list[str]:
    """Split at commas, but not within the pairs of a remap."""
    modes: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if modes and modes[-1].startswith("remap:") and "=" in part and ":" not in part:
            modes[-1] += f",{part}"
        else:
            modes.append(part)
    if not modes:
        raise FixkitError(f"--fix needs a mode: {HELP}")
    return modes


def _fields_of(mode: str, known: _Known) -> _Fields:
    name, _, argument = mode.partition(":")
    if mode in _PLAIN:
        return _PLAIN[mode](known)
    if name in _WITH_ARGUMENT:
        return _WITH_ARGUMENT[name](argument, known)
    label = known.classes.index(mode) if mode in known.classes else None
    if label is None and mode.isdecimal() and known.reading.is_class(int(mode)):
        label = int(mode)
    if label is None:
        names = f"; the classes are {', '.join(known.classes)}" if known.classes else ""
        raise FixkitError(f"--fix does not know {mode!r}; it knows {HELP}{names}")
    return _outside(label, mode, known)


def _outside(label: int, mode: str, known: _Known) -> _Fields:
    if known.reading.num_classes is None:
        raise FixkitError(
            f"--fix {mode} is about values out of range, but the number of classes is not known; "
            "scan a config, or name the classes"
        )
    return {"outside": value_of_label(known.reading, label)}


def _background(known: _Known) -> _Fields:
    named = [i for i, name in enumerate(known.classes) if name.lower() == "background"]
    return _outside(named[0] if named else 0, "background", known)


def _auto(known: _Known) -> _Fields:
    """Only what loses nothing, whatever the file; see ``docs/label-repair.md``."""
    reading = known.reading
    fields: _Fields = {"narrow": True, "auto": True}
    if known.palette is not None:
        fields["colors"] = color_table(known.palette, reading)
    plain = not reading.reduce_zero_label and not reading.label_map
    # 255 may mean "ignored" in one file of 0 and 255; it cannot if no file ever holds a 1.
    if plain and reading.num_classes == 2 and known.seen == frozenset((0, 255)):
        fields["binary"] = True
    return fields


def _palette(argument: str, known: _Known) -> _Fields:
    nearest, other, found = 0, None, known.palette
    for part in filter(None, argument.split(":")):
        if part == "ignore":
            other = known.ignored
        elif part.startswith("nearest="):
            nearest = _number(part, "palette")
        elif part.lower() in _PALETTES:
            found = _PALETTES[part.lower()]
        else:
            raise FixkitError(
                f"--fix palette:{part} is no palette; known are {', '.join(_PALETTES)}"
            )
    if found is None:
        raise FixkitError(
            "--fix palette needs colours, but neither the config nor the command line gives any; "
            f"give a palette, or palette:{' or palette:'.join(_PALETTES)}"
        )
    return {
        "colors": color_table(found, known.reading, nearest, other),
        "palette": _colors_of_values(found, known.reading),
    }


def _number(part: str, mode: str) -> int:
    _, _, number = part.partition("=")
    if not number.isdecimal() or int(number) not in BYTE:
        raise FixkitError(f"--fix {mode}:{part} needs a number of 0..255 after the sign")
    return int(number)


def _binary(argument: str, _: _Known) -> _Fields:
    if not argument:
        return {"binary": True}
    if not argument.startswith("threshold="):
        raise FixkitError(f"--fix binary:{argument} is not known; write binary:threshold=128")
    return {"threshold": _number(argument, "binary")}


def _remap(argument: str, known: _Known) -> _Fields:
    if not argument:
        raise FixkitError("--fix remap needs pairs, remap:7=0,8=1, or a file, remap:table.json")
    pairs = (
        [tuple(pair.split("=", 1)) for pair in argument.split(",")]
        if "=" in argument
        else read_table(Path(argument))
    )
    table = {_old(str(old).strip()): _new(str(new).strip(), known) for old, new in pairs}
    if len(table) < len(pairs):
        raise FixkitError(f"--fix remap:{argument} gives a value twice")
    colors = sorted((int(old[1:], 16), new) for old, new in table.items() if isinstance(old, str))
    values = sorted((old, new) for old, new in table.items() if isinstance(old, int))
    return {
        **({"values": tuple(values)} if values else {}),
        **({"colors": ColorTable("the remap table", tuple(colors))} if colors else {}),
    }


def _old(text: str) -> Any:
    """Return a value as a number, a colour as ``#rrggbb``."""
    if len(text) == 7 and text[0] == "#" and set(text[1:].lower()) <= set("0123456789abcdef"):
        return text.lower()
    if text.lstrip("-").isdecimal():
        return int(text)
    raise FixkitError(
        f"--fix remap has {text!r}, but a value or a colour such as #804080 is needed"
    )


def _new(text: str, known: _Known) -> int:
    """Return the value that a number, a class name or ``ignore`` stands for."""
    if text == "ignore":
        return known.ignored
    if text in known.classes:
        return value_of_label(known.reading, known.classes.index(text))
    if text.isdecimal() and int(text) in BYTE:
        return int(text)
    raise FixkitError(
        f"--fix remap has {text!r} as a new value, but 0..255, ignore or a class name is needed"
    )


def _colors_of_values(palette: Palette, reading: LabelReading) -> tuple[Color, ...]:
    """Return a colour for each value, for those who look at the files."""
    labels = (reading.label(value) for value in BYTE)
    colors = palette.colors
    return tuple(colors[i] if 0 <= i < len(colors) else VOID for i in labels)


#: What ignored pixels, and values without a colour, look like.
VOID = VOC.ignored[0]

_PALETTES = {palette.name.split()[-1].lower(): palette for palette in KNOWN}

_PLAIN: dict[str, Callable[[_Known], _Fields]] = {
    "ignore": lambda known: _outside(known.reading.ignore_index, "ignore", known),
    "background": _background,
    "grey": lambda _: {"grey": True},
    "8bit": lambda _: {"narrow": True},
    "auto": _auto,
}
_WITH_ARGUMENT: dict[str, Callable[[str, _Known], _Fields]] = {
    "palette": _palette,
    "remap": _remap,
    "binary": _binary,
}


def read_table(path: Path) -> list[tuple[Any, Any]]:
    """Read pairs of old and new values from a JSON object or a CSV file of two columns.

    A CSV may have a first line of names, and four columns (red, green, blue, new value).
    Raises FixkitError if it is not there, or holds something else.
    """
    try:
        text = path.read_text("utf-8-sig")
        pairs = _json_pairs(text) if path.suffix.lower() == ".json" else _csv_pairs(text)
    except OSError as error:
        raise FixkitError(f"the table {path} cannot be read: {error.strerror}") from None
    except ValueError:
        pairs = []
    if not pairs:
        raise FixkitError(
            f"the table {path} holds no pairs: a JSON object such as "
            '{"7": 0} or lines such as 7,0 are needed'
        )
    return pairs


def _json_pairs(text: str) -> list[tuple[Any, Any]]:
    found = json.loads(text)
    return list(found.items()) if isinstance(found, dict) else []


def _csv_pairs(text: str) -> list[tuple[Any, Any]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]
    named = rows and not rows[0][0].lstrip("-").isdecimal() and not rows[0][0].startswith("#")
    return [_csv_pair(*row) for row in rows[1 if named else 0 :]]


def _csv_pair(*row: str) -> tuple[Any, Any]:
    if len(row) == 4:
        return "#" + "".join(f"{int(part):02x}" for part in row[:3]), row[3]
    old, new = row  # a ValueError where there are more
    return old, new


# --- pixels ---------------------------------------------------------------------------------------


#: ``(old value or colour, new value, pixels)``.
Changes = tuple[tuple[int, int, int], ...]

#: Modes whose three dimensions are colours of 8 bit: ``P`` as OpenCV decodes it.
_COLOR_MODES = ("RGB", "RGBA", "LA", "P")


@dataclass(frozen=True)
class RewrittenLabel:
    """What a label file is to become."""

    label: Optional[NDArray[np.uint8]] = None  # None if the file may stay as it is
    changes: Changes = ()  # what became of which values
    colors: bool = False  # the old values were colours
    refused: str = ""  # why there is no new map


def recoded(found: Decoded, recoding: LabelMapping, always: bool = False) -> RewrittenLabel:
    """Return what ``found`` becomes; with ``always`` a new map even where nothing changes."""
    array = found.array
    if array.ndim == 3:
        return _of_colors(found, recoding)
    if array.dtype.kind == "f":
        if not (np.isfinite(array) & (array == np.floor(array))).all():
            return RewrittenLabel(refused="it holds numbers that are not whole, so no labels")
        array, always = array.astype(np.int64), True
    if array.dtype in (np.dtype(bool), np.dtype(np.uint8)):
        return _of_bytes(array.astype(np.uint8, copy=False), recoding, always)
    return _of_codes(array, recoding.of_values, always or recoding.narrow)


def runs(codes: Array) -> tuple[Array, Array]:
    """Return the values of runs of equal pixels, and how long they are.

    Labels are smooth, so that there are far fewer runs than pixels.
    """
    flat = codes.reshape(-1)
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    return flat[ends], np.diff(ends, prepend=-1)


def _of_bytes(label: NDArray[np.uint8], recoding: LabelMapping, always: bool) -> RewrittenLabel:
    counts = dict(count_values(label))
    done = recoding.of_values(list(counts))
    changed = {old: new for old, new in done.table.items() if old != new}
    if done.refused or not (changed or always):
        return RewrittenLabel(refused=done.refused)
    table = bytes(done.table.get(value, value) for value in BYTE)
    new = np.asarray(Image.fromarray(np.ascontiguousarray(label)).point(table))
    return RewrittenLabel(new, _changes(changed, counts))


def _of_colors(found: Decoded, recoding: LabelMapping) -> RewrittenLabel:
    array = found.array
    if found.mode not in _COLOR_MODES or array.dtype != np.uint8:
        kind = f"{found.mode} with {array.dtype} parts"
        return RewrittenLabel(refused=f"it is {kind}, but only colours of 8 bit are supported")
    if array.shape[2] in (2, 4) and np.ptp(array[:, :, -1]):
        return RewrittenLabel(refused="it is more transparent in some pixels than in others")
    return _of_codes(pack_image(array), recoding.of_colors, always=True, colors=True)


def _of_codes(
    codes: Array,
    of: Callable[[Collection[int]], MappingResult],
    always: bool,
    colors: bool = False,
) -> RewrittenLabel:
    """Return what becomes of values or colours, run by run."""
    values, lengths = runs(np.ascontiguousarray(codes))
    old, places = np.unique(values, return_inverse=True)
    done = of(old.tolist())
    changed = {o: n for o, n in done.table.items() if colors or o != n}
    refused = done.refused or (_too_wide(done.table) if changed or always else "")
    if refused or not (changed or always):
        return RewrittenLabel(refused=refused)
    new = np.array([done.table[value] for value in old.tolist()], np.uint8)
    counts = np.bincount(places, lengths, len(old)).astype(np.int64)
    label = np.repeat(new[places], lengths).reshape(codes.shape)
    return RewrittenLabel(
        label, _changes(changed, dict(zip(old.tolist(), counts.tolist()))), colors
    )


def expected(found: Decoded, new: RewrittenLabel) -> NDArray[np.uint8]:
    """Return the map that ``new`` is to hold, by its list of changes and pixel by pixel.

    Independent of how :func:`recoded` makes it: a new file is held against this.
    """
    codes = pack_image(found.array) if new.colors else found.array
    if codes.dtype.kind == "f":
        codes = codes.astype(np.int64)
    if codes.dtype in (np.dtype(bool), np.dtype(np.uint8)):
        table = bytearray(BYTE)
        for old, target, _ in new.changes:
            table[old] = target
        mapped = codes.astype(np.uint8, copy=False).tobytes().translate(bytes(table))
        return np.frombuffer(mapped, np.uint8).reshape(codes.shape)
    label = codes.astype(np.uint8)
    for old, target, _ in new.changes:
        label[codes == old] = target
    return label


def _too_wide(table: Mapping[int, int]) -> str:
    """Return which new values no 8-bit file holds; nothing if all fit."""
    wide = {value for value in table.values() if value not in BYTE}
    return f"{_values(wide)} {_are(wide)} outside 0..255, which is all that is read" if wide else ""


def _changes(table: Mapping[int, int], counts: Mapping[int, int]) -> Changes:
    """Return old value, new value and pixels, the most frequent first."""
    found = ((old, new, counts[old]) for old, new in table.items())
    return tuple(sorted(found, key=lambda change: (-change[2], change[0])))
