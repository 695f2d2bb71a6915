"""Family 1: losses that their head calls with more than they take."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.config import host
from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.nodes import Loss
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.rules.channels import one_channel

_OHEM = "OhemCrossEntropy"

#: Arguments of ``OhemCrossEntropy`` that ``CrossEntropyLoss`` does not have.
_OF_OHEM = ("thres", "min_kept", "ignore_label")
#: Its defaults; those of the heads ignore the same label.
_THRESHOLD, _MIN_KEPT, _IGNORE = 0.7, 100_000, 255
_OHEM_INSTEAD = "take CrossEntropyLoss, and sampler=dict(type='OHEMPixelSampler') in the head"


@rule("MSF118", "loss-of-other-heads")
def loss_of_other_heads(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss that its head calls with arguments that it does not take.

    ## What it does
    Looks for `OhemCrossEntropy` and `BoundaryLoss` in per-pixel heads of MMSegmentation other than
    `PIDHead` and `DDRHead`, which were written for them. `OneChannelLoss` may hold
    `OhemCrossEntropy` in any head, if that has no sampler.

    ## Why is this bad?
    Every other head passes `weight` and `ignore_index` to its losses, which these two do not take.
    The first iteration ends in `TypeError: OhemCrossEntropy.forward() got an unexpected keyword
    argument 'weight'`.

    ## Example
    ```python
    model = dict(
        decode_head=dict(loss_decode=dict(type='OhemCrossEntropy', thres=0.9, min_kept=131072)))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            loss_decode=dict(type='CrossEntropyLoss'),
            sampler=dict(type='OHEMPixelSampler', thresh=0.9, min_kept=131072)))
    ```

    ## Fix safety
    Safe: the run could not have started. `OHEMPixelSampler` learns the pixels whose class has a
    probability below `thresh`, at least `min_kept` of them, as the loss would; it counts `min_kept`
    for each image, the loss for the batch. There is a fix where the head has no other loss and no
    sampler, and ignores the label that the loss ignores. There is none for `BoundaryLoss`, which
    needs the edges that only `PIDHead` has.

    ## References
    `BaseDecodeHead.loss_by_feat`, `OhemCrossEntropy` and `OHEMPixelSampler` of mmsegmentation
    1.2.2.
    """
    for head in context.document.class_heads:
        losses = tuple(context.document.losses(head))
        for loss in losses:
            if _takes_too_little(loss) and not _is_replaced(context, loss):
                yield _finding(loss, fixable=len(losses) == 1 and _can_sample(loss))


def _takes_too_little(loss: Loss) -> bool:
    head = loss.head
    hands_over = head.spec.kind is HeadKind.PER_PIXEL and head.known
    held = loss.wrapped and loss.type == _OHEM and not head.config.get("sampler")
    return (
        hands_over
        and head.type not in host.TWO_ARGUMENT_HEADS
        and loss.of_host
        and loss.type in host.TWO_ARGUMENT_LOSSES
        and not held
    )


def _is_replaced(context: ConfigContext, loss: Loss) -> bool:
    """Whether another rule replaces the loss (MSF109, MSF603) or holds it in another."""
    one = one_channel(loss.head) or context.options.binary == "sigmoid"
    return loss.type == _OHEM and not loss.wrapped and (context.labels.multilabel or one)


def _can_sample(loss: Loss) -> bool:
    """Whether ``OHEMPixelSampler`` can pick what the loss would."""
    head, kept = loss.head.config, loss.config.get("min_kept", _MIN_KEPT)
    same = head.get("ignore_index", _IGNORE) == loss.config.get("ignore_label", _IGNORE)
    return same and not loss.wrapped and not head.get("sampler") and kept > 1


def _finding(loss: Loss, *, fixable: bool) -> Diagnostic:
    return finding(
        (*loss.key, "type"),
        loss.config["type"],
        f"{loss.head.type} passes weight and ignore_index to its losses, which this one does not "
        "take:",
        "CrossEntropyLoss",
        shown="it is for PIDHead and DDRHead",
        then=_advice(loss),
        edits=_with_sampler(loss) if fixable and loss.type == _OHEM else (),
        title="Use CrossEntropyLoss with OHEMPixelSampler",
    )


def _advice(loss: Loss) -> str:
    if loss.wrapped:
        return "take out the sampler of the head, or this loss"
    return _OHEM_INSTEAD if loss.type == _OHEM else "take it out"


def _with_sampler(loss: Loss) -> Iterator[Edit]:
    yield Edit((*loss.key, "type"), "CrossEntropyLoss")
    for name in _OF_OHEM:
        if name in loss.config:
            yield Edit((*loss.key, name), kind=EditKind.REMOVE)
    yield Edit((*loss.head.key, "sampler"), _sampler(loss))


def _sampler(loss: Loss) -> dict[str, object]:
    """Return the sampler that picks as the loss would."""
    return {
        "type": "OHEMPixelSampler",
        "thresh": loss.config.get("thres", _THRESHOLD),
        "min_kept": loss.config.get("min_kept", _MIN_KEPT),
    }
