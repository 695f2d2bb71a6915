"""Family 6: losses, their weights and samplers, where labels may overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.multilabel import BACKGROUND, CLASS_LOSSES, LOSS
from mmseg_fixkit.config.nodes import Head, Loss
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, KeyPath, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.rules.channels import decode_losses, sampler_findings, weight_fault
from mmseg_fixkit.rules.loss_weights import as_written, old_classes, replaces_weights
from mmseg_fixkit.rules.multilabel import unfit

#: Where losses on label maps stand; K-Net's are in the head that makes its kernels.
_PLACES = ("decode_head", "auxiliary_head", "kernel_generate_head")


@rule("MSF603", "multilabel-loss", labels="multilabel")
def multilabel_loss(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss takes the label of a pixel for a class index.

    ## What it does
    Speaks of multi-label configs. Finds losses of MMSegmentation on class indices, and heads that
    write no loss, as theirs is a softmax cross-entropy. Cross entropies become the cross entropy of
    `MultiLabelLoss`, `DiceLoss` and `TverskyLoss` its Dice term, `LovaszLoss` its Lovász term;
    `loss_weight` and `loss_name` stay. Class weights follow their label by name. `BoundaryLoss` has
    labels of its own and stays too.

    ## Why is this bad?
    The bits of a label map are no class indices: a pixel with the labels 0 and 2 would be one of
    class 5. Training stops there, or learns something else.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=2.0)))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(loss_decode=dict(type='MultiLabelLoss', loss_weight=2.0)))
    ```

    ## Fix safety
    Safe: `MultiLabelEncoderDecoder` refuses such a loss. Two losses have no term that learns the
    same (`HuasdorffDisstanceLoss`, `KLDivLoss`) and are left to you.

    ## References
    The page on multi-label segmentation in this documentation.
    """
    for head in context.document.class_heads:
        if unfit(head):
            continue
        if _has_default_loss(head):
            yield _loss_finding(context, (*head.key, "loss_decode"), None, {"type": LOSS})
        for loss in decode_losses(context.document, head):
            if loss.type in CLASS_LOSSES:
                yield _loss_finding(context, loss.key, loss.type, as_label_loss(context, loss))


def _has_default_loss(head: Head) -> bool:
    takes = head.known and head.spec.owns_num_classes and bool(head.spec.class_layers)
    return takes and head.placed_in(_PLACES) and "loss_decode" not in head.config


def as_label_loss(context: ConfigContext, loss: Loss) -> Optional[dict[str, Any]]:
    """Return the loss that learns the same of each label; None if there is none."""
    inner = loss.config.get("loss")
    config = inner if isinstance(inner, dict) else loss.config
    known = CLASS_LOSSES.get(type_name(config.get("type", "")))
    if known is None:
        return None
    term, name = known
    found: dict[str, Any] = {"type": LOSS}
    if term != "bce":
        found.update({"bce_weight": 0.0, f"{term}_weight": 1.0, "loss_name": name})
    found.update({key: config[key] for key in ("loss_weight", "loss_name") if key in config})
    weights = weights_for(context, loss.weights)
    return found if weights is None else {**found, "class_weight": weights}


def _loss_finding(
    context: ConfigContext, key: KeyPath, found: Optional[str], new: Optional[dict[str, Any]]
) -> Diagnostic:
    edits = [] if new is None else [Edit(key, new)]
    return finding(
        (*key, "type") if found else key,
        found,
        f"{'it' if found else 'the loss of such a head'} takes a label for a class index, "
        "and a map of label bits needs",
        LOSS,
        then=""
        if new
        else f"no term of {LOSS} learns the same: leave it out, or write a loss of your own",
        edits=edits,
        title=f"Use {LOSS}",
    )


@rule("MSF604", "multilabel-sampler", labels="multilabel")
def multilabel_sampler(context: ConfigContext) -> Iterator[Diagnostic]:
    """A sampler indexes the probabilities of a pixel with its label.

    ## What it does
    Speaks of multi-label configs. Finds `OHEMPixelSampler` with a `thresh`. Without one it keeps
    the pixels of the highest loss, which `MultiLabelLoss` gives it.

    ## Why is this bad?
    The label is a map of bits: as a channel index it is another one, or none: `index out of
    bounds`, on a GPU `device-side assert triggered`.

    ## Example
    ```python
    model = dict(
        decode_head=dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=100000)))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(sampler=None))
    ```

    ## Fix safety
    Safe: the run could not have started. The sampler is removed; all pixels are learned then.

    ## References
    `OHEMPixelSampler.sample` of mmsegmentation 1.2.2.
    """
    who = "it indexes probabilities with the label, which is"
    for head in context.document.class_heads:
        yield from sampler_findings(head, who, "a map of bits here", "Learn all pixels")


@rule("MSF607", "multilabel-class-weight", labels="multilabel")
def multilabel_class_weight(context: ConfigContext) -> Iterator[Diagnostic]:
    """A `MultiLabelLoss` has another number of weights than there are labels.

    ## What it does
    Counts `class_weight` and `pos_weight` of every `MultiLabelLoss`: one weight a label, or one
    more with that of the background first; `pos_weight` may be one number. In `mmseg-fix patch
    --class-weight` it compares `class_weight` with yours.

    ## Why is this bad?
    Training stops at the first batch. Weights that are negative reward the wrong answer.

    ## Example
    ```python
    model = dict(decode_head=dict(loss_decode=dict(class_weight=[1.0, 1.0, 1.0, 2.0])))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(loss_decode=dict(class_weight=[1.0, 2.0])))
    ```

    ## Fix safety
    Safe: the run stops at the first batch, or you asked for it. Weights follow their label by name;
    where they fit no labels they are dropped.

    ## References
    `MultiLabelLoss` of this package.
    """
    for head in context.document.class_heads:
        for loss in decode_losses(context.document, head):
            if loss.type == LOSS:
                yield from (_weight_finding(context, *found) for found in as_weights(context, loss))


def _weight_finding(
    context: ConfigContext, key: KeyPath, found: Any, expected: Any, who: str
) -> Diagnostic:
    shown = None if context.options.class_weight and key[-1] == "class_weight" else (
        f"{counted(context.num_classes, 'label')}: give {context.num_classes} weights of 0 or "
        f"more, or {context.channels} with that of the background first"
    )  # fmt: skip
    return finding(
        key,
        found,
        who,
        expected,
        shown=shown,
        edits=[Edit(key, expected)],
        title=f"Set {key[-1]} to {expected}",
    )


def weights_for(context: ConfigContext, old: Optional[list[Any]]) -> Optional[list[float]]:
    """Return the weights of the labels that a loss gets: those asked for, or old ones by name."""
    if replaces_weights(context):
        return _requested(context)
    if not old or weight_fault(old):
        return None
    return _by_name(context, old)


def _requested(context: ConfigContext) -> Optional[list[float]]:
    """Return the weights that were asked for; None for "none"."""
    wish = context.options.class_weight
    return list(wish) if isinstance(wish, tuple) else None


def _by_name(context: ConfigContext, old: list[float]) -> Optional[list[float]]:
    """Return old weights in the order of the labels; None where one is new or all are the same."""
    names = old_classes(context)
    if len(old) == len(names) + 1:
        names = (BACKGROUND, *names)
    table = dict(zip(names, old))
    wanted = context.labels.classes
    if len(names) != len(old) or any(name not in table for name in wanted):
        return None
    found = [table[name] for name in wanted]
    if BACKGROUND in table:
        found.insert(0, table[BACKGROUND])
    return found if any(weight != 1 for weight in found) else None


def as_weights(context: ConfigContext, loss: Loss) -> Iterator[tuple[KeyPath, Any, Any, str]]:
    """Yield the weights of a ``MultiLabelLoss`` that are not right.

    That is: where they stand, what is there, what belongs there, and who says so.
    """
    key, found = (*loss.key, "class_weight"), loss.class_weight
    if replaces_weights(context):
        wanted = _requested(context)
        if as_written(loss) != wanted:
            yield key, found, wanted, "--class-weight asks for"
    elif not isinstance(found, str) and not _fits(context, found, alone=context.num_classes == 1):
        yield key, found, _moved(context, found), context.expected_by
    more = loss.config.get("pos_weight")
    if not isinstance(more, str) and not _fits(context, more, alone=True):
        yield (*loss.key, "pos_weight"), more, _moved(context, more), context.expected_by


def _moved(context: ConfigContext, weights: Any) -> Optional[list[float]]:
    listed = isinstance(weights, (list, tuple)) and not weight_fault(weights)
    return _by_name(context, list(weights)) if listed else None


def _fits(context: ConfigContext, weights: Any, *, alone: bool) -> bool:
    if weights is None:
        return True
    if not isinstance(weights, (list, tuple)):
        return alone and not weight_fault([weights])
    if weight_fault(weights):
        return False
    old = old_classes(context)
    if context.labels_given and old and old != context.labels.classes:
        return False  # they belong to the labels that the dataset has so far
    return len(weights) in (context.num_classes, context.channels)
