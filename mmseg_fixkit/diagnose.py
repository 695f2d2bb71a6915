"""Inputs and a selection of rules -> diagnostics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit import rules  # noqa: F401 - registers the rules
from mmseg_fixkit.diagnostics import Diagnostic
from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.labels import LabelSpace
from mmseg_fixkit.parts import Dataset
from mmseg_fixkit.registry import Rule
from mmseg_fixkit.rules.context import Context

#: Rules on a label that is the number of one class; where it holds several, family 6 speaks.
_ONE_CLASS_A_PIXEL = frozenset(
    {
        *("MSF101", "MSF102", "MSF103", "MSF104", "MSF105", "MSF107", "MSF108", "MSF109"),
        *("MSF110", "MSF111", "MSF112", "MSF113", "MSF114", "MSF115", "MSF116", "MSF117"),
        *("MSF205", "MSF208", "MSF302", "MSF304", "MSF305"),
    }
)


def diagnose(context: Context, chosen: Iterable[Rule]) -> tuple[Diagnostic, ...]:
    """Run the rules on one config, in the order of their codes."""
    several = context.labels.multilabel
    return tuple(d for rule in chosen if _fits(rule, several) for d in rule.run(context))


def _fits(rule: Rule, several: bool) -> bool:
    return rule.code not in _ONE_CLASS_A_PIXEL if several else not rule.code.startswith("MSF6")


def located(document: ConfigDocument, diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the findings with file and line; sources are read only if there are findings."""
    return tuple(replace(d, location=document.locate(d.key)) for d in diagnostics)


def context_of(document: ConfigDocument) -> tuple[Optional[Context], tuple[str, ...]]:
    """Return the context for holding a config against itself, and notes for the user.

    The label space is that of the first dataset whose classes are known, training first. Where
    none is known, it has as many classes as the first head, so that heads and losses are still
    held against each other; where there is no head either, there is no context.
    """
    for dataset in document.datasets:
        names = _names(dataset.classes)
        if names is not None:
            owner = f"the {dataset.role} dataset has"
            return Context(document, _space(document, dataset, names), owner), ()
    counted = [h for h in document.class_heads if isinstance(h.num_classes, int)]
    types = ", ".join(dict.fromkeys(d.type for d in document.datasets)) or "no dataset"
    if not counted:
        return None, (f"{document.name}: neither its heads nor {types} say what the classes are",)
    head = counted[0]
    note = (
        f"{document.name}: the classes of {types} are not known here, so heads and losses are "
        f"only held against each other ({head.type} has {head.num_classes} classes)"
    )
    labels = LabelSpace.of(max(1, int(head.num_classes or 0) - document.multilabel))
    labels = labels.with_several() if document.multilabel else labels
    return Context(document, labels, f"{head.type} has"), (note,)


def _names(classes: Any) -> Optional[tuple[str, ...]]:
    if isinstance(classes, str):
        return _names_from_text(classes)
    return tuple(classes) if isinstance(classes, (list, tuple)) and classes else None


def _names_from_text(text: str) -> tuple[str, ...]:
    """Classes written as one text: a file of names (MMEngine reads it), or a missing comma."""
    path = Path(text)
    if path.is_file():
        return tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _space(document: ConfigDocument, dataset: Dataset, names: tuple[str, ...]) -> LabelSpace:
    palette = known_palette(dataset, names)
    several = document.multilabel
    flags: dict[str, Any] = {
        "ignore_index": 255 if several else dataset.config.get("ignore_index", 255),
        "reduce_zero_label": not several and dataset.reduces_zero_label,
        "multilabel": several,
    }
    try:
        return LabelSpace(names, palette, **flags)
    except FixkitError as error:
        raise FixkitError(f"{dataset.split}_dataloader.dataset: {error}") from None


def known_palette(dataset: Dataset, names: tuple[str, ...]) -> Optional[tuple[Any, ...]]:
    """Return the colours that the dataset has for ``names``; None if it lacks one."""
    written = dataset.metainfo.get("palette")
    fits = isinstance(written, (list, tuple)) and len(written) == len(names)
    if fits and _names(dataset.classes) == names:
        return tuple(tuple(color) for color in written or ())
    info = dataset.info
    if not info or not info.classes or not info.palette:
        return None
    table = dict(zip(info.classes, info.palette))
    return tuple(table[n] for n in names) if set(names) <= set(table) else None
