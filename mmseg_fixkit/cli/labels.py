"""Class options of the command line -> what the library takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

from mmseg_fixkit.core.text import listed
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.labels import Color, LabelSpace

_HEX = re.compile(r"#?([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_RGB = re.compile(r"(\d+)\s*[,\s]\s*(\d+)\s*[,\s]\s*(\d+)")


def labels_from(
    classes: Optional[str],
    classes_file: Optional[Path],
    num_classes: Optional[int],
) -> Optional[tuple[str, ...]]:
    """Return the classes that the options give; None if they give none.

    Raises:
        FixkitError: classes are given in two ways, a file cannot be read, or there are too few or
            too many.
    """
    given = {
        "--classes": classes,
        "--classes-file": classes_file,
        "--num-classes": num_classes,
    }
    said = [name for name, value in given.items() if value is not None]
    if len(said) > 1:
        raise FixkitError(f"classes are given twice, by {listed(said)}; give one of them")
    return _names(classes, classes_file, num_classes) if said else None


def palette_from(palette: Optional[str]) -> Optional[tuple[Color, ...]]:
    """Return the colours that ``--palette`` gives, itself or as a file; None if it is not given.

    Raises:
        FixkitError: the file cannot be read, or something in it is no colour.
    """
    return None if palette is None else _colors(palette)


def _names(
    classes: Optional[str], classes_file: Optional[Path], num_classes: Optional[int]
) -> tuple[str, ...]:
    if num_classes is not None:
        return LabelSpace.of(num_classes).classes
    if classes_file is not None:
        lines = (line.strip() for line in _read(classes_file, "--classes-file").splitlines())
        return tuple(line for line in lines if line)
    return tuple(name.strip() for name in (classes or "").split(","))


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FixkitError(f"{option} {path} cannot be read as text: {error}") from None


def _colors(palette: str) -> tuple[Color, ...]:
    path = Path(palette)
    text = _read(path, "--palette") if len(palette) < 256 and path.is_file() else palette
    return tuple(_color(part) for part in re.split(r"[;\n]", text) if part.strip())


def _color(text: str) -> Color:
    for pattern, base in ((_HEX, 16), (_RGB, 10)):
        match = pattern.fullmatch(text.strip())
        if match:
            red, green, blue = (int(part, base) for part in match.groups())
            return (red, green, blue)
    raise FixkitError(
        f"--palette: {text.strip()!r} is no colour; write 128,64,128 or #804080, with a ; between "
        "two colours"
    )
