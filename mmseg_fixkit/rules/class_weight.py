"""Family 1: the number, the values and the order of class weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.nodes import Loss
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.rules.channels import CROSS_ENTROPY, weight_fault
from mmseg_fixkit.rules.datasets import metainfo_edits
from mmseg_fixkit.rules.loss_weights import (
    as_loss_expects,
    as_written,
    expected_length_text,
    lacks_no_object,
    losses_that_take_weights,
    losses_with_weights,
    old_classes,
    replaces_weights,
    requested_weights,
    resized_weights,
    takes_single_weight,
    weight_finding,
    weight_length,
    weighted_losses,
    weights_by_name,
)


@rule("MSF102", "class-weight-length", labels="exclusive")
def class_weight_length(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss has another number of class weights than its head has outputs.

    ## What it does
    Counts the entries of every `class_weight` that is written as a list or names a file. A
    per-pixel head takes N of them, a query head (Mask2Former, MaskFormer) and SAN take N + 1: the
    last one weighs "no object" and is 0.1 in all configs of the zoo. A head that MMSegmentation
    does not have is a query head if it shows a softmax `loss_cls` with `num_queries` or with N + 1
    weights.

    ## Why is this bad?
    One entry short in Mask2Former ends in `index out of bounds`, on a GPU in `device-side assert
    triggered`, as soon as a query is matched to no object. In other heads training stops with
    `weight tensor should be defined either for all or no classes`; `LovaszLoss` and `TverskyLoss`
    use the first N of too many and say nothing. The zoo computes the list from a variable of the
    base file, so changing `num_classes` in a child config leaves the old length.

    ## Example
    ```python
    model = dict(
        decode_head=dict(loss_decode=dict(type='TverskyLoss', class_weight=[1.0, 2.0, 4.0])))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(loss_decode=dict(type='TverskyLoss', class_weight=[1.0, 2.0])))
    ```

    ## Fix safety
    Safe: the run could not have started. Weights follow their class by name where the new classes
    are among the old ones; all-equal weights are continued; other weights belong to classes that
    are gone, and are dropped (per-pixel heads) or set to 1 (query heads). An entry for "no object"
    is kept. A file stays as it is; the config holds the numbers then.

    ## References
    mmsegmentation issues 3811 and 3124; `Mask2FormerHead.loss_by_feat` of mmdet 3.3.0.
    """
    if replaces_weights(context):
        return
    kept = context.options.class_weight == "keep"
    for loss in weighted_losses(context):
        weights = loss.weights or []
        length = weight_length(loss.head, context.num_classes)
        fits = len(weights) == length and not lacks_no_object(context, loss)
        if fits or takes_single_weight(loss):
            continue
        shown = expected_length_text(loss.head, context.num_classes)
        yield weight_finding(
            loss,
            f"with {counted(context.num_classes, 'class')} the loss has to have",
            resized_weights(context, loss),
            shown=f"{shown}, and the file has {len(weights)}" if loss.file else shown,
            then="--class-weight keep leaves it so; give the weights instead" if kept else "",
            fixable=not kept,
        )


@rule("MSF103", "class-weight-value", labels="exclusive")
def class_weight_value(context: ConfigContext) -> Iterator[Diagnostic]:
    """A class weight is not a number that can weigh a loss.

    ## What it does
    Looks for entries of `class_weight` that are negative, not finite or not numbers, and for
    lists in which every entry is 0. A file of weights is read too.

    ## Why is this bad?
    A negative weight rewards the wrong answer and the loss runs away; nan spreads into every
    parameter in one step; weights that are all 0 train nothing, silently.

    ## Example
    ```python
    model = dict(
        decode_head=dict(loss_decode=dict(type='TverskyLoss', class_weight=[1.0, -1.0])))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(loss_decode=dict(type='TverskyLoss', class_weight=[1.0, 1.0])))
    ```

    ## Fix safety
    There is no fix: only you know the weight you meant. Give it with `--class-weight`.

    ## References
    `torch.nn.functional.cross_entropy`.
    """
    if replaces_weights(context):
        return
    for loss in weighted_losses(context):
        fault = weight_fault(loss.weights or ())
        if fault:
            yield weight_finding(
                loss,
                "a loss has to have",
                None,
                shown=f"finite weights of 0 or more, not all 0: {fault}",
                then="give the right ones with `mmseg-fix patch --class-weight`",
                fixable=False,
            )


@rule("MSF105", "class-weight-not-as-asked", requested=True, labels="exclusive")
def class_weight_not_as_asked(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss has other class weights than `--class-weight` asks for.

    ## What it does
    Speaks only in `mmseg-fix patch --class-weight`. Compares the class weights of every loss that
    takes them with yours. You give N weights, or a method that computes them from the training
    labels (`mmseg-fix weights`); for a query head the entry for "no object" is added (0.1, or what
    the config has), unless you give it yourself as number N + 1. With `none` the weights are taken
    off, and set to 1 where the head cannot do without. A sigmoid loss on one channel takes one
    weight: that of the foreground divided by that of the background.

    ## Why is this bad?
    It is no fault of the config; it is a change that you asked for.

    ## Example
    With `--class-weight 0.1,1,1` and three classes, `loss_cls.class_weight` of a Mask2Former
    config is to become `[0.1, 1.0, 1.0, 0.1]`.

    ## Use instead
    `mmseg-fix patch config.py --classes a,b,c --class-weight 0.1,1,1`

    ## Fix safety
    Safe, as you asked for it: the weights change what is learned.

    ## References
    mmsegmentation issues 1944 and 60.
    """
    wish = context.options.class_weight
    if not replaces_weights(context):
        return
    for loss in losses_that_take_weights(context.document):
        if _becomes_one_channel(context, loss):
            continue
        expected = requested_weights(context, loss, None if isinstance(wish, str) else wish)
        if as_written(loss) != expected:
            edit = _weight_edit(context.document, loss, expected)
            yield weight_finding(loss, "--class-weight asks for", expected, edits=[edit])


def _becomes_one_channel(context: ConfigContext, loss: Loss) -> bool:
    """Whether ``--binary sigmoid`` is to change the loss first, so that it takes one weight."""
    changes = loss.type == CROSS_ENTROPY and loss.head.spec.kind is HeadKind.PER_PIXEL
    return context.options.binary == "sigmoid" and changes and not takes_single_weight(loss)


def _weight_edit(document: ConfigDocument, loss: Loss, weights: Optional[list[Any]]) -> Edit:
    if lookup(document.tree, loss.key) is None:
        return Edit(loss.key, {**loss.config, "class_weight": weights})
    return Edit((*loss.key, "class_weight"), weights)


@rule("MSF117", "class-weight-order", requested=True, labels="exclusive")
def class_weight_order(context: ConfigContext) -> Iterator[Diagnostic]:
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
            edits = (Edit((*loss.key, "class_weight"), weights), *places)
            who = "in the order of your classes the weights are"
            yield weight_finding(loss, who, weights, edits=edits)


def _permuted(context: ConfigContext) -> bool:
    old, new = old_classes(context), context.labels.classes
    return context.labels_given and old != new and sorted(old) == sorted(new)


def _moved(context: ConfigContext, loss: Loss) -> Optional[list[Any]]:
    """Return the weights in the new order; None where that is the old one, or their number odd."""
    weights = loss.weights or []
    if len(weights) != weight_length(loss.head, context.num_classes):
        return None
    tail = weights[context.num_classes :]
    moved = weights_by_name(context, weights[: context.num_classes])
    return as_loss_expects(loss, moved + tail) if moved and moved + tail != weights else None
