"""Family 3: the label that heads, losses, metrics and padding ignore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import IGNORING_LOSSES, HeadKind, type_name
from mmseg_fixkit.config.nodes import Dataset, Head
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    KeyPath,
    Severity,
    finding,
)
from mmseg_fixkit.core.labels import DEFAULT_IGNORE
from mmseg_fixkit.core.rule import rule

#: Metrics that ignore a label.
_IGNORING_METRICS = ("IoUMetric", "CityscapesMetric")

_IGNORING_KINDS = (HeadKind.PER_PIXEL, HeadKind.QUERY)


class Use(Enum):
    """What is done with the label that a setting names."""

    IGNORES = "ignores"  # it counts in no loss and no metric
    PADS = "pads"  # pixels that are to be ignored get it
    FILLS = "fills"  # pixels get it, as ignored ones or as a class


#: Transforms with such a label: the argument, what is done with it, the host's default.
IGNORING_TRANSFORMS: dict[str, tuple[str, Use, Optional[int]]] = {
    "AssertLabelBounds": ("ignore_index", Use.PADS, DEFAULT_IGNORE),
    "BioMedical3DPad": ("seg_pad_val", Use.FILLS, 0),
    "GenerateEdge": ("ignore_index", Use.IGNORES, DEFAULT_IGNORE),
    "RandomCrop": ("ignore_index", Use.IGNORES, DEFAULT_IGNORE),
    "RandomCutOut": ("seg_fill_in", Use.FILLS, None),
    "RandomMosaic": ("seg_pad_val", Use.PADS, DEFAULT_IGNORE),
    "RandomRotate": ("seg_pad_val", Use.PADS, DEFAULT_IGNORE),
}


@dataclass(frozen=True)
class IgnoreIndexSetting:
    """One setting that names the ignored label."""

    key: KeyPath
    label: Any  # what stands there, or the host's default; None where nothing is ignored
    use: Use = Use.IGNORES
    #: the key to edit and what to put around the label, where it cannot be set alone
    edits_as: Optional[tuple[KeyPath, dict[str, Any]]] = None

    def edit(self, label: int) -> Edit:
        """Return the change that puts ``label`` here."""
        if self.edits_as is None:
            return Edit(self.key, label)
        key, around = self.edits_as
        return Edit(key, {**around, str(self.key[-1]): label})


def ignore_index_settings(document: ConfigDocument) -> Iterator[IgnoreIndexSetting]:
    """Yield every setting that names the ignored label, or takes the host's default for it."""
    for head in document.class_heads:
        yield from _head_settings(document, head)
    for metric in document.metrics:
        if metric.type in _IGNORING_METRICS:
            yield _setting(metric.key, metric.config, "ignore_index")
    for dataset in document.datasets:
        yield from _data_settings(dataset)
    key = ("model", "data_preprocessor")
    preprocessor = lookup(document.tree, key)
    if isinstance(preprocessor, dict) and preprocessor.get("type"):
        yield _setting(key, preprocessor, "seg_pad_val", Use.PADS)


def _setting(
    key: KeyPath,
    config: dict[str, Any],
    name: str,
    use: Use = Use.IGNORES,
    default: Optional[int] = DEFAULT_IGNORE,
) -> IgnoreIndexSetting:
    return IgnoreIndexSetting((*key, name), config.get(name, default), use)


def _head_settings(document: ConfigDocument, head: Head) -> Iterator[IgnoreIndexSetting]:
    takes = head.known or head.placed or "ignore_index" in head.config
    if takes and head.spec.kind in _IGNORING_KINDS and head.spec.owns_num_classes:
        yield _setting(head.key, head.config, "ignore_index")
    for loss in document.losses(head):
        name = IGNORING_LOSSES.get(loss.type)
        if name and loss.of_host:
            yield _setting(loss.key, loss.config, name)


def _data_settings(dataset: Dataset) -> Iterator[IgnoreIndexSetting]:
    if dataset.info:
        yield _setting(dataset.key, dataset.config, "ignore_index")
    for key, step in dataset.transforms:
        kind = type_name(step.get("type", ""))
        if kind in IGNORING_TRANSFORMS:
            yield _setting(key, step, *IGNORING_TRANSFORMS[kind])
        elif kind == "Pad":
            yield _pad_setting((*key, "pad_val"), step.get("pad_val"))


def _pad_setting(key: KeyPath, value: Any) -> IgnoreIndexSetting:
    """Name what mmcv's ``Pad`` puts around labels: 255, or ``seg`` of a ``pad_val`` dict."""
    if isinstance(value, dict):
        return IgnoreIndexSetting((*key, "seg"), value.get("seg", DEFAULT_IGNORE), Use.PADS)
    around = {} if value is None else {"img": value}
    return IgnoreIndexSetting((*key, "seg"), DEFAULT_IGNORE, Use.PADS, (key, around))


@rule("MSF303", "ignore-index-mismatch")
def ignore_index_mismatch(context: ConfigContext) -> Iterator[Diagnostic]:
    """Heads, metrics and padding do not agree on the label that is ignored.

    ## What it does
    Compares the `ignore_index` of every head, metric and loss that has one of its own
    (`TverskyLoss`, `HuasdorffDisstanceLoss`, `ignore_label` of `OhemCrossEntropy`), and the values
    that labels are padded with (`seg_pad_val` of the data preprocessor and of transforms,
    `pad_val` of `Pad`), with the label space: that of the training dataset, or yours. A value that
    is not written has the host's default, 255. `ignore_index` of `DiceLoss` is something else, a
    channel that it leaves out.

    ## Why is this bad?
    A padded pixel with another value than the head ignores is trained as a class, or has no
    channel at all: `Target 255 is out of bounds`. `TverskyLoss` takes it for the last class.

    ## Example
    ```python
    model = dict(data_preprocessor=dict(type='SegDataPreProcessor', seg_pad_val=254))
    ```

    ## Use instead
    ```python
    model = dict(data_preprocessor=dict(type='SegDataPreProcessor', seg_pad_val=255))
    ```

    ## Fix safety
    Unsafe: it changes which pixels are learned.

    ## References
    `BaseDecodeHead`, `SegDataPreProcessor` and `IoUMetric` of mmsegmentation 1.2.2.
    """
    expected = context.labels.ignore_index
    given = context.labels_given or context.options.ignore_index is not None
    applicability = Applicability.SAFE if given else Applicability.UNSAFE
    if is_class(context, expected) and not given:
        return  # class-ignored says so
    for setting in ignore_index_settings(context.document):
        # Losses on masks of their own ignore nothing where the index is None.
        if setting.label is None or setting.label == expected or _is_meant(context, setting, given):
            continue
        name = setting.key[-1]
        yield finding(
            setting.key,
            setting.label,
            "a map of label bits has" if context.labels.multilabel else context.expected_by,
            expected,
            shown=f"{expected} as the ignored label",
            edits=[setting.edit(expected)],
            title=f"Set {name} to {expected}",
            applicability=applicability,
        )


def _is_meant(context: ConfigContext, setting: IgnoreIndexSetting, given: bool) -> bool:
    """Whether a class stands there on purpose, or is reported by class-ignored."""
    reported = setting.use is Use.FILLS or (setting.use is Use.IGNORES and not given)
    return reported and is_class(context, setting.label)


@rule("MSF304", "class-ignored", labels="exclusive")
def class_ignored(context: ConfigContext) -> Iterator[Diagnostic]:
    """The label that a head, a loss or a metric ignores is the label of a class.

    ## What it does
    Holds `ignore_index` of heads, losses, metrics and datasets (`ignore_label` in
    `OhemCrossEntropy`) against the labels 0 to N - 1 of the classes.

    ## Why is this bad?
    The pixels of that class are neither learned nor counted, and nothing says so: its IoU is nan
    or 0. With `reduce_zero_label=True` label 0 is the first class already, not the background.
    Where the background is to be left out, it is no class: take it from the list of classes and
    set `reduce_zero_label=True`.

    ## Example
    ```python
    model = dict(decode_head=dict(ignore_index=0))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(ignore_index=255))
    ```

    ## Fix safety
    Unsafe: it changes which pixels are learned.

    ## References
    `BaseDecodeHead` and `IoUMetric` of mmsegmentation 1.2.2; mmsegmentation issues 2650 and 3340.
    """
    if follows_asked_label(context):
        return
    own = context.labels.ignore_index
    instead = DEFAULT_IGNORE if is_class(context, own) else own
    for setting in ignore_index_settings(context.document):
        if setting.use is Use.IGNORES and is_class(context, setting.label):
            name = context.labels.classes[setting.label]
            yield finding(
                setting.key,
                setting.label,
                context.expected_by,
                instead,
                shown=f"{name!r} as class {setting.label}, which is neither learned nor "
                "counted then",
                edits=[setting.edit(instead)],
                title=f"Set {setting.key[-1]} to {instead}",
                applicability=Applicability.UNSAFE,
                severity=Severity.WARNING,
            )


def is_class(context: ConfigContext, label: Any) -> bool:
    """Whether ``label`` is that of a class."""
    return isinstance(label, int) and 0 <= label < context.num_classes


def follows_asked_label(context: ConfigContext) -> bool:
    """Whether every setting is set to a label that the user gave, and that is no class."""
    given = context.labels_given or context.options.ignore_index is not None
    return given and not is_class(context, context.labels.ignore_index)


@rule("MSF305", "marked-label-not-ignored", labels="exclusive")
def marked_label_not_ignored(context: ConfigContext) -> Iterator[Diagnostic]:
    """Zero-label reduction writes 255, but the head ignores another label.

    ## What it does
    Looks for training datasets with `reduce_zero_label` (or with a part of the classes of their
    type), beside heads whose `ignore_index` is not 255.

    ## Why is this bad?
    `LoadAnnotations` turns label 0 into 255 then, and a class that is left out too, whatever
    `ignore_index` is. The head has no such channel and does not ignore it: `Target 255 is out of
    bounds`, on a GPU `device-side assert triggered`.

    ## Example
    ```python
    model = dict(decode_head=dict(ignore_index=254))
    train_dataloader = dict(dataset=dict(reduce_zero_label=True, ignore_index=254))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(ignore_index=255))
    train_dataloader = dict(dataset=dict(reduce_zero_label=True, ignore_index=255))
    ```

    ## Fix safety
    There is no fix: label files may hold the other label too, and only one can be ignored.

    ## References
    `LoadAnnotations` and `BaseSegDataset.get_label_map` of mmsegmentation 1.2.2.
    """
    marking = next((d for d in context.document.datasets if _marks_255(d)), None)
    if marking is None or context.labels.ignore_index == DEFAULT_IGNORE:
        return
    for head in context.document.class_heads:
        label = head.config.get("ignore_index", DEFAULT_IGNORE)
        if label not in (None, DEFAULT_IGNORE) and not is_class(context, label):
            yield finding(
                (*head.key, "ignore_index"),
                label,
                f"loading labels of the {marking.role} dataset marks ignored pixels with",
                DEFAULT_IGNORE,
                then="ignore 255, and mark other ignored pixels with it in the label files",
            )


def _marks_255(dataset: Dataset) -> bool:
    named = isinstance(dataset.classes, (list, tuple))
    part = named and set(dataset.classes) < set(dataset.own_classes)
    return dataset.split == "train" and (bool(dataset.reduce_zero_label) or part)
