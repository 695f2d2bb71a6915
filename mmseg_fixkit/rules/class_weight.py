"""Family 1: the class weights of the losses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Optional

from mmseg_fixkit import host
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.diagnostics import Diagnostic, Edit, finding
from mmseg_fixkit.host import NO_OBJECT_WEIGHT, HeadKind
from mmseg_fixkit.parts import Head, Loss
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.rules.guards import import_edits

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


@rule("MSF102", "class-weight-length")
def class_weight_length(context: Context) -> Iterator[Diagnostic]:
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
    kept = context.wishes.class_weight == "keep"
    for loss in weighted_losses(context):
        weights = loss.weights or []
        length = weight_length(loss.head, context.num_classes)
        fits = len(weights) == length and not _lacks_no_object(context, loss)
        if fits or takes_single_weight(loss):
            continue
        key = (*loss.key, "class_weight")
        expected = resized_weights(context, loss)
        shown = expected_length_text(loss.head, context.num_classes)
        yield finding(
            key,
            as_written(loss),
            f"with {context.num_classes} classes the loss has to have",
            expected,
            shown=f"{shown}, and the file has {len(weights)}" if loss.file else shown,
            then="--class-weight keep leaves it so; give the weights instead" if kept else "",
            edits=[] if kept else [Edit(key, expected)],
            title=f"Set class_weight of {loss.type} to {expected}",
        )


@rule("MSF103", "class-weight-value")
def class_weight_value(context: Context) -> Iterator[Diagnostic]:
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
            yield finding(
                (*loss.key, "class_weight"),
                as_written(loss),
                "a loss has to have",
                None,
                shown=f"finite weights of 0 or more, not all 0: {fault}",
                then="give the right ones with `mmseg-fix patch --class-weight`",
            )


@rule("MSF107", "class-weight-on-ignored-pixels")
def class_weight_on_ignored_pixels(context: Context) -> Iterator[Diagnostic]:
    """Class weights in a `CrossEntropyLoss` that dies of the first ignored pixel.

    ## What it does
    Finds `CrossEntropyLoss` with `class_weight` (numbers or a file) in per-pixel heads, where the
    installed MMSegmentation has the fault. mmsegmentation 1.2.2 has it; onedl-mmsegmentation 1.4.2
    only together with `avg_non_ignore=True`.

    ## Why is this bad?
    To take the mean, the loss looks up the weight of every label, of 255 too: `index 255 is out of
    bounds`, on a GPU `device-side assert triggered`. Padding and cropping alone bring such pixels.
    The fork dies of any batch: `too many indices for tensor of dimension 1`.

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
        softmax_goes = takes_single_weight(loss) or context.wishes.binary == "sigmoid"
        if softmax_goes or not _dies_of_ignored_pixels(loss):
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


CLASS_WEIGHTED_CE = "ClassWeightedCrossEntropyLoss"


def _dies_of_ignored_pixels(loss: Loss) -> bool:
    named = loss.type == "CrossEntropyLoss" and loss.of_host
    softmax = not loss.config.get("use_sigmoid") and not loss.config.get("use_mask")
    mean = loss.config.get("reduction", "mean") == "mean"
    dies = host.class_weight_crash_on_ignored(bool(loss.config.get("avg_non_ignore")))
    return dies and named and softmax and mean and loss.head.spec.kind is HeadKind.PER_PIXEL


def weight_fault(weights: Sequence[Any]) -> str:
    """Say what makes ``weights`` useless; empty if nothing does."""
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            return f"{weight!r} is not a number"
        if not math.isfinite(weight) or weight < 0:
            return f"{weight!r} is not a finite number of 0 or more"
    return "every weight is 0, which trains nothing" if weights and not any(weights) else ""


def replaces_weights(context: Context) -> bool:
    """Whether all class weights are set to what was asked for, whatever they are now."""
    return context.wishes.class_weight not in (None, "keep")


def losses_with_weights(context: Context) -> Iterator[Loss]:
    """Yield the losses that have class weights: numbers, or the name of a file."""
    for head in context.document.class_heads:
        for loss in context.document.losses(head):
            if isinstance(loss.class_weight, (list, tuple, str)) and not refuses_weights(loss):
                yield loss


def refuses_weights(loss: Loss) -> bool:
    """Whether the loss stops at any class weights at all."""
    return loss.of_host and loss.type in host.UNWEIGHTED_LOSSES | host.STOPPING_LOSSES


def weighted_losses(context: Context) -> Iterator[Loss]:
    """Yield the losses whose class weights are known as numbers."""
    return (loss for loss in losses_with_weights(context) if loss.weights is not None)


def as_written(loss: Loss) -> Any:
    """Return ``class_weight`` as the config has it, for a message."""
    return list(loss.class_weight) if isinstance(loss.class_weight, tuple) else loss.class_weight


def one_channel(head: Head) -> bool:
    """Whether one sigmoid channel of ``head`` tells two classes apart."""
    return head.spec.kind is HeadKind.PER_PIXEL and head.config.get("out_channels") == 1


def takes_single_weight(loss: Loss) -> bool:
    """Whether the loss has one channel to weigh: the classes come as one weight (MSF111)."""
    return one_channel(loss.head) and not loss.wrapped


def resized_weights(context: Context, loss: Loss) -> Optional[list[Any]]:
    """Return known weights as they are where their number is right, else what they turn into."""
    old = loss.weights or []
    fits = len(old) == weight_length(loss.head, context.num_classes)
    fits = fits and not _lacks_no_object(context, loss)
    return as_loss_expects(loss, old if fits else _carried(context, loss, old))


def as_loss_expects(loss: Loss, weights: Optional[list[float]]) -> Optional[list[Any]]:
    """Return ``weights`` as the loss needs them: ``[[[w]], …]`` for sigmoid channels.

    ``binary_cross_entropy`` of the host hands them over as ``pos_weight``, which PyTorch spreads
    along the last axes: a flat list would weigh columns of pixels (mmsegmentation #2723).
    """
    return [[[w]] for w in weights] if weights and is_per_channel(loss) else weights


def is_per_channel(loss: Loss) -> bool:
    """Whether the loss holds a map of sigmoid channels against its weights."""
    sigmoid = loss.type == "CrossEntropyLoss" and loss.config.get("use_sigmoid", False)
    maps = loss.head.spec.kind is HeadKind.PER_PIXEL and loss.key[-1] != "loss_se_decode"
    return bool(sigmoid and loss.of_host and maps and not one_channel(loss.head))


def _carried(context: Context, loss: Loss, old: list[float]) -> Optional[list[float]]:
    """Return the weights that a list of the wrong length turns into."""
    classes, tail = split_no_object(context, loss, old)
    by_name = weights_by_name(context, classes)
    if by_name is not None:
        return by_name + tail
    if classes and all(w == classes[0] for w in classes):
        return [classes[0]] * context.num_classes + tail
    return [1.0] * context.num_classes + tail if tail else None


def split_no_object(
    context: Context, loss: Loss, old: list[float]
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


def _lacks_no_object(context: Context, loss: Loss) -> bool:
    """Whether the weights are as many as the old classes, which are one more than the new ones."""
    if loss.head.spec.kind not in WITH_NO_OBJECT or loss.head.num_classes == context.num_classes:
        return False
    return len(loss.weights or ()) == loss.head.num_classes == len(old_classes(context))


def old_classes(context: Context) -> tuple[str, ...]:
    """Return the classes that the training dataset has now; none where they are not known."""
    found = next((d.classes for d in context.document.datasets if d.split == "train"), None)
    return tuple(found) if isinstance(found, (list, tuple)) else ()


def weights_by_name(context: Context, weights: list[float]) -> Optional[list[float]]:
    """Return each new class's weight; None where a class is new or the weights fit no classes."""
    table = dict(zip(old_classes(context), weights))
    if len(table) != len(weights) or any(name not in table for name in context.labels.classes):
        return None
    return [table[name] for name in context.labels.classes]
