"""Family 1: class weights in a form that the loss cannot use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import (
    FILE_READING_LOSSES,
    STOPPING_LOSSES,
    UNWEIGHTED_LOSSES,
    WEIGHTED_LOSSES,
    HeadKind,
)
from mmseg_fixkit.config.nodes import Loss
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, Severity, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.rules.channels import CLASS_WEIGHTED_CE
from mmseg_fixkit.rules.guards import import_edits
from mmseg_fixkit.rules.loss_weights import (
    as_loss_expects,
    is_per_channel,
    losses_with_weights,
    refuses_weights,
    replaces_weights,
    resized_weights,
    takes_single_weight,
    weight_finding,
)


@rule("MSF107", "class-weight-on-ignored-pixels", labels="exclusive")
def class_weight_on_ignored_pixels(context: ConfigContext) -> Iterator[Diagnostic]:
    """Class weights in a `CrossEntropyLoss` that crashes on the first ignored pixel.

    ## What it does
    Finds `CrossEntropyLoss` with `class_weight` (numbers or a file) in per-pixel heads, where the
    installed MMSegmentation has the fault. mmsegmentation 1.2.2 has it; onedl-mmsegmentation 1.4.2
    only together with `avg_non_ignore=True`.

    ## Why is this bad?
    To take the mean, the loss indexes the weights with every label, with 255 too: `index 255 is out
    of bounds`, on a GPU `device-side assert triggered`. Padding and cropping alone bring such
    pixels. The fork crashes on any batch: `too many indices for tensor of dimension 1`.

    ## Example
    ```python
    model = dict(
        decode_head=dict(loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])))
    ```

    ## Use instead
    ```python
    custom_imports = dict(imports=['mmseg_fixkit'])
    model = dict(
        decode_head=dict(
            loss_decode=dict(type='ClassWeightedCrossEntropyLoss', class_weight=[1.0, 2.0])))
    ```

    ## Fix safety
    Safe: the same loss where no pixel is ignored, and the run stops where one is.

    ## References
    mmsegmentation issues 3568, 3574, 3724, 3492, 3412, 3734 and 3831; pull request 3457.
    """
    for loss in losses_with_weights(context):
        # A softmax over one channel has a fault of its own (MSF109).
        softmax_goes = takes_single_weight(loss) or context.options.binary == "sigmoid"
        if softmax_goes or not _crashes_on_ignored_pixels(loss):
            continue
        key = (*loss.key, "type")
        yield finding(
            key,
            loss.config["type"],
            "with class_weight the installed MMSegmentation stops at the first ignored pixel, "
            "which needs",
            CLASS_WEIGHTED_CE,
            edits=[Edit(key, CLASS_WEIGHTED_CE), *import_edits(context.document)],
            title=f"Use {CLASS_WEIGHTED_CE}",
        )


def _crashes_on_ignored_pixels(loss: Loss) -> bool:
    named = loss.type == "CrossEntropyLoss" and loss.of_host
    softmax = not loss.config.get("use_sigmoid") and not loss.config.get("use_mask")
    mean = loss.config.get("reduction", "mean") == "mean"
    crashes = host.class_weight_crash_on_ignored(bool(loss.config.get("avg_non_ignore")))
    return crashes and named and softmax and mean and loss.head.spec.kind is HeadKind.PER_PIXEL


@rule("MSF115", "class-weight-file", labels="exclusive")
def class_weight_file(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss names a file of class weights that cannot be used.

    ## What it does
    Opens every file that a `class_weight` names, as the loss would: `.npy`, `.json`, `.yaml` and
    `.yml`, from the folder the command runs in. Says so where the file is not there, cannot be
    read or holds something else than a list of numbers, and where the loss takes no file at all:
    `FocalLoss`, `OhemCrossEntropy`, the losses of mmdet, and any loss of a query head. A pickle
    (`.pkl`) is never opened, as that can run code; a note says that its length is not known.

    ## Why is this bad?
    The documentation of `OhemCrossEntropy` promises a file, but its first batch ends in `new():
    invalid data type 'str'`; `FocalLoss` stops with `class_weight must be None or of type list`. A
    relative path counts from the folder in which training starts, not from that of the config.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            loss_decode=dict(type='LovaszLoss', reduction='none', class_weight='weights.txt')))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            loss_decode=dict(type='LovaszLoss', reduction='none', class_weight=[0.5, 1.5])))
    ```

    ## Fix safety
    Safe: where the numbers are known they are written into the config, and the run could not have
    started. Without them there is no fix.

    ## References
    `get_class_weight` of mmsegmentation 1.2.2.
    """
    if replaces_weights(context):
        return
    for loss in losses_with_weights(context):
        file = loss.file
        if file is None or refuses_weights(loss):
            continue
        if _takes_no_file(loss):
            yield _file_finding(context, loss, f"{loss.type} takes", "numbers only, not a file")
        elif file.fault and loss.type in WEIGHTED_LOSSES:
            yield _file_finding(
                context, loss, "the loss has to have", f"a file of numbers: {file.fault}"
            )


def _takes_no_file(loss: Loss) -> bool:
    in_query_head = loss.head.spec.kind is HeadKind.QUERY
    reads = loss.of_host and loss.type in FILE_READING_LOSSES and not in_query_head
    return not reads and (in_query_head or loss.type in WEIGHTED_LOSSES)


def _file_finding(context: ConfigContext, loss: Loss, who: str, shown: str) -> Diagnostic:
    numbers = resized_weights(context, loss) if loss.weights is not None else None
    missing = loss.file is not None and loss.file.missing and "not a file" not in shown
    return weight_finding(
        loss,
        who,
        numbers,
        shown=shown,
        then="" if numbers else "write the numbers into the config",
        fixable=bool(numbers),
        title=f"Write class_weight of {loss.type} into the config",
        severity=Severity.WARNING if missing else Severity.ERROR,
    )


@rule("MSF116", "class-weight-not-taken", labels="exclusive")
def class_weight_not_taken(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss has class weights in a form that it cannot take.

    ## What it does
    Looks for `class_weight` in losses that have no such argument (`DiceLoss`, `BoundaryLoss`), in
    `HuasdorffDisstanceLoss`, in `FocalLoss` as a tuple, and as a flat list in a
    `CrossEntropyLoss` with `use_sigmoid=True`.

    ## Why is this bad?
    The first cannot be built. `HuasdorffDisstanceLoss` has the argument, but asserts that the
    weights have as many dimensions as there are classes, which no list has. `FocalLoss` asserts a
    list. With `use_sigmoid` the weights are spread along the width of the image: `The size of
    tensor a (9) must match the size of tensor b (640) at non-singleton dimension 3`; they have to
    be of shape (N, 1, 1).

    ## Example
    ```python
    model = dict(decode_head=dict(loss_decode=dict(type='DiceLoss', class_weight=[1.0, 2.0])))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(loss_decode=dict(type='DiceLoss')))
    ```

    ## Fix safety
    Safe: the run could not have started. Weights that can be taken in another form are kept.

    ## References
    mmsegmentation issue 2723; `hd_loss`, `FocalLoss` and `binary_cross_entropy` of mmsegmentation
    1.2.2.
    """
    for head in context.document.class_heads:
        for loss in context.document.losses(head):
            fault = _form_fault(loss) if "class_weight" in loss.config and loss.of_host else None
            if fault is not None:
                yield _form_finding(context, loss, *fault)


def _form_fault(loss: Loss) -> Optional[tuple[str, str, bool]]:
    """Say who needs what instead, and whether the weights can be kept; None if they are right."""
    found, kind = loss.class_weight, loss.type
    if kind in UNWEIGHTED_LOSSES:
        return f"{kind} has", "no such argument", False
    if kind in STOPPING_LOSSES and found is not None:
        return (
            f"{kind} asserts",
            "that they have a dimension for each class, which no list has",
            False,
        )
    if kind == "FocalLoss" and isinstance(found, tuple):
        return f"{kind} asserts", "a list", True
    if is_per_channel(loss) and _is_flat(loss):
        return "with use_sigmoid the loss needs", "shape (N, 1, 1)", True
    return None


def _is_flat(loss: Loss) -> bool:
    if loss.file is not None:
        return loss.weights is not None and loss.file.flat
    return loss.weights is not None and list(loss.class_weight) != as_loss_expects(
        loss, loss.weights
    )


def _form_finding(
    context: ConfigContext, loss: Loss, who: str, shown: str, keep: bool
) -> Diagnostic:
    key = (*loss.key, "class_weight")
    weights = resized_weights(context, loss) if keep else None
    drop = EditKind.REMOVE if loss.type in UNWEIGHTED_LOSSES else EditKind.SET
    return finding(
        key,
        loss.class_weight,
        who,
        weights,
        shown=shown,
        edits=[Edit(key, weights, drop)],
        title="Drop class_weight" if weights is None else f"Write class_weight as {weights}",
    )
