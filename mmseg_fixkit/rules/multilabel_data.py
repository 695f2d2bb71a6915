"""Family 6: pipelines, metrics and pictures, where a pixel may have several labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, KeyPath, Severity, finding
from mmseg_fixkit.host import DATASET_METRICS, type_name
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.rules.guards import IMPORT, import_edits
from mmseg_fixkit.several_labels import METRIC, PACKER, VISUALIZER
from mmseg_fixkit.steps import is_step
from mmseg_fixkit.tree import lookup

#: Labels that fit 8 bit, which is all that Pillow resizes.
_NARROW = 7

#: Steps on label values, which are no classes here; loading looks at them itself.
_ON_VALUES = ("AssertLabelBounds", "RemapLabels")

#: Arguments that both metrics take.
_METRIC_ARGUMENTS = ("nan_to_num", "output_dir", "format_only", "collect_device", "prefix")

#: Means that ``IoUMetric`` has and ours has not.
_OTHER_MEANS = ("aAcc", "mAcc", "mFscore")

_Step = Mapping[str, Any]


@rule("MSF610", "multilabel-import")
def multilabel_import(context: Context) -> Iterator[Diagnostic]:
    """The parts for several labels a pixel are named, but not imported.

    ## What it does
    Speaks of configs in which a pixel may have several labels. Looks for `mmseg_fixkit` in
    `custom_imports`. New-style configs import each part where they name it.

    ## Why is this bad?
    The run stops with `MultiLabelEncoderDecoder is not in the mmseg::model registry`.

    ## Example
    ```python
    custom_imports = dict(imports=['my_transforms'])
    ```

    ## Use instead
    ```python
    custom_imports = dict(imports=['my_transforms', 'mmseg_fixkit'])
    ```

    ## Fix safety
    Safe: the run could not have started.

    ## References
    `import_modules_from_strings` of mmengine 0.10.7.
    """
    edits = import_edits(context.document)
    if edits:
        key = ("model", "type")
        yield finding(
            key,
            type_name(lookup(context.document.tree, key, "not set")),
            f"{context.owner} labels that may overlap, for which custom_imports needs",
            IMPORT,
            edits=edits,
            title=f"Import {IMPORT}",
        )


@rule("MSF612", "multilabel-pipeline-step")
def multilabel_pipeline_step(context: Context) -> Iterator[Diagnostic]:
    """A step of a pipeline takes the bits of a label map for the number of a class.

    ## What it does
    Speaks of configs in which a pixel may have several labels. Finds `AssertLabelBounds` and
    `RemapLabels`, `RandomRotFlip`, `RandomFlip` with `swap_seg_labels`, and with more than 7
    labels steps that resize with Pillow.

    ## Why is this bad?
    The first two look class numbers up. `RandomRotFlip` interpolates between label values, which
    makes labels that were nowhere; `swap_seg_labels` exchanges values where labels are meant.
    Pillow resizes 8 bit only, and more than 7 labels need 16.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadMultiLabelAnnotations', labels=('person', 'shadow')),
                dict(type='RandomRotFlip')]))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadMultiLabelAnnotations', labels=('person', 'shadow')),
                dict(type='MultiLabelRandomRotFlip')]))
    ```

    ## Fix safety
    Safe: the labels were others than those in the files, or the run stopped.

    ## References
    `RandomRotFlip` and `RandomFlip` of mmsegmentation 1.2.2; `imresize` of mmcv 2.1.0.
    """
    for dataset in context.document.datasets:
        for key, step in dataset.transforms:
            fault = _step_fault(context, key, step)
            if fault is not None:
                edit, why = fault
                yield finding(
                    edit.key if edit.kind is EditKind.SET else (*key, "type"),
                    lookup(step, edit.key[len(key) :]) if edit.kind is EditKind.SET
                    else type_name(step["type"]),
                    "label maps hold bits here:",
                    edit.value,
                    shown=why,
                    edits=[edit],
                    title=f"Use {edit.value}" if edit.value else "Leave it out",
                )  # fmt: skip


def _step_fault(context: Context, key: KeyPath, step: _Step) -> Optional[tuple[Edit, str]]:
    """Return what mends a step that misreads maps of bits, and why; None if it does not."""
    if is_step(step, *_ON_VALUES):
        return Edit(key, kind=EditKind.REMOVE), "it looks class numbers up"
    if is_step(step, "RandomRotFlip"):
        return Edit((*key, "type"), "MultiLabelRandomRotFlip"), "it interpolates between them"
    if is_step(step, "RandomFlip") and step.get("swap_seg_labels"):
        return Edit((*key, "type"), "MultiLabelRandomFlip"), "swap_seg_labels exchanges values"
    if step.get("backend") == "pillow" and context.num_classes > _NARROW:
        return Edit((*key, "backend"), "cv2"), "of more than 8 bit, which Pillow does not resize"
    return None


@rule("MSF613", "multilabel-packing", requested=True)
def multilabel_packing(context: Context) -> Iterator[Diagnostic]:
    """Maps of label bits are packed in 64 bit a pixel.

    ## What it does
    Speaks only in `mmseg-fix patch --multilabel`. Replaces `PackSegInputs` by
    `PackMultiLabelInputs`, which leaves maps as narrow as they are.

    ## Why is this bad?
    It is no fault: `PackSegInputs` works too. It takes 8 times the memory up to 7 labels.

    ## Example
    `mmseg-fix patch config.py --multilabel --classes person,shadow`

    ## Use instead
    The same command writes the change.

    ## Fix safety
    Safe: the labels are the same.

    ## References
    `PackSegInputs` of mmsegmentation 1.2.2.
    """
    for dataset in context.document.datasets if context.wishes.multilabel else ():
        for key, step in dataset.transforms:
            if is_step(step, "PackSegInputs"):
                yield finding(
                    (*key, "type"),
                    type_name(step["type"]),
                    "it takes 64 bit a pixel, and maps of label bits need",
                    PACKER,
                    shown="8 or 16",
                    edits=[Edit((*key, "type"), PACKER)],
                    title=f"Pack with {PACKER}",
                )


@rule("MSF614", "multilabel-metric")
def multilabel_metric(context: Context) -> Iterator[Diagnostic]:
    """A metric counts one class a pixel.

    ## What it does
    Speaks of configs in which a pixel may have several labels. Finds `IoUMetric` and
    `CityscapesMetric`, and a checkpoint hook whose `save_best` names a mean that
    `MultiLabelIoUMetric` does not have (`aAcc`, `mAcc`, `mFscore`).

    ## Why is this bad?
    `IoUMetric` takes the bits of prediction and label for class numbers: it counts combinations of
    labels, and drops those beyond the number of names.

    ## Example
    ```python
    val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
    ```

    ## Use instead
    ```python
    val_evaluator = dict(type='MultiLabelIoUMetric')
    ```

    ## Fix safety
    Safe: metrics have no part in training.

    ## References
    `IoUMetric.intersect_and_union` of mmsegmentation 1.2.2.
    """
    # MMEngine refuses two metrics of one kind: their results have the same names.
    scored = {metric.split for metric in context.document.metrics if metric.type == METRIC}
    for metric in context.document.metrics:
        if metric.type == "IoUMetric" or metric.type in DATASET_METRICS:
            twice = metric.split in scored
            scored.add(metric.split)
            arguments = {n: metric.config[n] for n in _METRIC_ARGUMENTS if n in metric.config}
            edit = (
                Edit(metric.key, kind=EditKind.REMOVE)
                if twice
                else Edit(metric.key, {"type": METRIC, **arguments})
            )
            yield finding(
                (*metric.key, "type"),
                metric.type,
                f"it counts one class a pixel, and {context.owner} labels that may overlap, which "
                "needs",
                METRIC,
                edits=[edit],
                title=f"Evaluate with {METRIC}",
            )
    yield from _other_mean(context)


def _other_mean(context: Context) -> Iterator[Diagnostic]:
    key = ("default_hooks", "checkpoint", "save_best")
    found = lookup(context.document.tree, key)
    if found in _OTHER_MEANS:
        yield finding(
            key, found, f"{METRIC} gives", "mIoU",
            shown="mIoU, mDice, mPrecision and mRecall",
            edits=[Edit(key, "mIoU")], title="Keep the checkpoint with the best mIoU",
        )  # fmt: skip


@rule("MSF615", "multilabel-pictures")
def multilabel_pictures(context: Context) -> Iterator[Diagnostic]:
    """The visualizer draws one class a pixel.

    ## What it does
    Speaks of configs in which a pixel may have several labels. Finds `SegLocalVisualizer`.

    ## Why is this bad?
    It looks colours up by the value of a pixel, which is a map of bits here: pixels with several
    labels have the colour of another one, or none.

    ## Example
    ```python
    visualizer = dict(type='SegLocalVisualizer', name='visualizer')
    ```

    ## Use instead
    ```python
    visualizer = dict(type='MultiLabelLocalVisualizer', name='visualizer')
    ```

    ## Fix safety
    Safe: pictures have no part in training.

    ## References
    `SegLocalVisualizer._draw_sem_seg` of mmsegmentation 1.2.2.
    """
    visualizer = context.document.tree.get("visualizer")
    if is_step(visualizer, "SegLocalVisualizer"):
        yield finding(
            ("visualizer", "type"),
            type_name(visualizer["type"]),  # type: ignore[index]
            "it draws one class a pixel, and labels that may overlap need",
            VISUALIZER,
            edits=[Edit(("visualizer", "type"), VISUALIZER)],
            title=f"Draw with {VISUALIZER}",
            severity=Severity.WARNING,
        )
