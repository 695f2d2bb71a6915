"""What an entry of the table of faults is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from string import Formatter
from typing import Any, Callable, Union

#: A template, or several of which the first counts whose numbers are all known.
Told = Union[str, tuple[str, ...]]

#: Where entries that a reader of its own finds have their texts from; see ``readers``.
TEXT, TABLE, LOSSES = "text", "table", "losses"


@dataclass(frozen=True)
class Cause:
    """One of several causes that the same text has; a config tells them apart.

    Args:
        id: stable; the key of its test in :data:`~mmseg_fixkit.explanations.with_config.CAUSES`.
        what: the cause in a sentence.
        next: what to do about it.
        rules: codes of the rules that find it in a config.
    """

    id: str
    what: str
    next: tuple[str, ...]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A fault that is known by its text. All texts are templates: ``{value}`` is a group.

    Args:
        id: stable, for programs.
        title: the fault in a few words.
        rank: where it stands in the chain of cause: config, data, labels, weights, checkpoint,
            training, results. A root has a lower rank than what it brings about.
        patterns: verbose regular expressions for text **without any white space**, so that no
            line break can hide a message; groups hold numbers, names and files.
        anchors: literals without white space, one of which is in each text; the fast first look.
        what: what happened.
        why: how it comes about.
        sure: how to be sure.
        next: what to run or to change, in order; a command begins with ``mmseg-fix``.
        examples: verbatim texts.
        after: ids of entries that bring this one about, if the same text has them.
        also: ids of entries whose own texts stand in these examples too.
        causes: where one text has several causes.
        rules: codes of the rules that find the cause in a config.
        references: threads and sources.
        only_if: a condition on the groups that a pattern cannot express.
        reader: who finds it.
    """

    id: str
    title: str
    rank: int
    patterns: tuple[str, ...]
    anchors: tuple[str, ...]
    what: Told
    why: Told
    sure: Told
    next: tuple[Told, ...]
    examples: tuple[str, ...]
    after: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    rules: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    only_if: Callable[[Mapping[str, Any]], bool] = field(default=lambda values: True, repr=False)
    reader: str = TEXT

    @cached_property
    def expressions(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, compiled when the entry's anchor was seen."""
        return tuple(re.compile(pattern, re.VERBOSE) for pattern in self.patterns)

    @property
    def rule_codes(self) -> tuple[str, ...]:
        """The codes of the entry and of its causes."""
        return self.rules + tuple(code for cause in self.causes for code in cause.rules)


#: What stands in a command where the text does not say it.
PLACEHOLDERS = {"config": "CONFIG", "checkpoint": "CKPT"}


def fill(told: Told, values: Mapping[str, Any]) -> str:
    """Fill the first template whose numbers are all known.

    ``{value_plus_1}`` and ``{value_minus_1}`` are one above and below ``{value}``.
    """
    known = {**PLACEHOLDERS, **_neighbours(values), **values}
    shown = {name: shown_value(value) for name, value in known.items()}
    choices = (told,) if isinstance(told, str) else told
    chosen = next((c for c in choices if _names(c) <= shown.keys()), choices[-1])
    return chosen.format(**shown)


def shown_value(value: Any) -> str:
    """Write one value, or several with commas."""
    return ", ".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def _neighbours(values: Mapping[str, Any]) -> dict[str, int]:
    numbers = {name: v for name, v in values.items() if isinstance(v, int)}
    above = {f"{name}_plus_1": v + 1 for name, v in numbers.items()}
    return {**above, **{f"{name}_minus_1": v - 1 for name, v in numbers.items()}}


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
