"""What class weights a loss takes, and what other ones turn into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import NO_OBJECT_WEIGHT, WEIGHTED_LOSSES, HeadKind
from mmseg_fixkit.config.nodes import Head, Loss
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, finding
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.rules.channels import CROSS_ENTROPY, one_channel, one_weight, weight_fault

#: Head kinds whose class weights end with one for "no object".
WITH_NO_OBJECT = (HeadKind.QUERY, HeadKind.TEXT)


def weight_length(head: Head, num_classes: int) -> int:
    """Return how many class weights a loss of ``head`` takes: N, or N + 1 with "no object"."""
    return num_classes + (head.spec.kind in WITH_NO_OBJECT)


def expected_length_text(head: Head, num_classes: int) -> str:
    """Say what :func:`weight_length` says, in words."""
    if head.spec.kind in WITH_NO_OBJECT:
        return (
            f"{num_classes + 1} entries (N + 1: {num_classes} classes and 'no object', "
            f"as {head.type} is a {head.spec.kind.value} head)"
        )
    return f"{counted(num_classes, 'entry')} (N, as {head.type} is a {head.spec.kind.value} head)"


def takes_single_weight(loss: Loss) -> bool:
    """Whether the loss has one channel to weigh: the classes come as one weight (MSF111)."""
    return one_channel(loss.head) and not loss.wrapped


def as_loss_expects(loss: Loss, weights: Optional[list[float]]) -> Optional[list[Any]]:
    """Return ``weights`` as the loss needs them: ``[[[w]], …]`` for sigmoid channels.

    ``binary_cross_entropy`` of the host passes them as ``pos_weight``, which PyTorch spreads along
    the last axes: a flat list would weigh columns of pixels (mmsegmentation #2723).
    """
    return [[[w]] for w in weights] if weights and is_per_channel(loss) else weights


def is_per_channel(loss: Loss) -> bool:
    """Whether the loss holds a map of sigmoid channels against its weights."""
    sigmoid = loss.type == "CrossEntropyLoss" and loss.config.get("use_sigmoid", False)
    maps = loss.head.spec.kind is HeadKind.PER_PIXEL and loss.key[-1] != "loss_se_decode"
    return bool(sigmoid and loss.of_host and maps and not one_channel(loss.head))


def refuses_weights(loss: Loss) -> bool:
    """Whether the loss stops at any class weights at all."""
    return loss.of_host and loss.type in host.UNWEIGHTED_LOSSES | host.STOPPING_LOSSES


def losses_that_take_weights(document: ConfigDocument) -> Iterator[Loss]:
    """Yield the losses that have class weights or may get some, the default ones too."""
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


# --- weights that a config has ------------------------------------------------------------------


def losses_with_weights(context: ConfigContext) -> Iterator[Loss]:
    """Yield the losses that have class weights: numbers, or the name of a file."""
    for head in context.document.class_heads:
        for loss in context.document.losses(head):
            if isinstance(loss.class_weight, (list, tuple, str)) and not refuses_weights(loss):
                yield loss


def weighted_losses(context: ConfigContext) -> Iterator[Loss]:
    """Yield the losses whose class weights are known as numbers."""
    return (loss for loss in losses_with_weights(context) if loss.weights is not None)


def resized_weights(context: ConfigContext, loss: Loss) -> Optional[list[Any]]:
    """Return known weights as they are where their number is right, else what they turn into."""
    old = loss.weights or []
    fits = len(old) == weight_length(loss.head, context.num_classes)
    fits = fits and not lacks_no_object(context, loss)
    return as_loss_expects(loss, old if fits else _carried(context, loss, old))


def _carried(context: ConfigContext, loss: Loss, old: list[float]) -> Optional[list[float]]:
    """Return the weights that a list of the wrong length turns into."""
    classes, tail = split_no_object(context, loss, old)
    by_name = weights_by_name(context, classes)
    if by_name is not None:
        return by_name + tail
    if classes and all(w == classes[0] for w in classes):
        return [classes[0]] * context.num_classes + tail
    return [1.0] * context.num_classes + tail if tail else None


def split_no_object(
    context: ConfigContext, loss: Loss, old: list[float]
) -> tuple[list[float], list[float]]:
    """Tell the class weights from the one for "no object", which is 0.1 where it is missing."""
    if loss.head.spec.kind not in WITH_NO_OBJECT:
        return old, []
    own = loss.head.num_classes or 0
    # A list as long as the classes lacks the last entry: the fault of mmsegmentation #3811. One
    # that is right for the head as it was does not.
    if len(old) != own + 1 and len(old) in (context.num_classes, own):
        return old, [NO_OBJECT_WEIGHT]
    return old[:-1], old[-1:] or [NO_OBJECT_WEIGHT]


def lacks_no_object(context: ConfigContext, loss: Loss) -> bool:
    """Whether the weights are as many as the old classes, which are one more than the new ones."""
    if loss.head.spec.kind not in WITH_NO_OBJECT or loss.head.num_classes == context.num_classes:
        return False
    return len(loss.weights or ()) == loss.head.num_classes == len(old_classes(context))


def old_classes(context: ConfigContext) -> tuple[str, ...]:
    """Return the classes that the training dataset has now; none where they are not known."""
    found = next((d.classes for d in context.document.datasets if d.split == "train"), None)
    return tuple(found) if isinstance(found, (list, tuple)) else ()


def weights_by_name(context: ConfigContext, weights: list[float]) -> Optional[list[float]]:
    """Return each new class's weight; None where a class is new or the weights fit no classes."""
    table = dict(zip(old_classes(context), weights))
    if len(table) != len(weights) or any(name not in table for name in context.labels.classes):
        return None
    return [table[name] for name in context.labels.classes]


# --- weights that a patch was asked for ---------------------------------------------------------


def replaces_weights(context: ConfigContext) -> bool:
    """Whether all class weights are set to what was asked for, whatever they are now."""
    return context.options.class_weight not in (None, "keep")


def requested_weights(
    context: ConfigContext, loss: Loss, wish: Optional[tuple[float, ...]]
) -> Optional[list[Any]]:
    """Return the weights that a loss gets where ``wish`` was asked for; None stands for "none"."""
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
    losses = tuple(losses_that_take_weights(document))
    if not losses or any(loss.head.spec.kind not in WITH_NO_OBJECT for loss in losses):
        return None
    return float(_no_object(losses[0]))


def checked_class_weight(
    document: ConfigDocument, num_classes: int, weights: Sequence[Any], text: str
) -> tuple[float, ...]:
    """Return the weights asked for, ``text`` in the user's words, as numbers.

    They are N, or N + 1 for a config with only query heads. Raises ``FixkitError``, with the head
    kind, N and N + 1, where an entry is no usable number, their number fits no head, or no loss of
    the config takes class weights.
    """
    losses = tuple(losses_that_take_weights(document))
    heads = [loss.head for loss in losses]
    if not heads:
        raise FixkitError(f"--class-weight {text}: no loss of {document.name} takes class weights")
    needs = "; ".join(dict.fromkeys(_needs(head, num_classes) for head in heads))
    fault = weight_fault(weights)
    if fault:
        raise FixkitError(f"--class-weight {text}: {fault}; {needs}")
    allowed = {num_classes}
    if all(head.spec.kind in WITH_NO_OBJECT for head in heads):
        allowed.add(num_classes + 1)
    if any(takes_single_weight(loss) for loss in losses) and not weights[0]:
        raise FixkitError(
            f"--class-weight {text}: the background has no weight, but one sigmoid channel takes "
            "the weight of the foreground divided by that of the background"
        )
    if len(weights) not in allowed:
        raise FixkitError(f"--class-weight {text} has {len(weights)} entries, but {needs}")
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


# --- findings ------------------------------------------------------------------------------------


def as_written(loss: Loss) -> Any:
    """Return ``class_weight`` as the config has it, for a message."""
    return list(loss.class_weight) if isinstance(loss.class_weight, tuple) else loss.class_weight


def weight_finding(
    loss: Loss, who: str, expected: Optional[list[Any]], *, fixable: bool = True, **more: Any
) -> Diagnostic:
    """Return a finding on ``class_weight`` of a loss, whose fix writes what is expected."""
    key = (*loss.key, "class_weight")
    edits = [Edit(key, expected)] if fixable else []
    title = f"Set class_weight of {loss.type} to {expected}"
    return finding(key, as_written(loss), who, expected, **{"edits": edits, "title": title, **more})
