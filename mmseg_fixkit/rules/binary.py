"""Family 1: two classes in one sigmoid channel or in two softmax channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.nodes import Head
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, KeyPath, finding
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.rules.channels import (
    LOSSES,
    decode_losses,
    one_channel,
    one_channel_edits,
    two_channel_edits,
    why_not_one_channel,
)

SIGMOID, SOFTMAX = "sigmoid", "softmax"


@rule("MSF108", "single-class", labels="exclusive")
def single_class(context: ConfigContext) -> Iterator[Diagnostic]:
    """There is one class only, so that there is nothing to distinguish it from.

    ## What it does
    Speaks where the training dataset has one class; where its classes are not known, where the
    head has one.

    ## Why is this bad?
    A softmax over one channel is 1 everywhere: training stops at the first pixel of label 1
    (`Target 1 is out of bounds`), and with labels 0 and 255 its loss is 0 for ever. One sigmoid
    channel does train, but `IoUMetric` counts with the classes of the dataset: with one class it
    counts every pixel, background too, as that class. The background is a class as well; the two
    are distinguished by two softmax channels, or by one sigmoid channel (`--binary sigmoid`).

    ## Example
    ```python
    model = dict(decode_head=dict(num_classes=1))
    train_dataloader = dict(dataset=dict(metainfo=dict(classes=('weed',))))
    ```

    ## Use instead
    ```python
    model = dict(decode_head=dict(num_classes=2))
    train_dataloader = dict(dataset=dict(metainfo=dict(classes=('background', 'weed'))))
    ```

    ## Fix safety
    `check --fix` leaves it, as only you know which labels your files hold. `mmseg-fix patch` makes
    the one class two, `background` for label 0 and yours for label 1, and says so.

    ## References
    mmsegmentation issues 304, 493, 1641, 1681, 1688 and 2050; the answer in its pull request 2206.
    """
    if context.num_classes != 1:
        return
    key, found = _where_classes_are(context)
    if isinstance(found, str):
        return  # a missing comma (MSF203), or the name of a file
    (name,) = context.labels.classes
    yield finding(
        key,
        found,
        "a segmentation needs",
        ["background", name],
        shown="two classes or more",
        then=f"`mmseg-fix patch --classes {name}` makes it background (label 0) and {name} "
        "(label 1)",
    )


def _where_classes_are(context: ConfigContext) -> tuple[KeyPath, object]:
    for dataset in context.document.datasets:
        if dataset.classes and not context.labels_given:
            return (*dataset.key, "metainfo", "classes"), dataset.classes
    for head in context.document.class_heads:
        if head.spec.owns_num_classes:
            return (*head.key, "num_classes"), head.num_classes
    return ("model",), 1


@rule("MSF114", "binary-not-as-asked", requested=True, labels="exclusive")
def binary_not_as_asked(context: ConfigContext) -> Iterator[Diagnostic]:
    """A head distinguishes two classes in another way than `--binary` asks for.

    ## What it does
    Speaks only in `mmseg-fix patch --binary`. `sigmoid` makes the set-up with one channel whole, in
    every decode and auxiliary head: `out_channels=1`, `threshold=0.5` where there is none between 0
    and 1, a sigmoid in every loss, no `OHEMPixelSampler` that looks for a second channel, and one
    class weight. Losses that need two channels are held in `OneChannelLoss`. `softmax` takes all
    of that back to a channel for each class.

    ## Why is this bad?
    It is no fault of the config; it is a change that you asked for. Both set-ups learn the same:
    the sigmoid of one channel is the softmax of two whose first is 0.

    ## Example
    With `--binary sigmoid`, `model.decode_head.out_channels` becomes 1 and
    `model.decode_head.loss_decode.use_sigmoid` becomes True.

    ## Use instead
    `mmseg-fix patch config.py --classes background,weed --binary sigmoid`

    ## Fix safety
    Safe, as you asked for it: the channels change what is learned.

    ## References
    mmsegmentation pull requests 2016, 2101 and 2206.
    """
    wish = context.options.binary
    for head in context.document.class_heads if wish else ():
        edits, expected = _requested(context, head)
        if edits:
            key = edits[0].key
            yield finding(
                key,
                lookup(context.document.tree, key),
                f"--binary {wish} asks for",
                expected,
                shown=expected,
                edits=edits,
                title=f"Give {head.type} {expected}",
            )


def _requested(context: ConfigContext, head: Head) -> tuple[tuple[Edit, ...], str]:
    if not head.spec.channels_follow_classes:
        return (), ""
    if context.options.binary == SIGMOID:
        asked = context.options.class_weight
        weights = asked if isinstance(asked, tuple) else None
        return one_channel_edits(context.document, head, weights), "one sigmoid channel"
    edits = two_channel_edits(context.document, head) if one_channel(head) else ()
    return edits, "two softmax channels"


def checked_binary(document: ConfigDocument, labels: LabelSpace, wish: str) -> Optional[str]:
    """Return what was asked for, ``'sigmoid'`` or ``'softmax'``, once it is known to be possible.

    Raises ``FixkitError`` for another word, other than two classes, or a head or a loss of the
    config that cannot have one channel.
    """
    if wish not in (SIGMOID, SOFTMAX):
        raise FixkitError(f"--binary is {wish!r}, but it has to be {SIGMOID} or {SOFTMAX}")
    if labels.num_classes != 2:
        names = ", ".join(labels.classes[:4]) + (", …" if labels.num_classes > 4 else "")
        raise FixkitError(
            f"--binary {wish} is for two classes, but there are {labels.num_classes} ({names}); "
            "give two with --classes, or leave --binary out"
        )
    for head in document.class_heads if wish == SIGMOID else ():
        _check_head(document, head)
    return wish


def _check_head(document: ConfigDocument, head: Head) -> None:
    reason = why_not_one_channel(document, head)
    if reason:
        raise FixkitError(
            f"--binary sigmoid: {reason}, so {document.name} cannot have one channel; leave "
            "--binary out, as two channels distinguish two classes just as well"
        )
    if not head.spec.channels_follow_classes:
        raise FixkitError(
            f"--binary sigmoid: how {head.type} follows out_channels is not known here; leave "
            "--binary out, or set the config up by hand"
        )
    for loss in decode_losses(document, head):
        if loss.type not in LOSSES:
            raise FixkitError(
                f"--binary sigmoid: what {loss.type} does with one channel is not known here; "
                "leave --binary out, or use a loss of MMSegmentation"
            )
