"""The MODE text of ``scan --fix``, read into a :class:`Recoding`."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.facts import Reading
from mmseg_fixkit.label_files.palettes import KNOWN, Palette
from mmseg_fixkit.label_files.recode import (
    BYTE,
    ColorTable,
    Recoding,
    color_table,
    value_of_label,
)
from mmseg_fixkit.labels import Color

HELP = (
    "ignore, background, a class name or label, remap:7=0,8=1 or remap:FILE, palette "
    "(palette:cityscapes, palette:ignore, palette:nearest=K), grey, binary (binary:threshold=K), "
    "8bit, auto; several with commas"
)


@dataclass(frozen=True)
class _Known:
    """What the modes are read against."""

    reading: Reading
    classes: tuple[str, ...]
    palette: Optional[Palette]
    seen: Optional[frozenset[int]]


_Fields = dict[str, Any]


def parse_recoding(
    text: str,
    *,
    reading: Optional[Reading] = None,
    classes: Optional[Sequence[str]] = None,
    palette: Optional[Sequence[Color]] = None,
    seen: Optional[Collection[int]] = None,
) -> Recoding:
    """Return what a MODE text asks for.

    Args:
        text: modes with commas between them, see :data:`HELP`. They are done in the order of
            :class:`Recoding`'s fields, however they are written.
        reading: how the pipeline of the split reads its files.
        classes: the names of the classes, where they are known.
        palette: a colour for each class: the config's or the user's.
        seen: all values in the files of the split. ``auto`` turns 0 and 255 into 0 and 1 only
            where no file holds anything else.

    Raises:
        FixkitError: an unknown mode, or one that needs what is not known.
    """
    own = Palette("the palette of these classes", tuple(palette)) if palette else None
    known = _Known(
        reading or Reading(),
        tuple(classes or ()),
        own,
        None if seen is None else frozenset(seen),
    )
    fields: _Fields = {}
    for mode in _split(text):
        _add(fields, _fields_of(mode, known), mode)
    if known.palette is not None:
        fields.setdefault("palette", _colors_of_values(known.palette, known.reading))
    return Recoding(reading=known.reading, **fields)


def _split(text: str) -> Iterator[str]:
    """Split at commas, but not within the pairs of a remap."""
    current = ""
    for part in filter(None, (part.strip() for part in text.split(","))):
        if current.startswith("remap:") and "=" in part and ":" not in part:
            current = f"{current},{part}"
            continue
        if current:
            yield current
        current = part
    if not current:
        raise FixkitError(f"--fix needs a mode: {HELP}")
    yield current


def _add(fields: _Fields, new: _Fields, mode: str) -> None:
    twice = [name for name in new if name in fields and fields[name] != new[name]]
    if twice:
        raise FixkitError(f"--fix {mode} is one mode too many: another one says otherwise")
    fields.update(new)


def _fields_of(mode: str, known: _Known) -> _Fields:
    name, _, argument = mode.partition(":")
    if name in _MODES and (not argument or name in _WITH_ARGUMENT):
        return _MODES[name](argument, known)
    label = _label_of(mode, known)
    if label is None:
        names = f"; the classes are {', '.join(known.classes)}" if known.classes else ""
        raise FixkitError(f"--fix does not know {mode!r}; it knows {HELP}{names}")
    return _outside(label, mode, known)


def _label_of(text: str, known: _Known) -> Optional[int]:
    """Return the label that a class name or a number stands for."""
    if text in known.classes:
        return known.classes.index(text)
    return int(text) if text.isdecimal() and known.reading.is_class(int(text)) else None


def _outside(label: int, mode: str, known: _Known) -> _Fields:
    if known.reading.num_classes is None:
        raise FixkitError(
            f"--fix {mode} is about values out of range, but nothing says how many classes there "
            "are; scan a config, or name the classes"
        )
    return {"outside": value_of_label(known.reading, label)}


def _ignore(_: str, known: _Known) -> _Fields:
    return _outside(known.reading.ignore_index, "ignore", known)


def _background(_: str, known: _Known) -> _Fields:
    named = [i for i, name in enumerate(known.classes) if name.lower() == "background"]
    return _outside(named[0] if named else 0, "background", known)


def _palette(argument: str, known: _Known) -> _Fields:
    nearest, other, found = 0, None, known.palette
    for part in filter(None, argument.split(":")):
        if part == "ignore":
            other = value_of_label(known.reading, known.reading.ignore_index)
        elif part.startswith("nearest="):
            nearest = _number(part, "palette")
        else:
            found = _known_palette(part)
    if found is None:
        raise FixkitError(
            "--fix palette needs colours, but neither the config nor the command line gives any; "
            f"give a palette, or palette:{' or palette:'.join(map(_short, KNOWN))}"
        )
    return {
        "colors": color_table(found, known.reading, nearest, other),
        "palette": _colors_of_values(found, known.reading),
    }


def _known_palette(name: str) -> Palette:
    for palette in KNOWN:
        if name.lower() == _short(palette):
            return palette
    raise FixkitError(
        f"--fix palette:{name} is no palette; known are {', '.join(map(_short, KNOWN))}"
    )


def _short(palette: Palette) -> str:
    return palette.name.split()[-1].lower()


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
    table = {_old(old): _new(str(new).strip(), known) for old, new in pairs}
    if len(table) < len(pairs):
        raise FixkitError(f"--fix remap:{argument} gives a value twice")
    colors = {int(old[1:], 16): new for old, new in table.items() if isinstance(old, str)}
    values = tuple(sorted((o, n) for o, n in table.items() if isinstance(o, int)))
    fields: _Fields = {"values": values} if values else {}
    if colors:
        fields["colors"] = ColorTable("the remap table", tuple(sorted(colors.items())))
    return fields


def _old(text: Any) -> Any:
    """Return a value as a number, a colour as ``#rrggbb``."""
    text = str(text).strip()
    if text.startswith("#") and len(text) == 7 and _is_hex(text[1:]):
        return text.lower()
    if text.lstrip("-").isdecimal():
        return int(text)
    raise FixkitError(
        f"--fix remap has {text!r}, but a value or a colour such as #804080 is needed"
    )


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)


def _new(text: str, known: _Known) -> int:
    """Return the value that a number, a class name or ``ignore`` stands for."""
    if text == "ignore":
        return value_of_label(known.reading, known.reading.ignore_index)
    if text in known.classes:
        return value_of_label(known.reading, known.classes.index(text))
    if text.isdecimal() and int(text) in BYTE:
        return int(text)
    raise FixkitError(
        f"--fix remap has {text!r} as a new value, but 0..255, ignore or a class name is needed"
    )


def read_table(path: Path) -> list[tuple[Any, Any]]:
    """Read pairs of old and new values from a JSON object or a CSV file of two columns.

    A CSV may have a first line of names, and four columns (red, green, blue, new value).

    Raises:
        FixkitError: it is not there, or holds something else.
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
    return [_csv_pair(row) for row in rows[1 if named else 0 :]]


def _csv_pair(row: Sequence[str]) -> tuple[Any, Any]:
    if len(row) == 4:
        return "#" + "".join(f"{int(part):02x}" for part in row[:3]), row[3]
    if len(row) != 2:
        raise ValueError(row)
    return row[0], row[1]


def _auto(_: str, known: _Known) -> _Fields:
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


def _colors_of_values(palette: Palette, reading: Reading) -> tuple[Color, ...]:
    """Return a colour for each value, for those who look at the files."""
    labels = (reading.label(value) for value in BYTE)
    colors = palette.colors
    return tuple(colors[i] if 0 <= i < len(colors) else _VOID for i in labels)


#: What the ignored pixels look like.
_VOID = (224, 224, 192)


def _flag(name: str) -> Callable[[str, _Known], _Fields]:
    return lambda _argument, _known: {name: True}


_MODES: dict[str, Callable[[str, _Known], _Fields]] = {
    "ignore": _ignore,
    "background": _background,
    "palette": _palette,
    "remap": _remap,
    "binary": _binary,
    "grey": _flag("grey"),
    "8bit": _flag("narrow"),
    "auto": _auto,
}
_WITH_ARGUMENT: Iterable[str] = frozenset({"palette", "remap", "binary"})
