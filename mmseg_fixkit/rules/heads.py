"""Family 1: what the model predicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, KeyPath, finding
from mmseg_fixkit.document import Head
from mmseg_fixkit.host import HeadKind
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.tree import lookup


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
    allowed: set[object] = {None, context.num_classes}
    if context.num_classes == 2:
        allowed.add(1)
    for head in context.document.class_heads:
        found = head.config.get("out_channels")
        if head.spec.channels_follow_classes and found not in allowed:
            yield _out_channels_finding(context, head, found)


@rule("MSF106", "text-vocabulary")
def text_vocabulary(context: Context) -> Iterator[Diagnostic]:
    """A text-based head looks for other words than the class names.

    ## What it does
    Compares the `vocabulary` of the text encoder beside a text head (SAN) with the class names.
    In `mmseg-fix patch` with classes of your own, a `dataset_name` is replaced by them.

    ## Why is this bad?
    Such a head has no layer of the size of the classes: what it tells apart is in the words. With
    `dataset_name` left at the old data set it goes on looking for that one's classes, and nothing
    fails. The text encoder takes a `dataset_name` or a `vocabulary`, not both.

    ## Example
    ```python
    model = dict(
        type='MultimodalEncoderDecoder',
        text_encoder=dict(type='CLIPTextEncoder', dataset_name=None, vocabulary=['cat', 'dog']),
        decode_head=dict(type='SideAdapterCLIPHead', num_classes=2))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
    ```

    ## Use instead
    ```python
    model = dict(
        type='MultimodalEncoderDecoder',
        text_encoder=dict(type='CLIPTextEncoder', dataset_name=None, vocabulary=['weed', 'crop']),
        decode_head=dict(type='SideAdapterCLIPHead', num_classes=2))
    train_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
    ```

    ## Fix safety
    Safe: a head that looks for other words cannot learn these classes.

    ## References
    `CLIPTextEncoder` of mmsegmentation 1.2.2.
    """
    expected = list(context.labels.classes)
    for key, encoder in _text_encoders(context):
        words, dataset = encoder.get("vocabulary"), encoder.get("dataset_name")
        other = words is not None and list(words) != expected
        if not other and not (context.labels_given and dataset is not None):
            continue
        edits = [Edit((*key, "vocabulary"), expected)]
        if dataset is not None:
            edits.append(Edit((*key, "dataset_name"), None))
        yield finding(
            (*key, "dataset_name" if words is None else "vocabulary"),
            dataset if words is None else list(words),
            context.owner,
            expected,
            shown=f"the classes {expected}",
            edits=edits,
            title="Let the text encoder look for the class names",
        )


def _text_encoders(context: Context) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The text encoders that stand beside a text head."""
    for head in context.document.class_heads:
        if head.spec.kind is HeadKind.TEXT:
            key = (*head.key[:-1], "text_encoder")
            encoder = lookup(context.document.tree, key)
            if isinstance(encoder, dict):
                yield key, encoder


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
