"""Family 7: what the first iterations of a training say of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from mmseg_fixkit.core.diagnostics import Diagnostic, KeyPath, Severity
from mmseg_fixkit.core.rule import reported_rules, rule
from mmseg_fixkit.core.text import first_few

#: How many times the loss of equal logits is far from it.
FAR = 3.0

_FILES = 4  # of a batch that a message names


@dataclass(frozen=True)
class Batch:
    """What one iteration showed."""

    iteration: int  # counted from 1
    losses: Mapping[str, float] = field(default_factory=dict)  # name in the log -> value
    files: tuple[str, ...] = ()
    #: share of its pixels that are ignored; None where the batch does not show them
    ignored: Optional[float] = None


@dataclass(frozen=True)
class Layer:
    """A layer of a head after the iterations that were watched."""

    name: str  # of the parameter: ``decode_head.conv_seg.weight``
    moved: bool
    frozen: bool
    rate: Optional[float]  # its learning rate now; None where the optimizer does not have it
    gradient: Optional[float]  # the largest norm of its gradient; None where none came


@dataclass(frozen=True)
class TrainingContext:
    """What is judged: one batch of the window, or its end."""

    batch: Optional[Batch] = None  # the iteration to judge; None at the end of the window
    #: name of a loss -> what equal logits would give for the first batch
    chance: Mapping[str, float] = field(default_factory=dict)
    untrained: bool = True  # whether the run starts without a checkpoint
    one_channel: tuple[str, ...] = ()  # heads of one channel whose losses take a softmax
    layers: tuple[Layer, ...] = ()
    iterations: int = 0


@rule("MSF701", "loss-not-finite", reported=True)
def loss_not_finite(context: TrainingContext) -> Iterator[Diagnostic]:
    """A loss is nan or infinite.

    ## What it does
    `LossSanityHook` looks at every loss of the first iterations, and names the one that is no
    number with the files of its batch.

    ## Why is this bad?
    The step that follows writes nan into every weight, and nothing that is trained later helps.
    The log shows it for the sum of the losses, not for the one that began it.

    ## Example
    A learning rate that is too high, an image that holds nan, a batch without a counted pixel for
    a loss that divides by their number (`avg_non_ignore=True`).

    ## Use instead
    With nan in the first iteration: look at the named files (`mmseg-fix scan`). Later: a lower
    learning rate, a warm-up, or `clip_grad` in `optim_wrapper`.

    ## Fix safety
    There is no fix: it depends on the cause.

    ## References
    `CheckInvalidLossHook` of mmengine 0.10.7 stops such a run too, without a name or a file.
    """
    for name, value in _losses(context):
        if not math.isfinite(value):
            yield _found(
                context,
                name,
                value,
                "a finite number",
                f"in iteration {context.batch.iteration if context.batch else 0}",
            )


@rule("MSF702", "loss-is-zero", reported=True)
def loss_is_zero(context: TrainingContext) -> Iterator[Diagnostic]:
    """A loss is exactly 0.

    ## What it does
    Names the loss, and says whether all pixels of the batch are ignored, or a single channel goes
    through a softmax, which is 1 whatever the network predicts.

    ## Why is this bad?
    Nothing is learned from such a batch; if it is so for every batch, training runs to completion
    and learns nothing, silently (mmsegmentation #304, #493).

    ## Example
    `num_classes=1` with `CrossEntropyLoss(use_sigmoid=False)`; labels of 0 and 255 only, with
    `reduce_zero_label=True`.

    ## Use instead
    `mmseg-fix check` on the config for the head, `mmseg-fix scan` for the labels.

    ## Fix safety
    There is no fix here; `mmseg-fix patch --binary` has one for the head.

    ## References
    mmsegmentation #304, #493 and #1688.
    """
    batch = context.batch
    for name, value in _losses(context):
        if value != 0 or batch is None:
            continue
        head = next((h for h in context.one_channel if name.startswith(f"{h}.")), None)
        if batch.ignored == 1:
            why = "every pixel of the batch is ignored"
        elif head is not None:
            why = "its head has one channel, and a softmax over one channel is always 1"
        elif context.chance.get(name) == 0:
            why = "its loss_weight or class weights are 0, so it is 0 whatever the network predicts"
        else:
            why = "no pixel of the batch asks anything of the network"
        yield _found(context, name, value, "more than 0", why)


@rule("MSF703", "loss-far-from-chance", reported=True)
def loss_far_from_chance(context: TrainingContext) -> Iterator[Diagnostic]:
    """The first loss is far from that of a network that knows nothing.

    ## What it does
    Computes, for the first batch, every loss once more for logits that are all equal: `ln N` for
    a softmax over N classes, `ln 2` for a sigmoid, weighted as the config says. A first loss of
    more than three times that is named; without a checkpoint, one of less than a third as well.

    ## Why is this bad?
    A network whose class layers are new gives every class nearly the same score. A much larger loss
    means that it is sure of the wrong ones: weights of other classes, or of another order; inputs
    that are not normalised as the backbone expects. A much smaller one that something tells it the
    answer.

    ## Example
    A checkpoint of a dataset with the same number of classes in another order.

    ## Use instead
    `mmseg-fix adapt` or `HeadAdaptHook` for the checkpoint; `mmseg-fix check` for the rest.

    ## Fix safety
    There is no fix: it depends on the cause.

    ## References
    The cross entropy of a uniform distribution over N classes is ln N.
    """
    if context.batch is None or context.batch.iteration != 1:
        return
    for name, value in _losses(context):
        chance = context.chance.get(name, 0.0)
        if not math.isfinite(value) or not math.isfinite(chance) or chance <= 0 or value <= 0:
            continue
        ratio = value / chance
        if ratio > FAR:
            why = f"{ratio:.1f} times as much; class layers of other classes or another order, or "
            yield _found(context, name, value, _by_chance(chance), why + "inputs not normalised?")
        elif ratio < 1 / FAR and context.untrained:
            why = "and no checkpoint was loaded that could know the answer"
            yield _found(context, name, value, _by_chance(chance), why)


@rule("MSF704", "head-does-not-move", reported=True)
def head_does_not_move(context: TrainingContext) -> Iterator[Diagnostic]:
    """The class layer of a head is what it was when training began.

    ## What it does
    Compares the class layers of every head, bit for bit, before the first iteration and at the
    end of the window, and says why they stand still: frozen, not given to the optimizer, a
    learning rate of 0, or no gradient.

    ## Why is this bad?
    A head that stands still cannot learn new classes. The loss may fall a little nevertheless, as
    the backbone adapts to a random head.

    ## Example
    `paramwise_cfg` with `lr_mult=0` for a name that fits the head too; an optimizer that was given
    the parameters of the backbone only.

    ## Use instead
    A pattern in `paramwise_cfg` that fits the backbone alone, such as `backbone`.

    ## Fix safety
    There is no fix: a head may be frozen on purpose.

    ## References
    `DefaultOptimWrapperConstructor` of mmengine 0.10.7.
    """
    for layer in context.layers:
        if not layer.moved:
            text = (
                f"model.{layer.name} has not changed in {context.iterations} iterations: "
                f"{_standing_still(layer)}"
            )
            yield _warning(("model", layer.name), text, None, None)


def _standing_still(layer: Layer) -> str:
    if layer.frozen:
        return "it is frozen (requires_grad is False)"
    if layer.rate is None:
        return "the optimizer was not given it"
    if layer.rate == 0:
        return "its learning rate is 0; look at lr_mult in paramwise_cfg, and at the schedule"
    if not layer.gradient:
        return "no gradient reaches it; look at loss_weight, and at the labels"
    return f"its steps are too small to show (learning rate {layer.rate:g})"


def check_iteration(context: TrainingContext) -> tuple[Diagnostic, ...]:
    """Return the findings, in the order of the codes."""
    return tuple(d for each in reported_rules("MSF70") for d in each.run(context))


def _losses(context: TrainingContext) -> Iterator[tuple[str, float]]:
    """Yield the losses of the batch by name, without their sum: a part of it says more."""
    losses = context.batch.losses if context.batch else {}
    for name, value in losses.items():
        if "loss" in name and (name != "loss" or len(losses) == 1):
            yield name, value


def _by_chance(chance: float) -> str:
    return f"{chance:.3g} for a network that gives every class the same score"


def _found(
    context: TrainingContext, name: str, value: float, expected: str, why: str
) -> Diagnostic:
    files = context.batch.files if context.batch else ()
    batch = f"; the batch is {first_few(files, _FILES)}" if files else ""
    text = f"{name} is {value:.3g}, but {expected} is expected: {why}{batch}"
    return _warning((name,), text, value, expected)


def _warning(key: KeyPath, message: str, found: object, expected: object) -> Diagnostic:
    return Diagnostic("", "", message, key, found, expected, Severity.WARNING)
