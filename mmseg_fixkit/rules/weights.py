"""Family 1: class weights that a patch was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Optional

from mmseg_fixkit.diagnostics import Diagnostic, Edit, finding
from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.host import NO_OBJECT_WEIGHT, WEIGHTED_LOSSES, HeadKind
from mmseg_fixkit.parts import Head, Loss
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.channels import CROSS_ENTROPY, one_weight
from mmseg_fixkit.rules.class_weight import (
    WITH_NO_OBJECT,
    as_loss_expects,
    refuses_weights,
    replaces_weights,
    takes_single_weight,
    weight_fault,
    weight_length,
)
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.tree import lookup


@rule("MSF105", "class-weight-not-as-asked", requested=True)
def class_weight_not_as_asked(context: Context) -> Iterator[Diagnostic]:
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
    wish = context.wishes.class_weight
    if not replaces_weights(context):
        return
    for loss in _takes_weights(context.document):
        if _becomes_one_channel(context, loss):
            continue
        expected = _asked(context, loss, None if isinstance(wish, str) else wish)
        found = loss.class_weight
        found = list(found) if isinstance(found, tuple) else found
        if found == expected:
            continue
        key = (*loss.key, "class_weight")
        yield finding(
            key,
            found,
            "--class-weight asks for",
            expected,
            edits=[_weight_edit(context.document, loss, expected)],
            title=f"Set class_weight of {loss.type} to {expected}",
        )


def _weight_edit(document: ConfigDocument, loss: Loss, weights: Optional[list[Any]]) -> Edit:
    if lookup(document.tree, loss.key) is None:
        return Edit(loss.key, {**loss.config, "class_weight": weights})
    return Edit((*loss.key, "class_weight"), weights)


def checked_class_weight(
    document: ConfigDocument, num_classes: int, weights: Sequence[Any], said: str
) -> tuple[float, ...]:
    """Return the weights asked for as numbers.

    Args:
        document: the config whose losses they are for.
        num_classes: N.
        weights: what was given; N entries, or N + 1 for a config with only query heads.
        said: the words of the user, for the message.

    Raises:
        FixkitError: an entry is no usable number, their number fits no head, or no loss of the
            config takes class weights. The message names the head kind, N and N + 1.
    """
    heads = [loss.head for loss in _takes_weights(document)]
    if not heads:
        raise FixkitError(f"--class-weight {said}: no loss of {document.name} takes class weights")
    needs = "; ".join(dict.fromkeys(_needs(head, num_classes) for head in heads))
    fault = weight_fault(weights)
    if fault:
        raise FixkitError(f"--class-weight {said}: {fault}; {needs}")
    allowed = {num_classes}
    if all(head.spec.kind in WITH_NO_OBJECT for head in heads):
        allowed.add(num_classes + 1)
    if any(takes_single_weight(loss) for loss in _takes_weights(document)) and not weights[0]:
        raise FixkitError(
            f"--class-weight {said}: the background has no weight, but one sigmoid channel takes "
            "the weight of the foreground divided by that of the background"
        )
    if len(weights) not in allowed:
        raise FixkitError(f"--class-weight {said} has {len(weights)} entries, but {needs}")
    return tuple(float(w) for w in weights)


def _needs(head: Head, num_classes: int) -> str:
    if head.spec.kind in WITH_NO_OBJECT:
        return (
            f"{head.type} is a {head.spec.kind.value} head: give {num_classes} weights (N, one for "
            f"each class) and the one for 'no object' is added, or give all {num_classes + 1} "
            "(N + 1)"
        )
    return (
        f"{head.type} is a {head.spec.kind.value} head: give {num_classes} weights (N, one for "
        "each class; N + 1 is only for query heads)"
    )


def _takes_weights(document: ConfigDocument) -> Iterator[Loss]:
    for head in document.class_heads:
        for loss in (*document.losses(head), *_default_loss(head)):
            wanted = loss.class_weight is not None or _may_have_weights(loss)
            if wanted and not refuses_weights(loss):
                yield loss


def _default_loss(head: Head) -> Iterator[Loss]:
    """Yield the loss of ``BaseDecodeHead`` where none is written."""
    plain = head.known and head.spec.kind is HeadKind.PER_PIXEL and head.spec.class_layers
    if plain and "loss_decode" not in head.config:
        yield Loss((*head.key, "loss_decode"), {"type": "CrossEntropyLoss"}, head)


def _may_have_weights(loss: Loss) -> bool:
    kind = loss.head.spec.kind
    if kind is HeadKind.TEXT:
        return loss.config.get("loss_name") == "loss_cls_ce"
    if kind is HeadKind.QUERY:
        return loss.key[-1] == "loss_cls"
    # With use_sigmoid a list is read as one weight a column of pixels (mmsegmentation #2723).
    sigmoid = loss.config.get("use_sigmoid", False) and loss.type == "CrossEntropyLoss"
    taken = loss.type in WEIGHTED_LOSSES and (loss.of_host or loss.type == "CrossEntropyLoss")
    if takes_single_weight(loss):
        return bool(sigmoid and loss.key[-1] != "loss_se_decode")
    return taken and not sigmoid


def _becomes_one_channel(context: Context, loss: Loss) -> bool:
    """Whether ``--binary sigmoid`` is to change the loss first, so that it takes one weight."""
    changes = loss.type == CROSS_ENTROPY and loss.head.spec.kind is HeadKind.PER_PIXEL
    return context.wishes.binary == "sigmoid" and changes and not takes_single_weight(loss)


def _asked(context: Context, loss: Loss, wish: Optional[tuple[float, ...]]) -> Optional[list[Any]]:
    if takes_single_weight(loss):
        weight = one_weight(wish or ()) if loss.type == CROSS_ENTROPY else None
        return None if weight is None else [weight]
    with_no_object = loss.head.spec.kind in WITH_NO_OBJECT
    if wish is None:
        # mmdet's query heads index their class weights: they cannot be left out.
        return [1.0] * context.num_classes + [NO_OBJECT_WEIGHT] if with_no_object else None
    if not with_no_object or len(wish) > context.num_classes:
        return as_loss_expects(loss, list(wish))
    return [*wish, _no_object(loss)]


def _no_object(loss: Loss) -> Any:
    """Return the weight of "no object": what the loss has, or what the whole zoo has."""
    old = loss.weights or []
    known = len(old) == weight_length(loss.head, loss.head.num_classes or 0)
    return old[-1] if known else NO_OBJECT_WEIGHT


def no_object_weight(document: ConfigDocument) -> Optional[float]:
    """Return the last of N + 1 weights for a config with only query heads; None for others."""
    losses = tuple(_takes_weights(document))
    if not losses or any(loss.head.spec.kind not in WITH_NO_OBJECT for loss in losses):
        return None
    return float(_no_object(losses[0]))
