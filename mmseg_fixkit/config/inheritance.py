"""What a config inherits from, found in the text of the files before any of them is run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from os.path import normpath
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.source import ConfigText, NotLiteralError
from mmseg_fixkit.config.yaml_file import read_yaml
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import is_file

BASE_KEY = "_base_"

#: Files one above the other; a link that leads back to its own folder makes ever new names.
MAX_DEPTH = 100

_YAML = (".yaml", ".yml")
_SUFFIXES = (".py", ".json", *_YAML)

#: A statement without which no config is new-style to MMEngine.
_IMPORTING = re.compile(rb"(?:\A|[\r\n\f:;])[ \t\v]*(?:import|from|with)\b")


@dataclass
class Inheritance:
    """The files that a config is made of, itself first."""

    files: list[Path] = field(default_factory=list)
    known: bool = True  # whether every name of a base could be read
    imports: bool = False  # whether one of the files imports something


def inheritance(path: Path) -> Inheritance:
    """Return the files that a config is made of.

    Raises:
        FixkitError: a config inherits from itself, through others or not, a file cannot be read,
            or one in YAML or JSON holds more than data.
    """
    found = Inheritance()
    _walk(path, (), found)
    return found


def _walk(path: Path, above: tuple[Path, ...], found: Inheritance) -> None:
    place = Path(os.path.abspath(path))
    refuse_ring(place, above)
    if place in found.files:
        return
    found.files.append(place)
    try:
        text = place.read_bytes()
    except OSError as error:
        raise FixkitError(f"{path} cannot be read: {error.strerror or error}") from None
    found.imports |= place.suffix == ".py" and bool(_IMPORTING.search(text))
    names = base_names(place, text)
    found.known &= names is not None
    for name in names or ():
        base = resolve_base(name, place)
        if base is not None:
            _walk(base, (*above, place), found)


def refuse_ring(path: Path, above: tuple[Path, ...]) -> None:
    """Raise ``FixkitError`` if a file is one of those that inherit from it, or too far below."""
    if path in above or len(above) > MAX_DEPTH:
        raise FixkitError(_ring((*above, path)))


def _ring(chain: tuple[Path, ...]) -> str:
    first, last = chain[0], chain[-1]
    ring = chain[chain.index(last) :] if last in chain[:-1] else chain[:4]
    names = " -> ".join(str(path) for path in ring)
    if last not in chain[:-1]:
        return f"{first} inherits through more than {MAX_DEPTH} files: {names} -> …"
    if len(ring) == 2:
        return f"{last} inherits from itself; take its own name out of {BASE_KEY}"
    return f"{first} inherits in a ring: {names}; take one of these names out of its file"


def base_names(path: Path, text: bytes) -> Optional[tuple[str, ...]]:
    """Return what a file says it inherits from; None where only running it can tell.

    Raises:
        FixkitError: a file in YAML or JSON is none, or holds more than data.
    """
    # YAML is read in any case: it may hold what makes objects.
    if path.suffix not in _YAML and BASE_KEY.encode() not in text and b"read_base" not in text:
        return ()
    if path.suffix == ".py":
        try:
            return tuple(ConfigText(text).base_names())
        except NotLiteralError:
            return None
    data = _data(path, text)
    names = data.get(BASE_KEY) if isinstance(data, dict) else None
    return tuple(n for n in (names if isinstance(names, list) else [names]) if isinstance(n, str))


def _data(path: Path, text: bytes) -> Any:
    try:
        content = text.decode("utf-8")
        if path.suffix == ".json":
            import json

            return json.loads(content)
        return read_yaml(content, str(path), like_mmengine=True)
    except (ValueError, RecursionError) as error:
        if isinstance(error, FixkitError):
            raise
        reason = " ".join(str(error).split())
        raise FixkitError(f"{path} cannot be read: {reason}") from None


def resolve_base(entry: str, file: Path) -> Optional[Path]:
    """Return the file that ``file`` inherits from under the name ``entry``; None if there is none.

    ``entry`` is one of ``_base_``, or a module as ``read_base`` imports it: ``..models.pspnet``.
    """
    try:
        path = _base_path(entry, file)
    except (FixkitError, ValueError):  # not installed, or nothing that a file can be called
        return None
    return path if path is not None and is_file(path) else None


def _base_path(entry: str, file: Path) -> Optional[Path]:
    if "::" in entry:
        return host.zoo_path(entry)
    if entry.endswith(_SUFFIXES):
        return Path(normpath(file.parent / entry))
    level = len(entry) - len(entry.lstrip("."))
    package, *modules = entry[level:].split(".")
    if level:
        return Path(
            normpath(file.parent.joinpath(*[".."] * (level - 1), package, *modules))
        ).with_suffix(".py")
    root = host.package_path(package)
    return root.joinpath(*modules).with_suffix(".py") if root and modules else None
