"""Family 3: whether label 0 is ignored, by ``reduce_zero_label``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.nodes import Dataset, is_step
from mmseg_fixkit.core.diagnostics import Applicability, Diagnostic, Edit, Severity, finding
from mmseg_fixkit.core.rule import rule

#: Names that people give to label 0 when it is a class like any other.
BACKGROUND_NAMES = frozenset({"background", "bg", "_background_", "others", "other", "void"})


@rule("MSF301", "reduce-zero-label-conflict")
def reduce_zero_label_conflict(context: ConfigContext) -> Iterator[Diagnostic]:
    """The places that say whether label 0 is ignored do not agree.

    ## What it does
    Compares `reduce_zero_label` of every dataset (written, or the default of its type) with the
    label space, with the other splits, and with `LoadAnnotations(reduce_zero_label=…)` in its
    pipeline.

    ## Why is this bad?
    With the flag on, label 0 becomes 255 (ignored) and all others move down by one. Dataset and
    pipeline that disagree stop the run: `Initialize dataset with reduce_zero_label as False but
    when load annotation the reduce_zero_label is True`. A flag inherited from an ADE20K config
    turns the background of other data into ignored pixels, and nothing says so.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(pipeline=[dict(type='LoadAnnotations', reduce_zero_label=True)]))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(pipeline=[dict(type='LoadAnnotations', reduce_zero_label=False)]))
    ```

    ## Fix safety
    Safe where the pipeline follows its dataset: the run could not have started. Unsafe where a
    split follows the training dataset: it changes what is evaluated.

    ## References
    mmsegmentation issues 1714, 2508, 2425 and pull request 3235.
    """
    for dataset in context.document.datasets:
        wanted = _wanted(context, dataset)
        if wanted is None:
            continue
        if dataset.reduce_zero_label is not None and dataset.reduce_zero_label != wanted:
            yield _dataset_finding(context, dataset, wanted)
        yield from _pipeline_findings(dataset, wanted)


def _wanted(context: ConfigContext, dataset: Dataset) -> Optional[bool]:
    """What ``reduce_zero_label`` of this dataset has to be; None where nobody knows."""
    decided = _decided(context, dataset)
    first = context.document.datasets[0]
    if decided is not None or dataset.type != first.type:
        return dataset.reduce_zero_label if decided is None else decided
    return first.reduces_zero_label


def _decided(context: ConfigContext, dataset: Dataset) -> Optional[bool]:
    """What the user decided about the flag, by asking for it or by the classes given.

    A registered type that keeps its own classes keeps its own files, and with them the flag.
    """
    if context.options.reduce_zero_label is not None:
        return context.options.reduce_zero_label
    if context.labels.multilabel:
        return False  # 0 is a pixel without labels
    own = dataset.info.classes if dataset.info else None
    foreign = bool(own) and not set(context.labels.classes) <= set(own or ())
    if context.labels_given and (context.labels.reduce_zero_label or foreign):
        return context.labels.reduce_zero_label
    return None


def _dataset_finding(context: ConfigContext, dataset: Dataset, wanted: bool) -> Diagnostic:
    asked = context.options.reduce_zero_label is not None
    sure = _decided(context, dataset) is not None
    return finding(
        (*dataset.key, "reduce_zero_label"),
        dataset.reduce_zero_label,
        _who(context, sure=sure),
        wanted,
        shown=None if asked else f"labels with reduce_zero_label={wanted}",
        edits=[Edit((*dataset.key, "reduce_zero_label"), wanted)],
        title=f"Set reduce_zero_label of the {dataset.role} dataset to {wanted}",
        applicability=Applicability.SAFE if sure else Applicability.UNSAFE,
    )


def _who(context: ConfigContext, *, sure: bool) -> str:
    if context.options.reduce_zero_label is not None:
        return "you asked for"
    if context.labels.multilabel:
        return "a map of label bits has"
    return context.expected_by if sure else "the training dataset has"


def _pipeline_findings(dataset: Dataset, wanted: bool) -> Iterator[Diagnostic]:
    for key, step in dataset.transforms:
        found = step.get("reduce_zero_label")
        if is_step(step, "LoadAnnotations") and found is not None and found != wanted:
            yield finding(
                (*key, "reduce_zero_label"),
                found,
                f"the {dataset.role} dataset has",
                wanted,
                edits=[Edit((*key, "reduce_zero_label"), wanted)],
                title=f"Set reduce_zero_label of LoadAnnotations to {wanted}",
            )


@rule("MSF302", "background-ignored", labels="exclusive")
def background_ignored(context: ConfigContext) -> Iterator[Diagnostic]:
    """The first class is the background, and label 0 is ignored.

    ## What it does
    Looks for datasets of your own classes whose first name means background (`background`, `bg`,
    `void`, `other`) while `reduce_zero_label` is on.

    ## Why is this bad?
    Files that hold 0 for the background have it ignored then, and label 1 is trained as the
    background. With two classes the whole image comes out as foreground.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(reduce_zero_label=True, metainfo=dict(classes=('background', 'polyp'))))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(reduce_zero_label=False, metainfo=dict(classes=('background', 'polyp'))))
    ```

    ## Fix safety
    Unsafe: files that hold 0 for "no label" and 1 for the background are right as they are.

    ## References
    mmsegmentation issues 1714 and 2508; MaskDINO issue 119.
    """
    first = context.labels.classes[0].lower()
    if first not in BACKGROUND_NAMES or context.options.reduce_zero_label is not None:
        return
    for dataset in context.document.datasets:
        if dataset.reduce_zero_label and not dataset.own_classes:
            yield finding(
                (*dataset.key, "reduce_zero_label"),
                True,
                context.expected_by,
                False,
                shown=f"{context.labels.classes[0]!r} as its first class, which is ignored then",
                edits=list(_flag_edits(dataset, False)),
                title="Keep label 0 as a class",
                applicability=Applicability.UNSAFE,
                severity=Severity.WARNING,
            )


def _flag_edits(dataset: Dataset, wanted: bool) -> Iterator[Edit]:
    yield Edit((*dataset.key, "reduce_zero_label"), wanted)
    for key, step in dataset.transforms:
        if is_step(step, "LoadAnnotations") and step.get("reduce_zero_label") is not None:
            yield Edit((*key, "reduce_zero_label"), wanted)
