"""Family 1: class weights in a form that the loss cannot use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, Severity, finding
from mmseg_fixkit.host import (
    FILE_READING_LOSSES,
    STOPPING_LOSSES,
    UNWEIGHTED_LOSSES,
    WEIGHTED_LOSSES,
    HeadKind,
)
from mmseg_fixkit.parts import Loss
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.class_weight import (
    as_loss_expects,
    is_per_channel,
    losses_with_weights,
    old_classes,
    refuses_weights,
    replaces_weights,
    resized_weights,
    weight_length,
    weights_by_name,
)
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.rules.metainfo import metainfo_edits


@rule("MSF115", "class-weight-file")
def class_weight_file(context: Context) -> Iterator[Diagnostic]:
    """A loss names a file of class weights that cannot be used.

    ## What it does
    Opens every file that a `class_weight` names, as the loss would: `.npy`, `.json`, `.yaml` and
    `.yml`, from the folder the command runs in. Says so where the file is not there, cannot be
    read or holds something else than a list of numbers, and where the loss takes no file at all:
    `FocalLoss`, `OhemCrossEntropy`, the losses of mmdet, and any loss of a query head. A pickle
    (`.pkl`) is never opened, as that can run code; a note says that its length is not known.

    ## Why is this bad?
    The documentation of `OhemCrossEntropy` promises a file, but its first batch ends in `new():
    invalid data type 'str'`; `FocalLoss` stops with `class_weight must be None or of type list`.
    A relative path is looked up where training starts, not beside the config.

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


def _file_finding(context: Context, loss: Loss, who: str, shown: str) -> Diagnostic:
    key = (*loss.key, "class_weight")
    numbers = resized_weights(context, loss) if loss.weights is not None else None
    missing = loss.file is not None and loss.file.missing and "not a file" not in shown
    return finding(
        key,
        loss.class_weight,
        who,
        numbers,
        shown=shown,
        then="" if numbers else "write the numbers into the config",
        edits=[Edit(key, numbers)] if numbers else [],
        title=f"Write class_weight of {loss.type} into the config",
        severity=Severity.WARNING if missing else Severity.ERROR,
    )


@rule("MSF116", "class-weight-not-taken")
def class_weight_not_taken(context: Context) -> Iterator[Diagnostic]:
    """A loss has class weights in a form that it cannot take.

    ## What it does
    Looks for `class_weight` in losses that have no such argument (`DiceLoss`, `BoundaryLoss`), in
    `HuasdorffDisstanceLoss`, in `FocalLoss` as a tuple, and as a flat list in a
    `CrossEntropyLoss` with `use_sigmoid=True`.

    ## Why is this bad?
    The first cannot be built. `HuasdorffDisstanceLoss` has the argument, but asserts that the
    weights have as many dimensions as there are classes, which no list has. `FocalLoss` asserts a
    list. With `use_sigmoid` the weights are spread along the width of the picture: `The size of
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
            if "class_weight" in loss.config and loss.of_host:
                yield from _form_findings(context, loss)


def _form_findings(context: Context, loss: Loss) -> Iterator[Diagnostic]:
    key, found, kind = (*loss.key, "class_weight"), loss.class_weight, loss.type
    if kind in UNWEIGHTED_LOSSES:
        drop = Edit(key, kind=EditKind.REMOVE)
        yield _form_finding(loss, f"{kind} has", "no such argument", drop)
    elif kind in STOPPING_LOSSES and found is not None:
        shown = "that they have a dimension for each class, which no list has"
        yield _form_finding(loss, f"{kind} asserts", shown, Edit(key, None))
    elif kind == "FocalLoss" and isinstance(found, tuple):
        keep = Edit(key, resized_weights(context, loss))
        yield _form_finding(loss, f"{kind} asserts", "a list", keep)
    elif is_per_channel(loss) and _is_flat(loss):
        keep = Edit(key, resized_weights(context, loss))
        yield _form_finding(loss, "with use_sigmoid the loss needs", "shape (N, 1, 1)", keep)


def _is_flat(loss: Loss) -> bool:
    if loss.file is not None:
        return loss.weights is not None and loss.file.flat
    return loss.weights is not None and list(loss.class_weight) != as_loss_expects(
        loss, loss.weights
    )


def _form_finding(loss: Loss, who: str, shown: str, edit: Edit) -> Diagnostic:
    return finding(
        edit.key,
        loss.class_weight,
        who,
        edit.value,
        shown=shown,
        edits=[edit],
        title=_title(edit.value),
    )


def _title(value: Any) -> str:
    return "Drop class_weight" if value is None else f"Write class_weight as {value}"


@rule("MSF117", "class-weight-order", requested=True)
def class_weight_order(context: Context) -> Iterator[Diagnostic]:
    """The classes change places, and their weights have to go with them.

    ## What it does
    Speaks only in `mmseg-fix patch` with the old classes in another order. Gives each class the
    weight that it had.

    ## Why is this bad?
    The number of weights is right, so nothing fails: a frequent class would be weighed as a rare
    one.

    ## Example
    `mmseg-fix patch config.py --classes car,road` where the dataset has `('road', 'car')` and a
    loss `class_weight=[0.5, 2.0]`.

    ## Use instead
    `class_weight=[2.0, 0.5]`

    ## Fix safety
    Safe: the weights stay with their classes, whose order you gave.

    ## References
    `torch.nn.functional.cross_entropy`: the weights stand in the order of the labels.
    """
    train = next((d for d in context.document.datasets if d.split == "train"), None)
    if train is None or replaces_weights(context) or not _permuted(context):
        return
    # Both in one fix: the weights must not be moved again once the classes are in their places.
    places = tuple(metainfo_edits(context, train))
    for loss in losses_with_weights(context):
        weights = _moved(context, loss)
        if weights is not None:
            key = (*loss.key, "class_weight")
            yield finding(
                key,
                loss.class_weight,
                "in the order of your classes the weights are",
                weights,
                edits=[Edit(key, weights), *places],
                title=f"Set class_weight of {loss.type} to {weights}",
            )


def _permuted(context: Context) -> bool:
    old, new = old_classes(context), context.labels.classes
    return context.labels_given and old != new and sorted(old) == sorted(new)


def _moved(context: Context, loss: Loss) -> Optional[list[Any]]:
    """Return the weights in the new order; None where that is the old one, or their number odd."""
    weights = loss.weights or []
    if len(weights) != weight_length(loss.head, context.num_classes):
        return None
    tail = weights[context.num_classes :]
    moved = weights_by_name(context, weights[: context.num_classes])
    return as_loss_expects(loss, moved + tail) if moved and moved + tail != weights else None
