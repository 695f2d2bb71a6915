"""A config and rules -> diagnostics -> :class:`FixPlan`: which edits are made, what is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.tree import apply_edits
from mmseg_fixkit.config.value_types import WrongType, without
from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    EditKind,
    KeyPath,
    brief,
    format_key,
)
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.rule import Rule

#: The rule on values of a wrong type.
WRONG_TYPE = "MSF119"

#: A fix may bring up another finding; four rounds are twice what any config has needed.
MAX_ROUNDS = 4


@dataclass(frozen=True)
class FixPlan:
    """What a patch does."""

    before: dict[str, object]
    after: dict[str, object]
    #: the findings whose fixes are in ``after``, in the order they were made
    applied: tuple[Diagnostic, ...]
    #: the findings that stay: no fix, one that may not be applied, or a conflict
    remaining: tuple[Diagnostic, ...]

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Every edit of the plan."""
        return tuple(e for d in self.applied if d.fix for e in d.fix.edits)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.applied


def diagnose(context: ConfigContext, chosen: Iterable[Rule]) -> tuple[Diagnostic, ...]:
    """Run those rules on one config that are for its label space, in their order."""
    fitting = (rule for rule in chosen if rule.is_for(multilabel=context.labels.multilabel))
    found = tuple(diagnostic for rule in fitting for diagnostic in rule.run(context))
    wrong = context.document.unreadable
    return tuple(_as_written(found, wrong)) if wrong else found


def _as_written(
    found: Iterable[Diagnostic], wrong: Mapping[KeyPath, WrongType]
) -> Iterator[Diagnostic]:
    """Say of a value of a wrong type what it is: to its rule it was not written.

    The rule that can set it right speaks, else the one on types.
    """
    there = [d for d in found if d.key in wrong]
    there.sort(key=lambda d: (d.fix is None, d.code != WRONG_TYPE))
    first = {d.key: d for d in reversed(there)}
    for diagnostic in found:
        entry = wrong.get(diagnostic.key)
        if entry is None:
            yield diagnostic
        elif diagnostic is first[entry.key]:
            old, new = (
                f"{format_key(entry.key)} is {brief(value)}"
                for value in (diagnostic.found, entry.found)
            )
            message = entry.message if entry.known else diagnostic.message.replace(old, new, 1)
            yield replace(diagnostic, found=entry.found, message=message)


def located(document: ConfigDocument, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the findings with file and line; sources are read only if there are findings."""
    return tuple(replace(d, location=document.locate(d.key)) for d in diagnostics)


def make_plan(
    context: ConfigContext, chosen: Iterable[Rule], minimum: Applicability = Applicability.SAFE
) -> FixPlan:
    """Diagnose and apply until nothing that may be applied is found any more.

    Raises:
        FixkitError: the fixes do not converge; that is a fault of the rules.
    """
    rules = tuple(chosen)
    document, before = context.document, context.document.loaded
    applied: tuple[Diagnostic, ...] = ()
    for _ in range(MAX_ROUNDS):
        found = diagnose(replace(context, document=document), rules)
        taken = without_conflicts(d for d in found if may_apply(d, minimum))
        if not taken:
            return FixPlan(before, document.loaded, applied, found)
        edits = [e for d in taken if d.fix for e in d.fix.edits]
        document = document.with_tree(apply_edits(_opened(document, edits), edits))
        applied += taken
    keys = ", ".join(sorted({format_key(d.key) for d in taken}))
    raise FixkitError(
        f"the fixes of {document.name} do not come to an end at {keys}; nothing was written. "
        "This is a fault of mmseg-fixkit: please report it with the config"
    )


def _opened(document: ConfigDocument, edits: Iterable[Edit]) -> dict[str, object]:
    """Return the tree without values that stand where the edits lead through."""
    ways = {edit.key[:length] for edit in edits for length in range(1, len(edit.key))}
    tree: dict[str, object] = without(
        document.loaded, (key for key in document.unreadable if key in ways)
    )
    return tree


def may_apply(diagnostic: Diagnostic, minimum: Applicability) -> bool:
    """Whether the finding has a fix of at least this applicability."""
    return diagnostic.fix is not None and diagnostic.fix.applicability >= minimum


def without_conflicts(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Keep each finding whose edits agree with those kept before it.

    Two edits conflict if they set one key to different values, or if one replaces or removes
    something that the other changes inside. A finding in conflict is looked at again in the next
    round.
    """
    kept: list[Diagnostic] = []
    made: list[Edit] = []
    for diagnostic in diagnostics:
        edits = diagnostic.fix.edits if diagnostic.fix else ()
        if not any(_conflict(old, new) for old in made for new in edits):
            kept.append(diagnostic)
            made.extend(edits)
    return tuple(kept)


def _conflict(old: Edit, new: Edit) -> bool:
    if old.key == new.key and old.kind is EditKind.SET and new.kind is EditKind.SET:
        return bool(old.value != new.value)
    return _rewrites(old, new.key) or _rewrites(new, old.key)


def _rewrites(edit: Edit, key: KeyPath) -> bool:
    inside = len(key) > len(edit.key) and key[: len(edit.key)] == edit.key
    # A fresh empty dict makes room for what is set inside it.
    return edit.kind is not EditKind.INSERT and inside and edit.value != {}
