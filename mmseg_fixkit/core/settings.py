"""``[tool.mmseg-fixkit]`` of the nearest ``pyproject.toml`` -> :class:`Settings`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import exists, read_text, real_path
from mmseg_fixkit.core.text import listed

FILE = "pyproject.toml"
TABLE = "tool.mmseg-fixkit"

KEYS = ("select", "ignore")


@dataclass(frozen=True)
class Settings:
    """What a project says of its checks."""

    file: Optional[Path] = None  # the ``pyproject.toml``; None for the defaults
    select: Optional[tuple[str, ...]] = None  # prefixes of the rule codes to run; None for all
    ignore: tuple[str, ...] = ()  # prefixes of the codes not to run
    # of the ignored prefixes that come with one
    reasons: Mapping[str, str] = field(default_factory=dict)

    def under(
        self, select: Optional[tuple[str, ...]], ignore: Optional[tuple[str, ...]]
    ) -> Settings:
        """Return the settings with those of the command line above them.

        What is given there replaces what is written here. A code that is selected by name is not
        ignored by what is written here: ``--select MSF302`` wins over ``ignore = ["MSF3"]``.
        """
        left = self.ignore if ignore is None else ignore
        if ignore is None and select:
            named = tuple(code.upper() for code in select)
            left = tuple(c for c in left if not any(n.startswith(c.upper()) for n in named))
        return Settings(
            self.file,
            self.select if select is None else select,
            left,
            {c: why for c, why in self.reasons.items() if ignore is None and c in left},
        )


def settings_for(place: Path) -> Settings:
    """Return the settings that hold for files in the folder ``place``.

    They stand in the nearest ``pyproject.toml`` with ``[tool.mmseg-fixkit]``, in ``place`` or a
    folder above it; else in the one that holds for the current folder; else they are the defaults.
    Raises ``FixkitError`` where the file is not TOML, or the table holds what nobody reads.
    """
    return _nearest(real_path(place)) or _nearest(Path.cwd()) or Settings()


@cache
def _nearest(folder: Path) -> Optional[Settings]:
    here = _read(folder / FILE)
    if here is not None or folder.parent == folder:
        return here
    return _nearest(folder.parent)


def _read(file: Path) -> Optional[Settings]:
    """Return the settings in ``file``; None if it is not there or has no table of ours."""
    if not exists(file):
        return None
    text = read_text(file)
    # Most of these files are about other tools: those are not even parsed.
    return parse_settings(text, file) if "mmseg-fixkit" in text else None


def parse_settings(text: str, file: Path) -> Optional[Settings]:
    """Return what ``[tool.mmseg-fixkit]`` in ``text`` says; None if there is no such table.

    Raises ``FixkitError`` where the text is not TOML, or the table holds what nobody reads.
    """
    tool = _toml(text, file).get("tool")
    table = tool.get("mmseg-fixkit") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise _unfit(file, TABLE, table, "a table")
    for key in table:
        if key not in KEYS:
            raise FixkitError(
                f"{file}: {TABLE}.{key} is not a setting; the settings are {listed(KEYS)}"
            )
    reasons = _reasons(table.get("ignore"), file)
    return Settings(
        file,
        _select(table.get("select"), file),
        tuple(reasons),
        {code: why for code, why in reasons.items() if why},
    )


def _toml(text: str, file: Path) -> dict[str, Any]:
    # Here and not above: parsers are only loaded by those who have settings.
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        import tomli as toml
    try:
        return toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise FixkitError(f"{file} is not TOML: {error}") from None


def _select(value: Any, file: Path) -> Optional[tuple[str, ...]]:
    if value is None:
        return None
    if not value or not _are_codes(value):
        raise _unfit(file, f"{TABLE}.select", value, 'a list of rule codes such as ["MSF1"]')
    return tuple(value)


def _reasons(value: Any, file: Path) -> dict[str, str]:
    """Return the ignored codes, each with its reason, which is empty in a list."""
    key = f"{TABLE}.ignore"
    if value is None or _are_codes(value):
        return dict.fromkeys(value or (), "")
    if not isinstance(value, dict):
        expected = 'a list of rule codes, or a table of reasons such as { MSF302 = "why" }'
        raise _unfit(file, key, value, expected)
    for code, why in value.items():
        if not isinstance(why, str) or not why.strip():
            raise _unfit(file, f"{key}.{code}", why, "the reason as a text")
    return {code: " ".join(why.split()) for code, why in value.items()}


def _are_codes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(c, str) and c.strip() for c in value)


def _unfit(file: Path, key: str, found: Any, expected: str) -> FixkitError:
    return FixkitError(f"{file}: {key} is {found!r}, but it has to be {expected}")


def reasons_given(chosen: Iterable[Settings]) -> tuple[str, ...]:
    """Return a line for each reason, once: ``ignored MSF302: why``."""
    pairs = (pair for settings in chosen for pair in settings.reasons.items())
    return tuple(dict.fromkeys(f"ignored {code}: {why}" for code, why in pairs))
