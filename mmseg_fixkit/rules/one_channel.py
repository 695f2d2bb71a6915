"""Family 1: the parts of a head with one channel for two classes."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.nodes import ONE_CHANNEL_LOSS, Head, Loss
from mmseg_fixkit.core.diagnostics import Applicability, Diagnostic, Severity, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.rules.channels import (
    CROSS_ENTROPY,
    DEFAULT_THRESHOLD,
    HOST_THRESHOLD,
    LOSSES,
    OneChannelSupport,
    decode_losses,
    has_one_channel,
    is_threshold,
    loss_edits,
    loss_fault,
    one_channel,
    one_channel_edits,
    sampler_findings,
    threshold_finding,
    two_channel_edits,
    weight_edits,
    why_not_one_channel,
)
from mmseg_fixkit.rules.loss_weights import as_written, replaces_weights


def _one_channel_heads(context: ConfigContext) -> Iterator[Head]:
    """Return the heads with one channel that can have it, where nobody asked for another set-up."""
    return (head for head, reason in _two_class_heads(context) if not reason)


def _two_class_heads(context: ConfigContext) -> Iterator[tuple[Head, str]]:
    """Yield the heads with one channel for two classes, and why they cannot have it."""
    if context.num_classes == 2 and not context.options.binary:
        for head in context.document.class_heads:
            if has_one_channel(head):
                yield head, why_not_one_channel(context.document, head)


@rule("MSF109", "one-channel-loss", labels="exclusive")
def one_channel_loss(context: ConfigContext) -> Iterator[Diagnostic]:
    """A loss cannot teach a head with one channel.

    ## What it does
    Looks at the losses of heads with `out_channels=1` and two classes. `CrossEntropyLoss` needs
    `use_sigmoid=True`; `FocalLoss` always is a sigmoid, and `LovaszLoss` is with
    `loss_type='binary'`. The others want a channel for each class. `OneChannelLoss` of this package
    gives it to them: a channel of zeros for the background beside yours, whose softmax is the
    sigmoid of yours, so that the loss is that of two softmax channels.

    ## Why is this bad?
    A softmax over one channel is 1 everywhere. With labels 0 and 1 the cross entropies stop at the
    first pixel of class 1 (`Target 1 is out of bounds`); with labels 0 and 255 their loss is 0 for
    ever. `TverskyLoss` is 0 with any labels. `DiceLoss` runs and falls, but it takes the one
    channel for class 0, so that the head learns to show the background, against any other loss
    beside it.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss')))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
    ```

    ## Fix safety
    Safe where training stops at the first pixel of class 1. Unsafe for `DiceLoss` and
    `TverskyLoss`, which run; `mmseg-fix patch --binary sigmoid` repairs them.

    ## References
    mmsegmentation issues 2201 and 304; `cross_entropy`, `_expand_onehot_labels_dice` and
    `TverskyLoss` of mmsegmentation 1.2.2.
    """
    for head in _one_channel_heads(context):
        if "loss_decode" not in head.config:
            yield _no_loss_finding(context.document, head)
        for loss in decode_losses(context.document, head):
            fault = loss_fault(loss.type, loss.config)
            if fault is not None:
                yield _loss_finding(context.document, loss, fault)


def _loss_finding(document: ConfigDocument, loss: Loss, fault: OneChannelSupport) -> Diagnostic:
    edits = loss_edits(document, loss)
    whole = any(edit.key == loss.key for edit in edits)
    name = "type" if whole else str(edits[0].key[-1])
    expected = ONE_CHANNEL_LOSS if whole else edits[0].value
    return finding(
        (*loss.key, name),
        loss.config.get(name),
        "with out_channels=1 the loss needs",
        expected,
        shown=f"{expected} around it: {fault.fault}" if whole else f"{expected}: {fault.fault}",
        then="" if fault.stops else "`mmseg-fix patch --binary sigmoid` repairs it",
        edits=edits,
        title=f"Hold {loss.type} in {ONE_CHANNEL_LOSS}" if whole else f"Set {name} of {loss.type}",
        applicability=Applicability.SAFE if fault.stops else Applicability.UNSAFE,
    )


def _no_loss_finding(document: ConfigDocument, head: Head) -> Diagnostic:
    key = (*head.key, "loss_decode")
    edits = [edit for edit in one_channel_edits(document, head) if edit.key == key]
    return finding(
        key,
        None,
        f"with out_channels=1 {head.type} needs",
        edits[0].value,
        shown=f"a sigmoid loss: by default it has another, and {LOSSES[CROSS_ENTROPY].fault}",
        edits=edits,
        title="Write out the default loss, with use_sigmoid",
    )


@rule("MSF110", "one-channel-sampler", labels="exclusive")
def one_channel_sampler(context: ConfigContext) -> Iterator[Diagnostic]:
    """A head with one channel has a sampler that looks for a second one.

    ## What it does
    Finds `OHEMPixelSampler` with a `thresh` in heads with `out_channels=1`. Without `thresh` the
    sampler takes the pixels of the highest loss, which works.

    ## Why is this bad?
    The sampler indexes the softmax with the label of each pixel: `index 1 is out of bounds for
    dimension 1 with size 1`, on a GPU `device-side assert triggered`, in the first batch that has a
    pixel of class 1.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
    ```

    ## Fix safety
    Safe: the run stops at the first pixel of class 1.

    ## References
    mmsegmentation issue 2607; mmdeploy issue 1746.
    """
    for head in _one_channel_heads(context):
        shown = "there is no second channel for it to index"
        yield from sampler_findings(head, "with out_channels=1", shown, "Drop the sampler")


@rule("MSF111", "one-channel-class-weight", labels="exclusive")
def one_channel_class_weight(context: ConfigContext) -> Iterator[Diagnostic]:
    """A sigmoid loss on one channel has a class weight for each class.

    ## What it does
    Counts the entries of `class_weight` in sigmoid losses of heads with `out_channels=1`. There is
    one: the weight of the foreground against the background. In `CrossEntropyLoss` it becomes
    PyTorch's `pos_weight`. In `FocalLoss` it is a factor of the whole loss; the argument that
    weighs the foreground there is `alpha`.

    ## Why is this bad?
    Two entries are spread along the width of the image: `The size of tensor a (2) must match the
    size of tensor b (512)`.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[0.5, 2.0])))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[4.0])))
    ```

    ## Fix safety
    Safe: the run could not have started. Two weights become their ratio, foreground by background;
    what has no ratio is dropped.

    ## References
    mmsegmentation issues 2721 and 2723; `binary_cross_entropy` of mmsegmentation 1.2.2.
    """
    if replaces_weights(context):
        return
    for head in _one_channel_heads(context):
        for loss in decode_losses(context.document, head):
            edits = weight_edits(loss) if loss_fault(loss.type, loss.config) is None else ()
            if edits and loss.type in LOSSES:
                yield finding(
                    edits[0].key,
                    as_written(loss),
                    "one channel has",
                    edits[0].value,
                    shown="one weight, of the foreground against the background",
                    edits=edits,
                    title=f"Set class_weight of {loss.type} to {edits[0].value}",
                )


@rule("MSF112", "one-channel-threshold", labels="exclusive")
def one_channel_threshold(context: ConfigContext) -> Iterator[Diagnostic]:
    """The threshold of a one-channel head is missing, out of range, or stands where it has no use.

    ## What it does
    Looks at `threshold`, above which the sigmoid of the one channel means the foreground. A head
    with one channel should have one between 0 and 1; a head with a channel for each class has no
    use for it.

    ## Why is this bad?
    Where it is left out, MMSegmentation takes 0.3 with a warning: more foreground than the even
    0.5, at which one sigmoid channel decides as two softmax channels do. At 0 or less every pixel
    is foreground, at 1 or more none is.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
    ```

    ## Fix safety
    Safe where it is missing, as the 0.3 that is in force is written out, and where it has no use.
    Unsafe where it is out of range: 0.5 changes what is predicted.

    ## References
    `BaseDecodeHead.__init__` and `BaseSegmentor.postprocess_result` of mmsegmentation 1.2.2.
    """
    for head in _one_channel_heads(context):
        found = head.config.get("threshold")
        if found is None:
            yield threshold_finding(
                head,
                "MMSegmentation takes",
                HOST_THRESHOLD,
                then=f"at {DEFAULT_THRESHOLD} both classes are equally likely",
                title="Write out the threshold that is in force",
                severity=Severity.WARNING,
            )
        elif not is_threshold(found):
            yield threshold_finding(
                head,
                "a sigmoid is",
                DEFAULT_THRESHOLD,
                shown="between 0 and 1, so that every pixel is the same class",
                applicability=Applicability.UNSAFE,
            )
    for head in context.document.class_heads:
        if context.num_classes > 1 and _has_no_use_for_threshold(head):
            yield threshold_finding(
                head,
                f"{head.type} has",
                None,
                shown="a channel for each class, and takes the largest",
                severity=Severity.WARNING,
            )


def _has_no_use_for_threshold(head: Head) -> bool:
    several = head.spec.channels_follow_classes and not one_channel(head) and head.num_classes != 1
    return several and head.known and head.config.get("threshold") is not None


@rule("MSF113", "one-channel-head", labels="exclusive")
def one_channel_head(context: ConfigContext) -> Iterator[Diagnostic]:
    """A head has one channel that cannot work with one.

    ## What it does
    Finds `out_channels=1` in heads that need a channel for each class: PointRend's `PointHead`,
    `SegmenterMaskTransformerHead`, K-Net's, and the heads of a `CascadeEncoderDecoder` (OCRNet,
    PointRend).

    ## Why is this bad?
    `PointHead` stops in training (`selected index k out of range`). The others stop at the first
    prediction: a cascade has no threshold (`'ModuleList' object has no attribute 'threshold'`), nor
    has K-Net's `IterativeDecodeHead`; Segmenter makes two masks all the same, which do not fit the
    one channel of sliding inference.

    ## Example
    ```python
    model = dict(
        decode_head=dict(
            type='SegmenterMaskTransformerHead', in_channels=192, channels=192, num_layers=2,
            num_heads=3, embed_dims=192, out_channels=1, threshold=0.5,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
    ```

    ## Use instead
    ```python
    model = dict(
        decode_head=dict(
            type='SegmenterMaskTransformerHead', in_channels=192, channels=192, num_layers=2,
            num_heads=3, embed_dims=192,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False)))
    ```

    ## Fix safety
    Unsafe, as most of them train up to their first validation: two softmax channels take the place
    of the one. `mmseg-fix patch --binary softmax` makes the change.

    ## References
    `calculate_uncertainty` and `BaseSegmentor.postprocess_result` of mmsegmentation 1.2.2.
    """
    for head, reason in _two_class_heads(context):
        if reason:
            who, _, fault = reason.partition(" ")
            yield finding(
                (*head.key, "out_channels"),
                1,
                who,
                None,
                shown=fault,
                then="`mmseg-fix patch --binary softmax` makes it two channels",
                edits=two_channel_edits(context.document, head),
                title=f"Give {head.type} two channels",
                applicability=Applicability.UNSAFE,
            )
