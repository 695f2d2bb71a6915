"""Family 2: the order of the steps in data pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.multilabel import LOADER
from mmseg_fixkit.config.nodes import Steps, is_step
from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    EditKind,
    KeyPath,
    Severity,
    finding,
)
from mmseg_fixkit.core.rule import rule

#: Steps that give the label map another size together with the image.
_RESIZING = ("Resize", "ResizeToMultiple", "ResizeShortestEdge")

#: Steps that load label maps.
_LOADERS = ("LoadAnnotations", LOADER)

#: Steps that look at label values only, so that a resize may be put before them.
_GUARD, _REMAP = "AssertLabelBounds", "RemapLabels"
_LABEL_STEPS = (*_LOADERS, _GUARD, _REMAP)


@rule("MSF209", "labels-loaded-before-resize")
def labels_loaded_before_resize(context: ConfigContext) -> Iterator[Diagnostic]:
    """A validation or test pipeline resizes the label maps.

    ## What it does
    Looks for `LoadAnnotations` before `Resize` (or a step of its kind) in the pipelines of the
    validation and test datasets and in `tta_pipeline`.

    ## Why is this bad?
    Predictions are brought back to the size of the original image, and labels that were loaded
    before the resize are not: `IndexError: The shape of the mask … does not match the shape of
    the indexed tensor …` at the first validation. It goes unnoticed only while every image has
    the size already that it is resized to.

    ## Example
    ```python
    val_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('soil', 'weed')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='Resize', scale=(512, 512)),
                dict(type='PackSegInputs')]))
    ```

    ## Use instead
    ```python
    val_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('soil', 'weed')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=(512, 512)),
                dict(type='LoadAnnotations'),
                dict(type='PackSegInputs')]))
    ```

    ## Fix safety
    Safe: the resize is put before the labels are loaded. Validation could not have ended, or
    the resize changed nothing. Where other steps stand in between, nothing is moved.

    ## References
    mmsegmentation issues 3469, 2302 and 2763; `IoUMetric` of mmsegmentation 1.2.2.
    """
    for dataset in context.document.datasets:
        if dataset.split != "train":
            for steps in dataset.pipelines:
                yield from _late_resizes(steps)


def _late_resizes(steps: Steps) -> Iterator[Diagnostic]:
    loads = next((i for i, (_, s) in enumerate(steps) if is_step(s, *_LOADERS)), None)
    for place, (key, step) in enumerate(steps):
        if loads is not None and place > loads and is_step(step, *_RESIZING):
            yield finding(
                key,
                type_name(step["type"]),
                "the labels are loaded before it, and predictions have",
                "the size before it",
                shown="the size before it",
                then="LoadAnnotations belongs behind it",
                edits=_moved(steps[loads:place], key, step),
                title=f"Put {type_name(step['type'])} before LoadAnnotations",
                severity=Severity.WARNING,
            )
            return


def _moved(between: Steps, key: KeyPath, step: dict[str, Any]) -> tuple[Edit, ...]:
    """Move a step to the front of those ``between``, if that changes nothing else."""
    movable = all(k[:-1] == key[:-1] and is_step(s, *_LABEL_STEPS) for k, s in between)
    # In these lists an entry is one way of several, not one step after the other.
    if not movable or "transforms" in key:
        return ()
    return Edit(key, kind=EditKind.REMOVE), Edit(between[0][0], step, EditKind.INSERT)


@rule("MSF212", "guard-out-of-place")
def guard_out_of_place(context: ConfigContext) -> Iterator[Diagnostic]:
    """`AssertLabelBounds` looks at the labels too early.

    ## What it does
    Looks for transforms that load labels (`LoadAnnotations`) or give them other values
    (`RemapLabels`) behind `AssertLabelBounds` in the same pipeline.

    ## Why is this bad?
    Before the labels are loaded there is nothing to look at, and the guard says nothing: labels
    out of range reach the loss as without it. Before `RemapLabels` it stops a run that is right,
    at values that the loss never sees.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadAnnotations'),
                dict(type='AssertLabelBounds', num_classes=2),
                dict(type='RemapLabels', mapping={7: 0, 8: 1}),
                dict(type='PackSegInputs')]))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadAnnotations'),
                dict(type='RemapLabels', mapping={7: 0, 8: 1}),
                dict(type='AssertLabelBounds', num_classes=2),
                dict(type='PackSegInputs')]))
    ```

    ## Fix safety
    Safe: the guard changes nothing in a run that is right. Unsafe where its `action` rewrites
    labels: others are rewritten then. Where it, or what it has to follow, is one of the steps
    within another step, nothing is moved.

    ## References
    The guide to the guards in this documentation.
    """
    # Where labels may overlap, the guard goes altogether (MSF612).
    for dataset in () if context.labels.multilabel else context.document.datasets:
        for steps in dataset.pipelines:
            yield from _early_guards(steps)


def _early_guards(steps: Steps) -> Iterator[Diagnostic]:
    for place, (key, step) in enumerate(steps):
        behind = [s for s in steps[place + 1 :] if _comes_after(key, s[0])]
        # Labels that are loaded again may have a guard of their own.
        guarded = any(is_step(s, _GUARD) for _, s in behind)
        changing = (_REMAP,) if guarded else (*_LOADERS, _REMAP)
        later = [(k, s) for k, s in behind if is_step(s, *changing)]
        if not is_step(step, _GUARD) or not later:
            continue
        last, name = later[-1][0], type_name(later[-1][1]["type"])
        rewrites = step.get("action", "raise") != "raise"
        stops = not rewrites and not any(is_step(s, *_LOADERS) for _, s in later)
        yield finding(
            key,
            _GUARD,
            "the labels that it has to look at come from",
            name,
            shown=f"{name}, behind it",
            then="it belongs behind that one",
            edits=_moved_behind(key, step, last),
            title=f"Put {_GUARD} behind {name}",
            applicability=Applicability.UNSAFE if rewrites else Applicability.SAFE,
            severity=Severity.ERROR if stops else Severity.WARNING,
        )
        return


def _comes_after(key: KeyPath, later: KeyPath) -> bool:
    """Whether a sample passes a later step of the same list, or one within it.

    Entries of ``transforms`` may be ways of which a sample takes one.
    """
    return key[-2] != "transforms" and later[: len(key) - 1] == key[:-1]


def _moved_behind(key: KeyPath, step: dict[str, Any], last: KeyPath) -> tuple[Edit, ...]:
    """Move a step behind another one of the same list."""
    if key[:-1] != last[:-1] or "transforms" in key:
        return ()
    behind = (*last[:-1], int(last[-1]) + 1)
    return Edit(behind, step, EditKind.INSERT), Edit(key, kind=EditKind.REMOVE)
