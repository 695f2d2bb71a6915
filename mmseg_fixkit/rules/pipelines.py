"""Family 2: the order of the steps in data pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, KeyPath, Severity, finding
from mmseg_fixkit.host import type_name
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.several_labels import LOADER
from mmseg_fixkit.steps import Steps, is_step

#: Steps that give the label map another size together with the image.
_RESIZING = ("Resize", "ResizeToMultiple", "ResizeShortestEdge")

#: Steps that load label maps.
_LOADERS = ("LoadAnnotations", LOADER)

#: Steps that look at label values only, so that a resize may be put before them.
_LABEL_STEPS = (*_LOADERS, "AssertLabelBounds", "RemapLabels")


@rule("MSF209", "labels-loaded-before-resize")
def labels_loaded_before_resize(context: Context) -> Iterator[Diagnostic]:
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
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
    val_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop')),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(type='Resize', scale=(512, 512)),
                dict(type='PackSegInputs')]))
    ```

    ## Use instead
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
    val_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop')),
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
