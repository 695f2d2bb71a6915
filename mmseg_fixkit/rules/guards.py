"""Family 2: the runtime guards of this package in the config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.nodes import Dataset, Steps, is_step
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, KeyPath, finding
from mmseg_fixkit.core.labels import DEFAULT_IGNORE
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted, listed

#: The module that makes the guards known; either does.
IMPORT = "mmseg_fixkit"
IMPORTS = frozenset({IMPORT, "mmseg_fixkit.runtime"})

HOOKS = ("ClassCountHook", "HeadAdaptHook")
TRANSFORM = "AssertLabelBounds"
REMAP = "RemapLabels"
TTA = "tta_pipeline"


@rule("MSF207", "guards-missing", requested=True)
def guards_missing(context: ConfigContext) -> Iterator[Diagnostic]:
    """The config has no guards against wrong class counts, labels and checkpoints.

    ## What it does
    Speaks only in `mmseg-fix patch`, unless `--no-guards` is given. Adds `mmseg_fixkit` to
    `custom_imports`, the hooks `ClassCountHook` and `HeadAdaptHook`, and `AssertLabelBounds`
    behind each `LoadAnnotations`, or behind the `RemapLabels` that follows it.

    ## Why is this bad?
    Without them a label out of range is a device-side assert somewhere in the backward pass, a
    head with the wrong count trains in silence, and a wrong checkpoint is one line in a warning.

    ## Example
    `mmseg-fix patch config.py --classes weed,crop`

    ## Use instead
    `mmseg-fix patch config.py --classes weed,crop --no-guards` leaves them out.

    ## Fix safety
    Safe: the guards change nothing in a run that is right.

    ## References
    The guide to the guards in this documentation.
    """
    if not context.options.guards:
        return
    yield from _import_missing(context)
    yield from _hooks_missing(context)
    # Loading a map of bits looks at its values itself.
    for dataset in () if context.labels.multilabel else context.document.datasets:
        yield from _assert_missing(context, dataset)


@rule("MSF208", "guard-class-count", labels="exclusive")
def guard_class_count(context: ConfigContext) -> Iterator[Diagnostic]:
    """`AssertLabelBounds` holds labels against another class count.

    ## What it does
    Compares `num_classes` of `AssertLabelBounds` in every pipeline with the label space.

    ## Why is this bad?
    With too few classes it stops a run that is right; with too many it lets a label pass that
    ends in a device-side assert.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadAnnotations'), dict(type='AssertLabelBounds', num_classes=19)]))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadAnnotations'), dict(type='AssertLabelBounds', num_classes=2)]))
    ```

    ## Fix safety
    Safe: the guard changes nothing in a run that is right.

    ## References
    The guide to the guards in this documentation.
    """
    for dataset in context.document.datasets:
        for key, step in dataset.transforms:
            if is_step(step, TRANSFORM) and step.get("num_classes") != context.num_classes:
                yield finding(
                    (*key, "num_classes"),
                    step.get("num_classes"),
                    context.expected_by,
                    context.num_classes,
                    shown=counted(context.num_classes, "class"),
                    edits=[Edit((*key, "num_classes"), context.num_classes)],
                    title=f"Set num_classes of AssertLabelBounds to {context.num_classes}",
                )


def _import_missing(context: ConfigContext) -> Iterator[Diagnostic]:
    edits = import_edits(context.document)
    if edits:
        yield finding(
            ("custom_imports", "imports"),
            _imports(context.document) or None,
            "the guards need",
            IMPORT,
            edits=edits,
            title=f"Import {IMPORT}",
        )


def _imports(document: ConfigDocument) -> list[str]:
    found = document.tree.get("custom_imports")
    imports = (found.get("imports") or []) if isinstance(found, dict) else []
    return [imports] if isinstance(imports, str) else list(imports)


def import_edits(document: ConfigDocument) -> tuple[Edit, ...]:
    """Return the edits that make this package's parts known to a config; none if they are."""
    imports = _imports(document)
    # New-style configs import each type where they name it; MMEngine does not read this key there.
    if document.new_style or IMPORTS & set(imports):
        return ()
    if isinstance(document.tree.get("custom_imports"), dict):
        return (Edit(("custom_imports", "imports"), [*imports, IMPORT]),)
    return (Edit(("custom_imports",), {"imports": [IMPORT], "allow_failed_imports": False}),)


def _hooks_missing(context: ConfigContext) -> Iterator[Diagnostic]:
    found = context.document.tree.get("custom_hooks") or []
    present = [type_name(h.get("type", "")) for h in found if isinstance(h, dict)]
    missing = [name for name in HOOKS if name not in present]
    unread = context.document.unreadable.get(("custom_hooks",))
    if missing:
        hooks = [*found, *({"type": name} for name in missing)]
        ours = unread is None or unread.known  # else the hooks that are there would be lost
        yield finding(
            ("custom_hooks",),
            present or None,
            "the guards need",
            missing,
            then="" if ours else "add them where the hooks come from",
            edits=[Edit(("custom_hooks",), hooks)] if ours else (),
            title=f"Add {listed(missing)}",
        )


def _assert_missing(context: ConfigContext, dataset: Dataset) -> Iterator[Diagnostic]:
    guard: dict[str, Any] = {"type": TRANSFORM, "num_classes": context.num_classes}
    if context.labels.ignore_index != DEFAULT_IGNORE:
        guard["ignore_index"] = context.labels.ignore_index
    for steps in dataset.pipelines:
        # Test-time augmentation reads the files that the test pipeline holds against the bounds.
        guarded = any(is_step(step, TRANSFORM) or key[0] == TTA for key, step in steps)
        for key, step in () if guarded else steps:
            if is_step(step, "LoadAnnotations"):
                last = _last_of_labels(steps, key)
                edit = _behind(context.document, last, guard)
                yield finding(
                    edit.key,
                    None,
                    "the guards need",
                    guard,
                    shown=f"{TRANSFORM} behind {'LoadAnnotations' if last == key else REMAP}",
                    edits=[edit],
                    title=f"Hold the labels of the {dataset.role} dataset against their bounds",
                )


def _last_of_labels(steps: Steps, loader: KeyPath) -> KeyPath:
    """Return the step after which labels are what the loss will see: ``RemapLabels``, if any."""
    beside = [
        key
        for key, step in steps
        if is_step(step, REMAP) and key[:-1] == loader[:-1] and int(key[-1]) > int(loader[-1])
    ]
    return max(beside, key=lambda key: int(key[-1]), default=loader)


def _behind(document: ConfigDocument, key: KeyPath, guard: dict[str, Any]) -> Edit:
    """Insert ``guard`` behind the step at ``key``, which may stand inside another step.

    A step that ``RandomChoice`` has for itself is followed by what follows the choice.
    """
    depth = max((i for i, part in enumerate(key) if part == "transforms"), default=0)
    outer = lookup(document.tree, key[:depth]) if depth else {}
    if is_step(outer, "RandomChoice") and len(key) == depth + 2:
        key = key[:depth]
    return Edit((*key[:-1], int(key[-1]) + 1), guard, EditKind.INSERT)
