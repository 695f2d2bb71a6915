"""Family 1: what the model predicts."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, finding
from mmseg_fixkit.host import HeadKind
from mmseg_fixkit.load import Head
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context


@rule("MSF101", "head-class-count")
def head_class_count(context: Context) -> Iterator[Diagnostic]:
    """A head has another number of classes than the label space.

    ## What it does
    Compares `num_classes` of every decode and auxiliary head, in lists and nested heads too,
    with the number of classes. A head that leaves it out has the host's default (150 in
    `MaskFormerHead` and `KernelUpdateHead`). Heads that predict something else are left alone:
    STDC's boundary head has two classes of its own.

    ## Why is this bad?
    With too few classes, training stops at the first label that has no channel: `Target 7 is out
    of bounds`, on a GPU `device-side assert triggered`. With too many it runs, and the channels
    that no label ever trains compete with the real ones; nothing in MMSegmentation 1.x compares
    the two numbers.

    ## Example
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=19))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
    ```

    ## Use instead
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
    ```

    ## Fix safety
    Safe: a head with another class count cannot learn these classes.

    ## References
    mmsegmentation issues 1491, 2663 and 1859; mmcv issue 1453.
    """
    expected = context.num_classes
    for head in context.document.class_heads:
        if head.spec.owns_num_classes and head.num_classes != expected:
            key = (*head.key, "num_classes")
            yield finding(
                key,
                head.num_classes,
                context.owner,
                expected,
                shown=f"{expected} classes",
                edits=[Edit(key, expected)],
                title=f"Set num_classes of {head.type} to {expected}",
            )


@rule("MSF104", "out-channels-mismatch")
def out_channels_mismatch(context: Context) -> Iterator[Diagnostic]:
    """A per-pixel head has an `out_channels` that fits no set-up.

    ## What it does
    Looks at `out_channels` of per-pixel heads. It may be the class count, or 1 for two classes
    told apart by one sigmoid channel. In `Mask2FormerHead` and `MaskFormerHead` the same key is
    the width of the mask embedding and has nothing to do with classes.

    ## Why is this bad?
    MMSegmentation refuses any other number when the model is built, but takes 1 silently for any
    number of classes: such a head can only ever answer 0 or 1.

    ## Example
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=3, out_channels=1))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
    ```

    ## Use instead
    ```python
    model = dict(
        type='EncoderDecoder',
        decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
    ```

    ## Fix safety
    Unsafe where a one-channel head becomes a head with a channel a class: the loss changes with
    it. Safe where the model could not be built.

    ## References
    `BaseDecodeHead.__init__` of mmsegmentation 1.2.2; mmsegmentation pull request 2016.
    """
    for head in context.document.class_heads:
        found = head.config.get("out_channels")
        allowed = (
            (None, context.num_classes, 1)
            if context.num_classes == 2
            else (
                None,
                context.num_classes,
            )
        )
        if head.spec.kind is HeadKind.PER_PIXEL and found not in allowed:
            yield _out_channels_finding(context, head, found)


def _out_channels_finding(context: Context, head: Head, found: object) -> Diagnostic:
    key = (*head.key, "out_channels")
    drop = [Edit((*head.key, name), kind=EditKind.REMOVE) for name in ("out_channels", "threshold")]
    return finding(
        key,
        found,
        context.owner,
        context.num_classes,
        shown=f"{context.num_classes} classes",
        edits=[edit for edit in drop if edit.key[-1] in head.config],
        title="Drop out_channels, so that it follows num_classes",
    )
