"""Rules by code, their selection by prefix, and the pages made of their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Callable, Literal, Optional

from mmseg_fixkit.core.diagnostics import Diagnostic
from mmseg_fixkit.core.errors import FixkitError

#: A rule is pure: a context (config and label space) in, findings out.
Check = Callable[[Any], Iterable[Diagnostic]]

#: Which label spaces a rule is for: a pixel has one class in exclusive ones, any in multi-label.
LabelKind = Literal["both", "exclusive", "multilabel"]

#: The headings that every rule's docstring has, in this order.
HEADINGS = (
    "What it does",
    "Why is this bad?",
    "Example",
    "Use instead",
    "Fix safety",
    "References",
)


_FAMILIES = "1234567"

#: Digit of a family -> what its rules look at, where that is not a config.
_SUBJECTS = {
    "4": "label files",
    "5": "checkpoints",
    "6": "PaddleSeg configs",
    "7": "the first iterations",
}


@dataclass(frozen=True)
class Rule:
    """A named check."""

    code: str  # ``MSF`` and three digits, the first of which is the family
    name: str
    check: Check
    requested: bool = False  # it only speaks when a patch asked for what it brings
    reported: bool = False  # it does not look at a config, but at a checkpoint or at label files
    labels: LabelKind = "both"  # the label spaces that it is for

    @property
    def doc(self) -> str:
        """The docstring: the whole documentation of the rule."""
        return inspect.getdoc(self.check) or ""

    @property
    def summary(self) -> str:
        """The first paragraph of the docstring."""
        return self.doc.split("\n\n", 1)[0].replace("\n", " ")

    def section(self, heading: str) -> str:
        """The text below one of :data:`HEADINGS`."""
        match = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.doc, re.M | re.S)
        return match.group(1).strip() if match else ""

    def example(self, heading: str = "Example") -> str:
        """The Python config shown below ``heading``; empty where there is none."""
        match = re.search(r"```python\n(.*?)```", self.section(heading), re.S)
        return match.group(1) if match else ""

    def page(self) -> str:
        """The Markdown page, the same in the terminal and in ``docs/``."""
        return f"# {self.code}: {self.name}\n\n{self.doc}\n"

    def is_for(self, *, multilabel: bool) -> bool:
        """Whether the rule has something to say of such a label space."""
        return self.labels in ("both", "multilabel" if multilabel else "exclusive")

    def run(self, context: Any) -> Iterator[Diagnostic]:
        """Yield the findings, marked with this rule's code and name."""
        for diagnostic in self.check(context):
            yield replace(diagnostic, code=self.code, name=self.name)


_RULES: dict[str, Rule] = {}


def rule(
    code: str,
    name: str,
    *,
    requested: bool = False,
    reported: bool = False,
    labels: LabelKind = "both",
) -> Callable[[Check], Check]:
    """Register the decorated function as a rule."""

    def register(check: Check) -> Check:
        if code in _RULES:
            raise AssertionError(f"{code} is taken by {_RULES[code].name}")
        _RULES[code] = Rule(code, name, check, requested, reported, labels)
        return check

    return register


def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code. Import :mod:`mmseg_fixkit.rules` first."""
    return tuple(_RULES[code] for code in sorted(_RULES))


def reported_rules(prefix: str) -> tuple[Rule, ...]:
    """Return the rules that do not look at configs and whose code begins with ``prefix``."""
    return tuple(r for r in all_rules() if r.reported and r.code.startswith(prefix))


def find_rule(code: str) -> Rule:
    """Return the rule with this code or name; raise ``FixkitError``, with the known ones."""
    for candidate in all_rules():
        if code.upper() == candidate.code or code == candidate.name:
            return candidate
    known = ", ".join(r.code for r in all_rules())
    raise FixkitError(f"there is no rule {code!r}; the rules are {known}")


def index(rules: Iterable[Rule]) -> str:
    """Return a Markdown table of rules, each linked to its page below."""
    rows = [
        f"| [{r.code}](#{r.code.lower()}-{r.name}) | {r.name} | {r.summary}"
        f"{' *Only when asked for.*' if r.requested else ''}"
        f"{f' *In {_SUBJECTS[r.code[3]]}.*' if r.reported else ''} |"
        for r in rules
    ]
    return "\n".join(["# Rules", "", "| code | name | finds |", "|---|---|---|", *rows, ""])


def select_rules(
    select: Optional[Iterable[str]] = None, ignore: Optional[Iterable[str]] = None
) -> tuple[Rule, ...]:
    """Return the rules of configs whose code begins with a prefix in ``select``.

    Those with one in ``ignore`` are left out. Raises ``FixkitError`` where a prefix fits no rule.
    """
    return _selected(tuple(r for r in all_rules() if not r.reported), select, ignore)


def select_reported(
    family: str, select: Optional[Iterable[str]] = None, ignore: Optional[Iterable[str]] = None
) -> tuple[Rule, ...]:
    """Return rules of a family that do not look at configs, selected likewise; raise likewise."""
    return _selected(reported_rules(family), select, ignore)


def _selected(
    pool: tuple[Rule, ...], select: Optional[Iterable[str]], ignore: Optional[Iterable[str]]
) -> tuple[Rule, ...]:
    chosen = _matching(pool, select) if select else pool
    # One list of a project says what to ignore in configs, label files and all else.
    of_others = set(_FAMILIES) - {rule.code[3] for rule in pool}
    own = [code for code in ignore or () if code.strip()[3:4] not in of_others]
    left_out = _matching(pool, own)
    return tuple(r for r in chosen if r not in left_out)


def _matching(pool: tuple[Rule, ...], prefixes: Iterable[str]) -> tuple[Rule, ...]:
    wanted = tuple(p.strip().upper() for p in prefixes if p.strip())
    for prefix in wanted:
        if not any(r.code.startswith(prefix) for r in pool):
            known = ", ".join(r.code for r in pool)
            raise FixkitError(f"{prefix!r} selects no rule; the rules are {known}")
    return tuple(r for r in pool if r.code.startswith(wanted))
