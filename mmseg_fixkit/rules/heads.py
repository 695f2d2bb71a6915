"""Family 1: what the model predicts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.nodes import Head
from mmseg_fixkit.config.tree import lookup, walk
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, KeyPath, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.rules.channels import one_sigmoid_edits, two_channel_edits


@rule("MSF101", "head-class-count", labels="exclusive")
def head_class_count(context: ConfigContext) -> Iterator[Diagnostic]:
    """A head has another number of classes than the label space.

    ## What it does
    Compares `num_classes` of every decode and auxiliary head, in lists and nested heads too,
    with the number of classes. A head that leaves it out has the host's default (150 in
    `MaskFormerHead` and `KernelUpdateHead`). Heads that predict something else are left alone:
    STDC's boundary head has two classes of its own. Of types that MMSegmentation does not have,
    what their dict shows is compared: `num_classes` or a like name, and `num_things_classes` plus
    `num_stuff_classes`, of which things then stand for all classes. A patch gives such a head
    `num_classes` where it shows no count at all.

    ## Why is this bad?
    With too few classes, training stops at the first label that has no channel: `Target 7 is out
    of bounds`, on a GPU `device-side assert triggered`. With too many it runs, and the channels
    that no label ever trains compete with the real ones; nothing in MMSegmentation 1.x compares
    the two numbers.

    ## Example
    ```python
    model = dict(decode_head=dict(num_classes=19))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(num_classes=2))
    ```

    ## Fix safety
    Safe: a head with another class count cannot learn these classes. `num_classes=1` with a sigmoid
    does learn two: it gets `out_channels=1` too, and stays what it was.

    ## References
    mmsegmentation issues 1491, 2663 and 1859; mmcv issue 1453.
    """
    expected = context.num_classes
    if expected == 1:
        return  # MSF108
    for head in context.document.class_heads:
        if not head.spec.owns_num_classes or written_class_counts(head) == {expected}:
            continue
        if None in written_class_counts(head) and not needs_class_count(context, head):
            continue
        edits = [*count_edits(head, expected), *one_sigmoid_edits(context, head)]
        key = edits[0].key
        yield finding(
            key,
            head.config.get(str(key[-1]), head.num_classes),
            context.expected_by,
            expected,
            shown=f"{expected} classes",
            edits=edits,
            title=f"Set {key[-1]} of {head.type} to {expected}",
        )


def written_class_counts(head: Head) -> set[Optional[int]]:
    """Every class count that the head's dict shows; one, if it is sound."""
    sums = host.THINGS in head.count_keys and host.panoptic_count(head.config)
    return {head.num_classes, sums} if sums else {head.num_classes}


def needs_class_count(context: ConfigContext, head: Head) -> bool:
    """Whether a head that shows no count has one: an unknown type may well take none."""
    return head.known or (context.labels_given and head.placed)


def count_edits(head: Head, expected: int) -> list[Edit]:
    """Return what sets the class count of a head."""
    values = {host.STUFF: 0}
    edits = [Edit((*head.key, name), values.get(name, expected)) for name in head.count_keys]
    return [edit for edit in edits if head.config.get(str(edit.key[-1])) != edit.value]


@rule("MSF104", "out-channels-mismatch", labels="exclusive")
def out_channels_mismatch(context: ConfigContext) -> Iterator[Diagnostic]:
    """A per-pixel head has an `out_channels` that fits no set-up.

    ## What it does
    Looks at `out_channels` of per-pixel heads. It may be the class count, or 1 for two classes
    distinguished by one sigmoid channel. In `Mask2FormerHead` and `MaskFormerHead` the same key is
    the width of the mask embedding and has nothing to do with classes.

    ## Why is this bad?
    MMSegmentation refuses any other number when the model is built, but takes 1 silently for any
    number of classes: such a head can only ever answer 0 or 1.

    ## Example
    ```python
    model = dict(decode_head=dict(out_channels=3))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(out_channels=2))
    ```

    ## Fix safety
    Safe: the model could not be built, or training stops at the first pixel of class 2. A head that
    had one channel gets a softmax over all classes, and its losses with it.

    ## References
    `BaseDecodeHead.__init__` of mmsegmentation 1.2.2; mmsegmentation pull request 2016.
    """
    if context.num_classes == 1:
        return  # MSF108
    allowed: set[object] = {None, context.num_classes}
    if context.num_classes == 2:
        allowed.add(1)
    for head in context.document.class_heads:
        found = head.config.get("out_channels")
        if head.spec.channels_follow_classes and found not in allowed:
            yield _out_channels_finding(context, head, found)


@rule("MSF106", "text-vocabulary")
def text_vocabulary(context: ConfigContext) -> Iterator[Diagnostic]:
    """A text-based head looks for other words than the class names.

    ## What it does
    Compares the `vocabulary` of the text encoder beside a text head (SAN) with the class names.
    In `mmseg-fix patch` with classes of your own, a `dataset_name` is replaced by them, and so is
    any list in the model that is exactly the old class names, as models of other projects have it.

    ## Why is this bad?
    Such a head has no layer of the size of the classes: what it distinguishes is in the words. With
    `dataset_name` left at the old dataset it still looks for that one's classes, and nothing
    fails. The text encoder takes a `dataset_name` or a `vocabulary`, not both.

    ## Example
    ```python
    model = dict(
        type='MultimodalEncoderDecoder',
        text_encoder=dict(type='CLIPTextEncoder', dataset_name=None, vocabulary=['cat', 'dog']),
        decode_head=dict(_delete_=True, type='SideAdapterCLIPHead', num_classes=2))
    ```

    ## Use instead
    ```python
    model = dict(
        type='MultimodalEncoderDecoder',
        text_encoder=dict(type='CLIPTextEncoder', dataset_name=None, vocabulary=['soil', 'weed']),
        decode_head=dict(_delete_=True, type='SideAdapterCLIPHead', num_classes=2))
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
            context.expected_by,
            expected,
            shown=f"the classes {expected}",
            edits=edits,
            title="Let the text encoder look for the class names",
        )
    for key, words in _lists_of_old_names(context):
        names = type(words)(expected)
        yield finding(
            key,
            words,
            context.expected_by,
            names,
            shown=f"the classes {expected}",
            edits=[Edit(key, names)],
            title="Give the model the class names",
        )


def _lists_of_old_names(context: ConfigContext) -> Iterator[tuple[KeyPath, Any]]:
    """The class names of the training dataset written out in the model."""
    train = next(
        (d for d in context.document.datasets if isinstance(d.classes, (list, tuple))), None
    )
    old = list(train.classes) if train else []
    if not context.labels_given or not old or old == list(context.labels.classes):
        return
    reported = {(*key, "vocabulary") for key, _ in _text_encoders(context)}
    for key, value in walk(context.document.tree.get("model"), ("model",)):
        if isinstance(value, (list, tuple)) and list(value) == old and key not in reported:
            yield key, value


def _text_encoders(context: ConfigContext) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """The text encoders that stand beside a text head."""
    for head in context.document.class_heads:
        if head.spec.kind is HeadKind.TEXT:
            key = (*head.key[:-1], "text_encoder")
            encoder = lookup(context.document.tree, key)
            if isinstance(encoder, dict):
                yield key, encoder


def _out_channels_finding(context: ConfigContext, head: Head, found: object) -> Diagnostic:
    key = (*head.key, "out_channels")
    return finding(
        key,
        found,
        context.expected_by,
        context.num_classes,
        shown=counted(context.num_classes, "class"),
        edits=two_channel_edits(context.document, head)
        if found == 1
        else [Edit(key, kind=EditKind.REMOVE)],
        title="Drop out_channels, so that it follows num_classes",
    )
