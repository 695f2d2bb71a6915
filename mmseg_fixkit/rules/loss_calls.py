"""Family 1: losses that their head calls with more than they take."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit import host
from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, finding
from mmseg_fixkit.host import HeadKind
from mmseg_fixkit.parts import Loss
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.rules.losses import one_channel

_OHEM = "OhemCrossEntropy"

#: Arguments of ``OhemCrossEntropy`` that ``CrossEntropyLoss`` does not have.
_OF_OHEM = ("thres", "min_kept", "ignore_label")
_OHEM_INSTEAD = "take CrossEntropyLoss, and sampler=dict(type='OHEMPixelSampler') in the head"


@rule("MSF118", "loss-of-other-heads")
def loss_of_other_heads(context: Context) -> Iterator[Diagnostic]:
    """A loss that its head calls with arguments that it does not take.

    ## What it does
    Looks for `OhemCrossEntropy` and `BoundaryLoss` in per-pixel heads of MMSegmentation other than
    `PIDHead` and `DDRHead`, which were written for them. In `OneChannelLoss` they are at home
    everywhere.

    ## Why is this bad?
    Every other head hands `weight` and `ignore_index` to its losses, which these two do not take.
    The first iteration ends in `TypeError: OhemCrossEntropy.forward() got an unexpected keyword
    argument 'weight'`.

    ## Example
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=3,
            loss_decode=dict(type='OhemCrossEntropy', thres=0.9, min_kept=131072)))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
    ```

    ## Use instead
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=3,
            loss_decode=dict(type='CrossEntropyLoss'),
            sampler=dict(type='OHEMPixelSampler', thresh=0.9, min_kept=131072)))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
    ```

    ## Fix safety
    Safe: the run could not have started. `OHEMPixelSampler` learns the pixels whose class has a
    chance below `thresh`, at least `min_kept` of them, as the loss would; it counts `min_kept` for
    each image, the loss for the batch. There is a fix where the head has no other loss and no
    sampler. There is none for `BoundaryLoss`, which needs the edges that only `PIDHead` has.

    ## References
    `BaseDecodeHead.loss_by_feat`, `OhemCrossEntropy` and `OHEMPixelSampler` of mmsegmentation
    1.2.2.
    """
    for head in context.document.class_heads:
        losses = tuple(context.document.losses(head))
        for loss in losses:
            if _takes_too_little(loss) and not _is_held(context, loss):
                alone = len(losses) == 1 and not head.config.get("sampler")
                yield _finding(loss, fixable=alone)


def _takes_too_little(loss: Loss) -> bool:
    head = loss.head
    calls = head.spec.kind is HeadKind.PER_PIXEL and host.knows_head(head.config["type"])
    return (
        calls
        and head.type not in host.TWO_ARGUMENT_HEADS
        and loss.of_host
        and loss.type in host.TWO_ARGUMENT_LOSSES
    )


def _is_held(context: Context, loss: Loss) -> bool:
    """Whether ``OneChannelLoss`` holds the loss, or another rule replaces it (MSF109, MSF603)."""
    replaced = context.labels.multilabel or context.wishes.binary == "sigmoid"
    return loss.wrapped or replaced or one_channel(loss.head)


def _finding(loss: Loss, *, fixable: bool) -> Diagnostic:
    key, hard = (*loss.key, "type"), loss.type == _OHEM
    return finding(
        key,
        loss.config["type"],
        f"{loss.head.type} hands its losses weight and ignore_index, which this one does not take:",
        "CrossEntropyLoss",
        shown="it is for PIDHead and DDRHead",
        then=_OHEM_INSTEAD if hard else "take it out",
        edits=_with_sampler(loss) if hard and fixable else (),
        title="Use CrossEntropyLoss with OHEMPixelSampler",
    )


def _with_sampler(loss: Loss) -> Iterator[Edit]:
    yield Edit((*loss.key, "type"), "CrossEntropyLoss")
    for name in _OF_OHEM:
        if name in loss.config:
            yield Edit((*loss.key, name), kind=EditKind.REMOVE)
    yield Edit((*loss.head.key, "sampler"), _sampler(loss))


def _sampler(loss: Loss) -> dict[str, object]:
    """Return the sampler that picks as the loss would; its defaults are those of the loss."""
    return {
        "type": "OHEMPixelSampler",
        "thresh": loss.config.get("thres", 0.7),
        "min_kept": loss.config.get("min_kept", 100_000),
    }
