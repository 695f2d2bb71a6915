"""Two classes in one sigmoid channel or in two softmax channels: what heads and losses allow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import HeadKind, type_name
from mmseg_fixkit.config.nodes import ONE_CHANNEL_LOSS, Head, Loss, is_step
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, finding
from mmseg_fixkit.rules.guards import import_edits

#: Where both classes are equally likely, as for the arg-max over two softmax channels.
DEFAULT_THRESHOLD = 0.5

#: What the host takes where ``threshold`` is left out.
HOST_THRESHOLD = 0.3

CROSS_ENTROPY = "CrossEntropyLoss"

#: Ours, which takes ignored pixels beside class weights.
CLASS_WEIGHTED_CE = "ClassWeightedCrossEntropyLoss"
_CASCADE = "CascadeEncoderDecoder"


@dataclass(frozen=True)
class OneChannelSupport:
    """What a loss does with the one channel of a head."""

    fault: str = ""  # what is wrong with it; empty if nothing is
    stops: bool = True  # whether training stops there, at the first pixel of class 1
    form: Optional[tuple[str, Any]] = None  # the argument that makes it right, and its value
    inside: Mapping[str, Any] = field(default_factory=dict)  # arguments inside OneChannelLoss


_SOFTMAX = "its softmax over one channel stops at the first pixel of class 1, and is 0 before it"

#: Measured on mmsegmentation 1.2.2 and onedl-mmsegmentation 1.4.2; ``FocalLoss`` read, as it runs
#: on a GPU only.
LOSSES: dict[str, OneChannelSupport] = {
    "BoundaryLoss": OneChannelSupport(),
    CROSS_ENTROPY: OneChannelSupport(_SOFTMAX, form=("use_sigmoid", True)),
    CLASS_WEIGHTED_CE: OneChannelSupport(_SOFTMAX),
    "DiceLoss": OneChannelSupport(
        "it takes the one channel for class 0 and teaches the head to show the background",
        stops=False,
        inside={"use_sigmoid": False},
    ),
    "FocalLoss": OneChannelSupport(),
    "HuasdorffDisstanceLoss": OneChannelSupport("it leaves the first channel out, and stops"),
    "LovaszLoss": OneChannelSupport(
        "its softmax needs two channels, and stops", form=("loss_type", "binary")
    ),
    "OhemCrossEntropy": OneChannelSupport(_SOFTMAX),
    "TverskyLoss": OneChannelSupport(
        "its softmax over one channel is always 1, which trains nothing", stops=False
    ),
    ONE_CHANNEL_LOSS: OneChannelSupport(),
}

#: Kinds of heads that have no channel for each class.
_KINDS = {
    HeadKind.QUERY: "scores masks for each class and 'no object'",
    HeadKind.TEXT: "compares masks with the words for the classes",
}


def one_channel(head: Head) -> bool:
    """Whether one sigmoid channel of ``head`` distinguishes two classes."""
    return head.spec.kind is HeadKind.PER_PIXEL and head.config.get("out_channels") == 1


def has_one_channel(head: Head) -> bool:
    """Whether ``out_channels=1`` is written in a head in which it is a count."""
    return one_channel(head) and head.spec.channels_follow_classes


def why_not_one_channel(document: ConfigDocument, head: Head) -> str:
    """Say why ``head`` cannot have one channel; empty if it can."""
    for outer in document.heads:
        if head.key[: len(outer.key)] == outer.key:
            fault = _KINDS.get(outer.spec.kind) or outer.spec.one_channel_fault
            if fault:
                return f"{outer.type} {fault}"
    segmentor = type_name(lookup(document.tree, ("model", "type"), ""))
    if segmentor == _CASCADE and head.key[1:2] == ("decode_head",):
        return f"{_CASCADE} has no threshold, and stops at the first prediction"
    return ""


def decode_losses(document: ConfigDocument, head: Head) -> Iterator[Loss]:
    """Yield the losses of the head's channels, without what ``OneChannelLoss`` holds."""
    for loss in document.losses(head):
        if loss.key[len(head.key)] == "loss_decode" and not loss.wrapped:
            yield loss


def loss_fault(kind: str, arguments: Mapping[str, Any]) -> Optional[OneChannelSupport]:
    """Return what is wrong with a loss on one channel; None if nothing is known to be."""
    entry = LOSSES.get(kind)
    if entry is None or not entry.fault:
        return None
    right = entry.form is not None and arguments.get(entry.form[0]) == entry.form[1]
    return None if right else entry


def weight_fault(weights: Sequence[Any]) -> str:
    """Say what makes ``weights`` useless; empty if nothing does."""
    for weight in weights:
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            return f"{weight!r} is not a number"
        if not math.isfinite(weight) or weight < 0:
            return f"{weight!r} is not a finite number of 0 or more"
    return "every weight is 0, which trains nothing" if weights and not any(weights) else ""


def one_weight(weights: Sequence[Any]) -> Optional[float]:
    """Return the weight of the foreground against the background; None if there is none.

    ``binary_cross_entropy`` of the host passes ``class_weight`` to PyTorch as ``pos_weight``: a
    factor for the pixels of class 1.
    """
    if len(weights) != 2 or weight_fault(weights) or not weights[0]:
        return None
    return float(weights[1] / weights[0])


def one_channel_edits(
    document: ConfigDocument, head: Head, weights: Optional[Sequence[float]] = None
) -> tuple[Edit, ...]:
    """Return what makes ``head`` a whole one-channel head; nothing if it is one.

    ``weights`` are class weights that were asked for, of background and foreground.
    """
    config, found = head.config, []
    if config.get("out_channels") != 1:
        found.append(Edit((*head.key, "out_channels"), 1))
    if not is_threshold(config.get("threshold")):
        found.append(Edit((*head.key, "threshold"), DEFAULT_THRESHOLD))
    if samples_by_label(head):
        found.append(Edit((*head.key, "sampler"), kind=EditKind.REMOVE))
    if "loss_decode" not in config:
        default = {"type": CROSS_ENTROPY, "use_sigmoid": True, "loss_weight": 1.0}
        found.append(Edit((*head.key, "loss_decode"), default))
    for loss in decode_losses(document, head):
        found += loss_edits(document, loss, weights)
    return tuple(found)


def two_channel_edits(document: ConfigDocument, head: Head) -> tuple[Edit, ...]:
    """Return what turns a one-channel ``head`` into one with a softmax channel a class."""
    written = (name for name in ("out_channels", "threshold") if name in head.config)
    found = [Edit((*head.key, name), kind=EditKind.REMOVE) for name in written]
    for loss in decode_losses(document, head):
        found += _changes(loss, _softmax_form(loss))
    return tuple(found)


def one_sigmoid_edits(context: ConfigContext, head: Head) -> tuple[Edit, ...]:
    """Return what keeps the one sigmoid channel that ``num_classes=1`` gave a head of two classes.

    MMSegmentation's documentation of ``threshold`` speaks of that set-up; it trains.
    """
    one = head.config.get("num_classes") == 1 and context.num_classes == 2
    follows = head.spec.channels_follow_classes and "out_channels" not in head.config
    losses = tuple(decode_losses(context.document, head)) if one and follows else ()
    sigmoid = any(loss.config.get("use_sigmoid") for loss in losses)
    return (Edit((*head.key, "out_channels"), 1),) if sigmoid else ()


def is_threshold(value: Any) -> bool:
    """Whether a sigmoid can be on both sides of ``value``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < 1


def samples_by_label(head: Head) -> bool:
    """Whether the head has a sampler that indexes the softmax with each label.

    Without ``thresh``, ``OHEMPixelSampler`` takes the pixels of the highest loss, which always
    works.
    """
    sampler: Any = head.config.get("sampler")
    return is_step(sampler, "OHEMPixelSampler") and sampler.get("thresh") is not None


def sampler_findings(head: Head, who: str, shown: str, title: str) -> Iterator[Diagnostic]:
    """Yield a finding on the sampler of a head if it indexes channels that are not there."""
    key = (*head.key, "sampler")
    if samples_by_label(head):
        drop = [Edit(key, kind=EditKind.REMOVE)]
        yield finding(key, head.config["sampler"], who, None, shown=shown, edits=drop, title=title)


def threshold_finding(head: Head, who: str, expected: Optional[float], **words: Any) -> Diagnostic:
    """Return a finding on the threshold of a head: set to what is expected, or dropped."""
    key = (*head.key, "threshold")
    edit = Edit(key, expected, EditKind.REMOVE if expected is None else EditKind.SET)
    words.setdefault(
        "title", "Drop threshold" if expected is None else f"Set threshold to {expected}"
    )
    return finding(key, head.config.get("threshold"), who, expected, edits=[edit], **words)


def loss_edits(
    document: ConfigDocument, loss: Loss, weights: Optional[Sequence[float]] = None
) -> tuple[Edit, ...]:
    """Return what makes a loss right for one channel; nothing if it is, or is not known."""
    fault = loss_fault(loss.type, loss.config)
    if fault is None:
        return weight_edits(loss) if one_channel(loss.head) else ()
    edits = _changes(loss, _one_channel_form(_weighed(loss, weights), fault))
    wrapped = any(edit.key == loss.key for edit in edits)
    return (*edits, *import_edits(document)) if wrapped else edits


def _weighed(loss: Loss, weights: Optional[Sequence[float]]) -> Loss:
    if weights is None or loss.type != CROSS_ENTROPY:
        return loss
    return replace(loss, config={**loss.config, "class_weight": list(weights)}, file=None)


def weight_edits(loss: Loss) -> tuple[Edit, ...]:
    """Return what makes the class weights of a sigmoid loss one weight; nothing if they are."""
    weights = loss.weights
    if weights is None or len(weights) == 1:
        return ()
    weight = one_weight(weights) if loss.type == CROSS_ENTROPY else None
    return (Edit((*loss.key, "class_weight"), None if weight is None else [weight]),)


def _one_channel_form(loss: Loss, fault: OneChannelSupport) -> dict[str, Any]:
    config, weights = loss.config, loss.weights or []
    if loss.type != CROSS_ENTROPY:
        return {"type": ONE_CHANNEL_LOSS, "loss": {**config, **fault.inside}}
    sigmoid = {**config, "use_sigmoid": True}
    # Weights of another number of classes are for the rules on weights, which come first.
    if loss.class_weight is None or len(weights) not in (0, 2):
        return sigmoid
    weight = one_weight(weights)
    if weight is not None:
        return {**sigmoid, "class_weight": [weight]}
    # A file, or no weight for the background: only the loss of two channels can have them.
    return {"type": ONE_CHANNEL_LOSS, "loss": {**config, "type": CLASS_WEIGHTED_CE}}


def _softmax_form(loss: Loss) -> dict[str, Any]:
    config = loss.config
    if loss.type == ONE_CHANNEL_LOSS:
        return dict(config.get("loss") or config)
    if loss.type == "LovaszLoss" and config.get("loss_type") == "binary":
        return {**config, "loss_type": "multi_class"}
    if loss.type != CROSS_ENTROPY or not config.get("use_sigmoid"):
        return config
    weights = loss.weights
    pair = {"class_weight": [1.0, *weights]} if weights and len(weights) == 1 else {}
    return {**config, "use_sigmoid": False, **pair}


def _changes(loss: Loss, new: dict[str, Any]) -> tuple[Edit, ...]:
    """Return the edits from the loss as it is to ``new``: whole, where it is another loss."""
    old = loss.config
    if old.get("type") != new.get("type"):
        return (Edit(loss.key, new),)
    changed = (name for name in new if old.get(name) != new[name])
    return tuple(Edit((*loss.key, name), new[name]) for name in changed)
