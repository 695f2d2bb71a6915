"""Faults that are known by their text, as ``faults/*.toml`` describes them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Formatter
from typing import Any, Callable, Union

FOLDER = Path(__file__).with_name("faults")

#: A text with ``{placeholders}``, or several: the first counts whose placeholders are all known.
Template = Union[str, tuple[str, ...]]


@dataclass(frozen=True)
class Cause:
    """One of several causes that the same text has; a config shows which."""

    id: str  # stable; the key of its check in with_config.CAUSES
    what: str
    next: tuple[str, ...]
    rules: tuple[str, ...] = ()  # codes of those that find it in a config


@dataclass(frozen=True)
class Fault:
    """A fault that is known by its text. All texts are templates: ``{value}`` is a group."""

    id: str  # stable, for programs; the name of the table in the file
    title: str
    # Place in the chain of cause: config, data, labels, weights, checkpoint, training, results.
    # A root has a lower rank than what it brings about.
    rank: int
    what: Template
    why: Template  # how it comes about
    sure: Template  # how to be sure
    next: tuple[Template, ...]  # in order; a command begins with ``mmseg-fix``
    # Verbose regular expressions for text **without any white space**, so that no line break
    # can hide a message; groups hold numbers, names and files, braces one of :func:`parts`.
    # None for what the values of a log tell.
    patterns: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()  # literals, one of which is in each text; the fast first look
    only_if: str = ""  # condition on the groups, of :data:`CONDITIONS`; no pattern can say it
    causes: tuple[Cause, ...] = ()  # where one text has several
    after: tuple[str, ...] = ()  # ids of faults in the same text that bring it about
    rules: tuple[str, ...] = ()  # codes of those that find the cause in a config
    references: tuple[str, ...] = ()  # threads and sources

    @cached_property
    def expressions(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, compiled when an anchor was seen."""
        filled = (_PART.sub(lambda part: parts()[part[1]], text) for text in self.patterns)
        return tuple(re.compile(pattern, re.VERBOSE) for pattern in filled)

    @cached_property
    def literals(self) -> tuple[str, ...]:
        """The anchors without white space."""
        return tuple("".join(anchor.split()) for anchor in self.anchors)

    @property
    def rule_codes(self) -> tuple[str, ...]:
        """The codes of the fault and of its causes."""
        return self.rules + tuple(code for cause in self.causes for code in cause.rules)


@cache
def all_faults() -> dict[str, Fault]:
    """Return the faults of all files by id."""
    found = (item for file in sorted(FOLDER.glob("*.toml")) for item in read_faults(file).items())
    return {name: _fault(name, table) for name, table in found}


def read_faults(file: Path) -> dict[str, dict[str, Any]]:
    """Return the tables of one file; lines of a text are joined by spaces."""
    if sys.version_info >= (3, 11):
        import tomllib as toml
    else:
        import tomli as toml
    tables: dict[str, dict[str, Any]] = _joined(toml.loads(file.read_text(encoding="utf-8")))
    return tables


def _joined(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(line.strip() for line in value.strip().split("\n"))
    if isinstance(value, list):
        return tuple(map(_joined, value))
    return {k: _joined(v) for k, v in value.items()} if isinstance(value, dict) else value


def _fault(name: str, table: Mapping[str, Any]) -> Fault:
    causes = tuple(Cause(**cause) for cause in table.get("causes", ()))
    return Fault(id=name, **{**table, "causes": causes})


_PART = re.compile(r"\{([a-z_]+)\}")


@cache
def parts() -> dict[str, str]:
    """Return what patterns may hold by name: layers that follow the classes.

    ``inner_class_layer`` has the classes in the middle (Segmenter's tokens, inputs of a PointHead),
    ``class_layer`` has a row for each of them.
    """
    from mmseg_fixkit.config.host import CLASS_ROW_LAYERS, INNER_CLASS_TENSORS

    tensor = rf"(?:{'|'.join(CLASS_ROW_LAYERS)})(?:\.(?:weight|bias))?"
    inner = "|".join(INNER_CLASS_TENSORS)
    return {
        "class_layer": rf"(?:module\.)?(?:decode_head|auxiliary_head)[\w.]{{0,200}}?{tensor}",
        "inner_class_layer": rf"(?:module\.)?decode_head\.[\d.]{{0,20}}(?:{inner})",
    }


#: Conditions on the groups of a match.
CONDITIONS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "": lambda values: True,
    "classes_and_a_width": lambda values: (
        1 < values["classes"] <= 256 and values["width"] - values["classes"] > 1
    ),
    "differ_by_one": lambda values: abs(values["a"] - values["b"]) == 1,
}

#: What stands in a command where the text does not say it.
PLACEHOLDERS = {"config": "CONFIG", "checkpoint": "CKPT"}


def fill(template: Template, values: Mapping[str, Any]) -> str:
    """Fill a template; of several the first whose placeholders are all known, or else the last.

    ``{value_plus_1}`` and ``{value_minus_1}`` are one above and below ``{value}``.
    """
    known = {**PLACEHOLDERS, **_neighbours(values), **values}
    shown = {name: _shown(value) for name, value in known.items()}
    choices = (template,) if isinstance(template, str) else template
    chosen = next((c for c in choices if placeholders(c) <= shown.keys()), choices[-1])
    return chosen.format(**shown)


def placeholders(template: str) -> set[str]:
    """Return the names in braces."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _neighbours(values: Mapping[str, Any]) -> dict[str, Any]:
    steps = (("plus", 1), ("minus", -1))
    return {f"{n}_{word}_1": _moved(v, by) for n, v in values.items() for word, by in steps}


def _moved(value: Any, by: int) -> Any:
    """Add to a value, or to each of several; one of too many digits is no number here."""
    if isinstance(value, list):
        return [_moved(each, by) for each in value]
    return value + by if isinstance(value, int) else f"{value} {by:+d}"


def merged(groups: Iterable[Mapping[str, str]], limit: int = 8) -> dict[str, Any]:
    """Return what several matches hold: one value as it is, several as a list.

    Groups whose name begins with an underscore are for the pattern alone.
    """
    found: dict[str, list[Any]] = {}
    for each in groups:
        for name, text in ((n, t) for n, t in each.items() if not n.startswith("_")):
            values = found.setdefault(name, [])
            value = int(text) if re.fullmatch(r"-?\d{1,9}", text) else text
            if value not in values and len(values) < limit:
                values.append(value)
    return {name: v[0] if len(v) == 1 else v for name, v in found.items()}
