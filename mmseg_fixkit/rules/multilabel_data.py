"""Family 6: datasets and their pipelines, where labels may overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os.path import isabs
from pathlib import PurePosixPath
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.multilabel import LOADER, PACKER, named_background
from mmseg_fixkit.config.nodes import Dataset, is_step
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, KeyPath, Severity, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.rules.datasets import plain_type_findings
from mmseg_fixkit.rules.multilabel import replaced_type

#: Makes maps of bits of the planes that ``LoadAnnotations`` gives it.
_PLANE_PACKER = "AddMultiLabelAuxiliaryCategory"

#: Arguments of loading that say how files are to be read, and their defaults.
_READING = {
    "label_format": "bits",
    "file_pattern": "{stem}_{label}.png",
    "values": "auto",
    "missing_ok": False,
}

#: Options of a patch that give all splits the same.
_OPTIONS = {
    "label_format": "--label-format",
    "file_pattern": "--file-pattern",
    "values": "--label-values",
}

#: Labels that fit 8 bit, which is all that Pillow resizes.
_NARROW = 7

#: Steps on label values, which are no classes here; loading looks at them itself.
_ON_VALUES = ("AssertLabelBounds", "RemapLabels")

_Step = Mapping[str, Any]


@rule("MSF611", "multilabel-loading", labels="multilabel")
def multilabel_loading(context: ConfigContext) -> Iterator[Diagnostic]:
    """Labels are loaded as those of one class per pixel, or by other names than the dataset has.

    ## What it does
    Speaks of multi-label configs. Finds `LoadAnnotations` in the pipelines of every split and in
    `tta_pipeline`, and compares `labels` of `LoadMultiLabelAnnotations` with the label space.
    `LoadAnnotations` may stand before `AddMultiLabelAuxiliaryCategory`, which makes maps of bits of
    PaddleSeg's planes. In a patch with `--label-format`, `--file-pattern`, `--label-file` or
    `--label-values` it compares these too.

    ## Why is this bad?
    `LoadAnnotations` reads what is there: planes side by side are another size than the image, and
    in single-label maps class 3 becomes the labels 0 and 1. With other names, or another order of
    them, one label is learned under the name of another.

    ## Example
    ```python
    train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadAnnotations')]))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            pipeline=[dict(type='LoadMultiLabelAnnotations', labels=('person', 'shadow'))]))
    ```

    ## Fix safety
    Safe: maps of bits are read as before, in the format of the other splits, and files that hold
    something else stop the run.

    ## References
    The page on multi-label segmentation in this documentation.
    """
    for dataset in context.document.datasets:
        for steps in dataset.pipelines:
            packs_planes = any(is_step(step, _PLANE_PACKER) for _, step in steps)
            for key, step in steps:
                if is_step(step, "LoadAnnotations") and not packs_planes:
                    yield _loader_finding(context, dataset, key, step)
                elif is_step(step, LOADER):
                    yield from _other_arguments(context, dataset, key, step)


def _loader_finding(
    context: ConfigContext, dataset: Dataset, key: KeyPath, step: _Step
) -> Diagnostic:
    reading = {
        "label_format": "bits",
        **_reading_elsewhere(context),
        **_requested(context, dataset),
    }
    kept = {name: step[name] for name in ("backend_args",) if name in step}
    loader = {"type": LOADER, "labels": context.labels.classes, **reading, **kept}
    known = reading["label_format"] != "coco" or "ann_file" in reading
    return replaced_type(
        key,
        step["type"],
        f"{context.expected_by} labels that may overlap, which needs",
        LOADER,
        edits=[Edit(key, loader)] if known else (),
        then="" if known else "--label-file says where the JSON of each split is",
    )


def _reading_elsewhere(context: ConfigContext) -> dict[str, Any]:
    """Return how the first pipeline that loads labels that overlap reads its files."""
    steps = (step for d in context.document.datasets for _, step in d.transforms)
    first = next((step for step in steps if is_step(step, LOADER)), {})
    return {name: first[name] for name in _READING if name in first}


def _requested(context: ConfigContext, dataset: Dataset) -> dict[str, Any]:
    """Return the arguments that were asked for."""
    files = context.options.multilabel
    if files is None:
        return {}
    wanted = {
        "label_format": files.label_format,
        "file_pattern": files.file_pattern,
        "ann_file": _label_file(dataset, files.label_file),
        "values": files.label_values,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _label_file(dataset: Dataset, pattern: Optional[str]) -> Optional[str]:
    """Return the JSON of a split, below its ``data_root`` as other files are."""
    if pattern is None:
        return None
    path = pattern.replace("{split}", dataset.split)
    root = dataset.config.get("data_root")
    return str(PurePosixPath(root) / path) if isinstance(root, str) and not isabs(path) else path


def _other_arguments(
    context: ConfigContext, dataset: Dataset, key: KeyPath, step: _Step
) -> Iterator[Diagnostic]:
    names = context.labels.classes
    found = step.get("labels")
    same = found == len(names) if isinstance(found, int) else tuple(found or ()) == names
    if not same:
        yield finding(
            (*key, "labels"),
            found,
            context.expected_by,
            names,
            edits=[Edit((*key, "labels"), names)],
            title=f"Load the labels {', '.join(names)}",
        )
    for name, value in _requested(context, dataset).items():
        if step.get(name, _READING.get(name)) != value:
            edit = Edit((*key, name), value)
            yield finding(edit.key, step.get(name), "you asked for", value, edits=[edit],
                          title=f"Set {name} of {LOADER}")  # fmt: skip


@rule("MSF612", "multilabel-pipeline-step", labels="multilabel")
def multilabel_pipeline_step(context: ConfigContext) -> Iterator[Diagnostic]:
    """A transform of a pipeline takes the bits of a label map for a class index.

    ## What it does
    Speaks of multi-label configs. Finds `AssertLabelBounds` and `RemapLabels`, `RandomRotFlip`,
    `RandomFlip` with `swap_seg_labels`, and with more than 7 labels steps that resize with Pillow.

    ## Why is this bad?
    The first two take values for class indices. `RandomRotFlip` interpolates between label values,
    which makes labels that were nowhere; `swap_seg_labels` exchanges values where labels are meant.
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
            fault = _step_fault(context, step)
            if fault is not None:
                name, ours, why = fault
                path = (*key, name)
                yield finding(
                    path,
                    type_name(step[name]),
                    "label maps hold bits here:",
                    ours,
                    shown=why,
                    edits=[Edit(path, ours) if ours else Edit(key, kind=EditKind.REMOVE)],
                    title=f"Use {ours}" if ours else "Leave it out",
                )


def _step_fault(context: ConfigContext, step: _Step) -> Optional[tuple[str, Optional[str], str]]:
    """Return which argument of a step misreads maps of bits, what is right for it, and why.

    None stands for no right value: the step is to go.
    """
    if is_step(step, *_ON_VALUES):
        return "type", None, "it takes values for class indices"
    if is_step(step, "RandomRotFlip"):
        return "type", "MultiLabelRandomRotFlip", "it interpolates between them"
    if is_step(step, "RandomFlip") and step.get("swap_seg_labels"):
        return "type", "MultiLabelRandomFlip", "swap_seg_labels exchanges values"
    if step.get("backend") == "pillow" and context.num_classes > _NARROW:
        return "backend", "cv2", "of more than 8 bit, which Pillow does not resize"
    return None


@rule("MSF613", "multilabel-packing", requested=True, labels="multilabel")
def multilabel_packing(context: ConfigContext) -> Iterator[Diagnostic]:
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
    for dataset in context.document.datasets if context.options.multilabel else ():
        for key, step in dataset.transforms:
            if is_step(step, "PackSegInputs"):
                who = "it takes 64 bit a pixel, and maps of label bits need"
                yield replaced_type(key, step["type"], who, PACKER, shown="8 or 16")


@rule("MSF616", "multilabel-dataset-type", labels="multilabel")
def multilabel_dataset_type(context: ConfigContext) -> Iterator[Diagnostic]:
    """A dataset type of MMSegmentation is given some of its own classes as labels.

    ## What it does
    Speaks of multi-label configs. Finds dataset types with classes of their own, of which
    `metainfo` names a part.

    ## Why is this bad?
    Such a type maps the label values of its own files to those of the part. Here the values are
    bits, and `LoadMultiLabelAnnotations` refuses them.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(type='CityscapesDataset', metainfo=dict(classes=('person', 'car'))))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=('person', 'car')),
            img_suffix='_leftImg8bit.png', seg_map_suffix='_gtFine_labelTrainIds.png'))
    ```

    ## Fix safety
    Safe: the run could not have started. The suffixes of the old type are written out.

    ## References
    `BaseSegDataset.get_label_map` of mmsegmentation 1.2.2.
    """
    for dataset in context.document.datasets:
        named = isinstance(dataset.classes, (list, tuple)) and not dataset.foreign
        if dataset.own_classes and named and tuple(dataset.classes) != dataset.own_classes:
            who = "it maps label values to a part of its classes, and maps of label bits need"
            yield from plain_type_findings(dataset, who)


@rule("MSF617", "multilabel-background", labels="multilabel")
def multilabel_background(context: ConfigContext) -> Iterator[Diagnostic]:
    """The background is named as a label of its own.

    ## What it does
    Speaks of multi-label configs. Finds a label that is called `background` or the like.

    ## Why is this bad?
    The background is where no label is. It has a channel of its own already, which follows from
    the labels: named again, there are two that say the same, and the second is in every mean.

    ## Example
    ```python
    model = dict(decode_head=dict(num_classes=4))
    train_dataloader = dict(
        dataset=dict(metainfo=dict(classes=('background', 'person', 'shadow'))))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(num_classes=3))
    train_dataloader = dict(dataset=dict(metainfo=dict(classes=('person', 'shadow'))))
    ```

    ## Fix safety
    There is no fix: files may have a plane or a bit for it, which would move the others.

    ## References
    The page on multi-label segmentation in this documentation.
    """
    background = named_background(context.labels.classes)
    if background:
        named = next((d for d in context.document.datasets if d.classes), None)
        key = (*named.key, "metainfo", "classes") if named else ("model",)
        yield finding(
            key,
            context.labels.classes,
            "the background is",
            tuple(name for name in context.labels.classes if name not in background),
            shown="where no label is, and has a channel of its own",
            then="leave it out; with files that have a plane or a bit for it, write them again "
            "with `mmseg-fix convert-labels`",
            severity=Severity.WARNING,
        )


@rule("MSF618", "multilabel-mixed-formats", labels="multilabel")
def multilabel_mixed_formats(context: ConfigContext) -> Iterator[Diagnostic]:
    """Two splits read their label files in two ways.

    ## What it does
    Speaks of multi-label configs. Compares `label_format`, `file_pattern`, `values` and
    `missing_ok` of `LoadMultiLabelAnnotations` in every pipeline with the first one.

    ## Why is this bad?
    Files of one dataset are written in one way, as a rule. Read in another they stop the run at the
    first validation, after hours of training.

    ## Example
    ```python
    labels = ('person', 'shadow')
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadMultiLabelAnnotations', labels=labels, label_format='planes')]))
    val_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=labels),
            pipeline=[dict(type='LoadMultiLabelAnnotations', labels=labels)]))
    ```

    ## Use instead
    ```python
    labels = ('person', 'shadow')
    train_dataloader = dict(
        dataset=dict(
            pipeline=[
                dict(type='LoadMultiLabelAnnotations', labels=labels, label_format='planes')]))
    val_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset', metainfo=dict(classes=labels),
            pipeline=[
                dict(type='LoadMultiLabelAnnotations', labels=labels, label_format='planes')]))
    ```

    ## Fix safety
    There is no fix: your files may well be of two kinds.

    ## References
    `LoadMultiLabelAnnotations` of this package.
    """
    loaders = [
        (dataset, key, step)
        for dataset in context.document.datasets
        for key, step in dataset.transforms
        if is_step(step, LOADER)
    ]
    for _, key, step in loaders[1:]:
        role, _, first = loaders[0]
        for name, default in _READING.items():
            found, other = step.get(name, default), first.get(name, default)
            if found != other:
                yield finding(
                    (*key, name),
                    found,
                    f"the {role.role} dataset has",
                    other,
                    then=f"`{_OPTIONS[name]}` of `mmseg-fix patch` sets all splits"
                    if name in _OPTIONS
                    else "no option sets it: write the same in all splits, unless your files are "
                    "of two kinds",
                    severity=Severity.WARNING,
                )
