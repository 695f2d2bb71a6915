"""Family 6: the parts of a config around the data, where labels may overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import DATASET_METRICS, type_name
from mmseg_fixkit.config.multilabel import (
    METRIC,
    OWN_SEGMENTORS,
    SEGMENTORS,
    TTA_MODEL,
    VISUALIZER,
    head_fault,
)
from mmseg_fixkit.config.nodes import Head, is_step
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, KeyPath, Severity, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.rules.channels import DEFAULT_THRESHOLD, is_threshold, threshold_finding
from mmseg_fixkit.rules.datasets import replaced_metrics
from mmseg_fixkit.rules.guards import IMPORT, import_edits
from mmseg_fixkit.rules.heads import count_edits, needs_class_count, written_class_counts

_MODEL = ("model", "tta_model")

#: Arguments that both metrics take.
_METRIC_ARGUMENTS = ("nan_to_num", "output_dir", "format_only", "collect_device", "prefix")

#: Means that ``IoUMetric`` has and ours has not.
_OTHER_MEANS = ("aAcc", "mAcc", "mFscore")


@rule("MSF601", "multilabel-channel-count", labels="multilabel")
def multilabel_channel_count(context: ConfigContext) -> Iterator[Diagnostic]:
    """A head has no channel for the background beside those of the labels.

    ## What it does
    Speaks of multi-label configs. Compares `num_classes` of every decode and auxiliary head, in
    lists and nested heads too, with the labels and one more, and `out_channels` likewise. STDC's
    boundary head is left alone.

    ## Why is this bad?
    With L labels a head needs L + 1 channels: channel 0 is on where a pixel has no label. It
    follows from the others, so no label file has it, and predictions and metrics are without it.
    With one channel too few the last label has none, and training stops; with two real labels
    and two channels PaddleSeg ends in an assertion of the GPU.

    ## Example
    ```python
    model = dict(decode_head=dict(num_classes=2))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(num_classes=3))
    ```

    ## Fix safety
    Safe: a head with another count cannot learn these labels.

    ## References
    PaddleSeg issue 3646 and pull request 3479.
    """
    for head in context.document.class_heads:
        if not head.spec.owns_num_classes or unfit(head):
            continue
        edits = [*_count_edits(context, head), *_channel_edits(context, head)]
        if edits:
            key = edits[0].key
            yield finding(
                key,
                head.config.get(str(key[-1])),
                context.expected_by,
                context.channels,
                shown=f"{counted(context.num_classes, 'label, which needs', 'labels, which need')} "
                f"{context.channels} channels: one for the background, and one for each label",
                edits=edits,
                title=f"Give {head.type} {context.channels} channels",
            )


def _count_edits(context: ConfigContext, head: Head) -> list[Edit]:
    if written_class_counts(head) == {context.channels}:
        return []
    if None in written_class_counts(head) and not needs_class_count(context, head):
        return []
    return count_edits(head, context.channels)


def _channel_edits(context: ConfigContext, head: Head) -> Iterator[Edit]:
    found = head.config.get("out_channels")
    if head.spec.channels_follow_classes and found not in (None, context.channels):
        yield Edit((*head.key, "out_channels"), kind=EditKind.REMOVE)


def unfit(head: Head) -> Optional[str]:
    """Say why a head where MMSegmentation builds one cannot predict labels that overlap."""
    return head_fault(head.config) if head.placed and "type" in head.config else None


@rule("MSF602", "multilabel-segmentor", labels="multilabel")
def multilabel_segmentor(context: ConfigContext) -> Iterator[Diagnostic]:
    """The segmentor gives each pixel the one class with the highest score.

    ## What it does
    Speaks of multi-label configs. Finds `EncoderDecoder`, `CascadeEncoderDecoder` and `SegTTAModel`
    in them.

    ## Why is this bad?
    The model trains, but these take the highest of all channels: one label per pixel, or the
    background. `MultiLabelEncoderDecoder` and its kin give a pixel each label whose score is above
    a `threshold`, 0.5 or one for each label.

    ## Example
    ```python
    model = dict(type='EncoderDecoder')
    ```

    ## Use instead
    ```python
    model = dict(type='MultiLabelEncoderDecoder', threshold=0.5)
    ```

    ## Fix safety
    Safe: the losses are the same, and predictions are what was learned.

    ## References
    `BaseSegmentor.postprocess_result` of mmsegmentation 1.2.2.
    """
    for key, kind in _segmentors(context):
        ours = {**SEGMENTORS, "SegTTAModel": TTA_MODEL}.get(kind)
        if ours is None:
            continue
        threshold = (*key, "threshold")
        bare = kind in SEGMENTORS and lookup(context.document.tree, threshold) is None
        yield replaced_type(
            key,
            kind,
            f"it takes the highest score, and {context.expected_by}",
            ours,
            shown=f"{counted(context.num_classes, 'label')} that may overlap, which needs {ours!r}",
            more=[Edit(threshold, DEFAULT_THRESHOLD)] if bare else (),
        )


def replaced_type(
    key: KeyPath, found: Any, who: str, ours: str, *, more: Iterable[Edit] = (), **words: Any
) -> Diagnostic:
    """Return a finding on the type of a part of the host, in whose place ours belongs.

    ``more`` are edits beside that of the type, ``words`` further arguments of ``finding``.
    """
    path = (*key, "type")
    edits = (Edit(path, ours), *more)
    return finding(
        path, type_name(found), who, ours, **{"edits": edits, "title": f"Use {ours}", **words}
    )


def _segmentors(context: ConfigContext) -> Iterator[tuple[KeyPath, str]]:
    """Yield where segmentors stand: the model, what wraps it, and that of several views."""
    for name in _MODEL:
        for key in ((name,), (name, "module")):
            part = lookup(context.document.tree, key)
            if isinstance(part, dict) and "type" in part:
                yield key, type_name(part["type"])


@rule("MSF605", "multilabel-head", labels="multilabel")
def multilabel_head(context: ConfigContext) -> Iterator[Diagnostic]:
    """A head cannot predict labels that overlap.

    ## What it does
    Speaks of multi-label configs. Finds query heads (Mask2Former, MaskFormer), SAN's, depth heads,
    and EncNet's. STDC's boundary head may stand beside others.

    ## Why is this bad?
    Query heads and SAN choose one class for each mask by a softmax; `EncHead` counts which classes
    are in the label map. They learn something else, or stop at the first batch.

    ## Example
    ```python
    model = dict(decode_head=dict(type='EncHead', in_channels=[64], in_index=[0]))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(type='FCNHead', in_channels=64))
    ```

    ## Fix safety
    There is no fix: take another head. `mmseg-fix patch --multilabel` refuses such a config.

    ## References
    `EncHead.loss_by_feat` of mmsegmentation 1.2.2; `MaskFormerHead` of mmdet 3.3.0.
    """
    for key, head, fault in unfit_heads(context):
        yield finding(
            (*key, "type"),
            type_name(head["type"]),
            f"{context.expected_by} {counted(context.num_classes, 'label')} that may overlap:",
            None,
            shown=fault,
        )


def unfit_heads(context: ConfigContext) -> Iterator[tuple[KeyPath, dict[str, Any], str]]:
    """Yield the heads that cannot predict labels that overlap, and why."""
    for head in context.document.heads:
        beside = not head.follows_labels and "auxiliary_head" in head.key
        fault = None if beside else unfit(head)
        if fault:
            yield head.key, head.config, fault


@rule("MSF606", "multilabel-threshold", labels="multilabel")
def multilabel_threshold(context: ConfigContext) -> Iterator[Diagnostic]:
    """A threshold is none of a score, or there are not as many as labels.

    ## What it does
    Speaks of multi-label configs. Looks at `threshold` of `MultiLabelEncoderDecoder` and its kin:
    one number between 0 and 1, or one for each label, in their order and without the background;
    0.5 where it is left out. A `threshold` in a head, where one sigmoid channel of two classes has
    it, belongs there.

    ## Why is this bad?
    The model is refused when it is built. A threshold in a head counts for nothing.

    ## Example
    ```python
    model = dict(threshold=[0.5, 0.4, 0.6])
    ```

    ## Use instead
    ```python
    model = dict(threshold=[0.4, 0.6])
    ```

    ## Fix safety
    Safe: the model could not be built, and thresholds have no part in training. Thresholds that fit
    no labels become 0.5.

    ## References
    `checked_thresholds` of this package.
    """
    for key, kind in _segmentors(context):
        written = lookup(context.document.tree, (*key, "threshold"))
        fault = _threshold_fault(context, written) if kind in OWN_SEGMENTORS else ""
        if fault:
            yield finding(
                (*key, "threshold"),
                written,
                context.expected_by,
                DEFAULT_THRESHOLD,
                shown=fault,
                edits=[Edit((*key, "threshold"), DEFAULT_THRESHOLD)],
                title=f"Set threshold to {DEFAULT_THRESHOLD}",
            )
    for head in context.document.class_heads:
        if head.known and head.config.get("threshold") is not None:
            yield threshold_finding(
                head,
                "the threshold of a multi-label config stands",
                None,
                shown="in the segmentor; in a head it counts for nothing",
            )


def _threshold_fault(context: ConfigContext, written: Any) -> str:
    if written is None or is_threshold(written):
        return ""
    labels = counted(context.num_classes, "label")
    listed = isinstance(written, (list, tuple))
    if listed and len(written) != context.num_classes:
        return f"{labels}: give one number, or {context.num_classes}"
    odd = [t for t in written if not is_threshold(t)] if listed else [written]
    return f"{labels}, whose scores are between 0 and 1: {odd[0]!r} is not" if odd else ""


@rule("MSF610", "multilabel-import", labels="multilabel")
def multilabel_import(context: ConfigContext) -> Iterator[Diagnostic]:
    """The parts for multi-label segmentation are named, but not imported.

    ## What it does
    Speaks of multi-label configs. Looks for `mmseg_fixkit` in `custom_imports`. New-style configs
    import each part where they name it.

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
            f"{context.expected_by} labels that may overlap, for which custom_imports needs",
            IMPORT,
            edits=edits,
            title=f"Import {IMPORT}",
        )


@rule("MSF614", "multilabel-metric", labels="multilabel")
def multilabel_metric(context: ConfigContext) -> Iterator[Diagnostic]:
    """A metric counts one class per pixel.

    ## What it does
    Speaks of multi-label configs. Finds `IoUMetric` and `CityscapesMetric`, and a checkpoint hook
    whose `save_best` names a mean that `MultiLabelIoUMetric` does not have (`aAcc`, `mAcc`,
    `mFscore`).

    ## Why is this bad?
    `IoUMetric` takes the bits of prediction and label for class indices: it counts combinations of
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
    who = f"it counts one class per pixel, and {context.expected_by} labels that may overlap, which"
    kinds, new = DATASET_METRICS | {"IoUMetric"}, {"type": METRIC}
    for metric, edit in replaced_metrics(context, kinds, new, _METRIC_ARGUMENTS):
        yield replaced_type(metric.key, metric.type, f"{who} needs", METRIC, edits=[edit])
    yield from _other_mean(context)


def _other_mean(context: ConfigContext) -> Iterator[Diagnostic]:
    key = ("default_hooks", "checkpoint", "save_best")
    found = lookup(context.document.tree, key)
    if found in _OTHER_MEANS:
        yield finding(
            key, found, f"{METRIC} gives", "mIoU",
            shown="mIoU, mDice, mPrecision and mRecall",
            edits=[Edit(key, "mIoU")], title="Keep the checkpoint with the best mIoU",
        )  # fmt: skip


@rule("MSF615", "multilabel-pictures", labels="multilabel")
def multilabel_pictures(context: ConfigContext) -> Iterator[Diagnostic]:
    """The visualizer draws one class per pixel.

    ## What it does
    Speaks of multi-label configs. Finds `SegLocalVisualizer`.

    ## Why is this bad?
    It indexes colours with the value of a pixel, which is a map of bits here: pixels with several
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
    Safe: what is drawn has no part in training.

    ## References
    `SegLocalVisualizer._draw_sem_seg` of mmsegmentation 1.2.2.
    """
    visualizer = context.document.tree.get("visualizer")
    if is_step(visualizer, "SegLocalVisualizer"):
        yield replaced_type(
            ("visualizer",),
            "SegLocalVisualizer",
            "it draws one class per pixel, and labels that may overlap need",
            VISUALIZER,
            severity=Severity.WARNING,
        )
