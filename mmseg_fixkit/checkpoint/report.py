"""What became of every tensor of a checkpoint: for people, for programs, as diagnostics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from mmseg_fixkit.checkpoint.compare import Resized, resized_table
from mmseg_fixkit.checkpoint.rows import ClassMapping
from mmseg_fixkit.core.diagnostics import Diagnostic, format_key
from mmseg_fixkit.core.text import first_few, printable

_LISTED = 20


@dataclass(frozen=True)
class AdaptReport:
    """What became of every tensor of a checkpoint.

    Args:
        source: the checkpoint, as messages call it.
        plan: which old class each new one comes from; None where class names are not known.
        loaded: tensors that are taken as they are.
        kept: tensors whose rows were moved by class name.
        new: class-sized tensors that start from the head's own initialisation, all of them.
        missing: tensors that only the model has.
        unexpected: tensors that only the checkpoint has; they are left out.
        own: heads with classes of their own, loaded as they are.
        dropped: what else the file held and an adapted checkpoint cannot keep.
        diagnostics: what deserves a look; family 5.
    """

    source: str
    plan: Optional[ClassMapping]
    loaded: tuple[str, ...]
    kept: tuple[Resized, ...]
    new: tuple[Resized, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any tensor is not taken as it is."""
        return bool(self.kept or self.new)

    def text(self) -> str:
        """Write the table for people."""
        lines = [self._heading(), *self._class_lines()]
        if self.changed:
            lines.append(resized_table([*self.kept, *self.new]))
        lines += self._left_lines()
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        plan = self.plan
        return {
            "source": self.source,
            "classes": [] if plan is None else _classes_json(plan),
            "classes_left_out": [] if plan is None else list(plan.dropped),
            "loaded": list(self.loaded),
            "kept": [_tensor_json(r) for r in self.kept],
            "new": [_tensor_json(r) for r in self.new],
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "heads_of_own_classes": list(self.own),
            "dropped": list(self.dropped),
            "diagnostics": [_diagnostic_json(d) for d in self.diagnostics],
        }

    def _heading(self) -> str:
        text = f"{printable(self.source)}: {len(self.loaded)} tensors fit as they are"
        if self.kept:
            text += f"; {len(self.kept)} are kept by class name"
        if self.new:
            text += (
                f"; these {len(self.new)} follow the class count and start from the head's own "
                "initialisation, which is expected after a change of classes"
            )
        return text

    def _class_lines(self) -> Iterator[str]:
        if self.plan is None or not self.changed:
            return
        plan = self.plan
        made = [
            f"{name} = {' + '.join(plan.source_names(i))}"
            for i, name in enumerate(plan.new)
            if plan.sources[i] and plan.source_names(i) != (name,)
        ]
        yield f"  classes kept: {len(plan.kept)} of {len(plan.new)}{_names(plan.kept)}"
        for title, names in (
            ("from other names", made),
            ("new, still to be learned", plan.fresh),
            ("left out", plan.dropped),
        ):
            if names:
                yield f"  {title}: {len(names)}{_names(names)}"

    def _left_lines(self) -> Iterator[str]:
        for title, names in (
            ("only in the model, where they start from scratch", self.missing),
            ("only in the checkpoint, left out", self.unexpected),
            ("heads with classes of their own, taken as they are", self.own),
            ("dropped, as it belongs to the old classes", self.dropped),
        ):
            if names:
                yield f"  {title}: {len(names)}{_names(names, 5)}"


def _names(names: Sequence[str], shown: int = _LISTED) -> str:
    return f" ({first_few(names, shown)})" if names else ""


def _classes_json(plan: ClassMapping) -> list[dict[str, Any]]:
    return [{"name": n, "from": list(plan.source_names(i))} for i, n in enumerate(plan.new)]


def _tensor_json(row: Resized) -> dict[str, Any]:
    return {"name": row.name, "found": list(row.found), "expected": list(row.expected)}


def _diagnostic_json(found: Diagnostic) -> dict[str, Any]:
    return {
        "code": found.code,
        "name": found.name,
        "severity": str(found.severity),
        "message": found.message,
        "key": format_key(found.key),
        "found": found.found,
        "expected": found.expected,
    }
