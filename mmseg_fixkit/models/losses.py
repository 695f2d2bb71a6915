"""Losses that the host's configs can name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from mmseg.models.losses.utils import get_class_weight
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_fixkit.core.errors import FixkitError

REDUCTIONS = ("none", "mean", "sum")
_HALF = (torch.float16, torch.bfloat16)

#: What per-pixel heads pass to their losses beside scores and labels.
_PASSED_BY_HEADS = frozenset({"weight", "ignore_index"})


class ClassWeightedCrossEntropyLoss(nn.Module):
    """Softmax cross entropy with class weights that allows ignored pixels.

    Equal to ``torch.nn.functional.cross_entropy(..., weight=class_weight)``: the mean is over the
    weights of the pixels that count. mmsegmentation 1.2.2 takes that mean over every label, of 255
    too, and stops with ``index 255 is out of bounds`` (mmsegmentation #3568, #3574, #3724). Where
    no pixel counts the loss is 0, not nan, with a gradient of 0.

    Half-precision scores are taken to single precision first, as ``torch.autocast`` does.

    Args:
        class_weight: one weight a class, or a file of them (.npy, .json, .yaml, .pkl); all 1
            where left out.
        reduction: ``'none'``, ``'mean'`` or ``'sum'``.
        loss_weight: factor of the result.
        loss_name: the name in the log; MMEngine sums up what begins with ``loss_``.
        use_sigmoid: only False; it is taken so that a ``CrossEntropyLoss`` config fits.
        use_mask: likewise.
        avg_non_ignore: taken for the same reason; the mean never counts ignored pixels.

    Raises:
        FixkitError: ``use_sigmoid`` or ``use_mask`` is True, or the reduction is none of the three.
    """

    def __init__(
        self,
        class_weight: Union[str, Sequence[float], None] = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        loss_name: str = "loss_ce",
        use_sigmoid: bool = False,
        use_mask: bool = False,
        avg_non_ignore: bool = True,
    ) -> None:
        super().__init__()
        if use_sigmoid or use_mask:
            name = "use_sigmoid" if use_sigmoid else "use_mask"
            raise FixkitError(
                f"ClassWeightedCrossEntropyLoss has {name}=True, but it weighs softmax classes "
                "only; use CrossEntropyLoss for other outputs"
            )
        self.reduction = checked_reduction(reduction)
        self.class_weight = get_class_weight(class_weight)
        self.loss_weight = loss_weight
        self.avg_non_ignore = avg_non_ignore
        self._loss_name = loss_name

    @property
    def loss_name(self) -> str:
        """The name in the log."""
        return self._loss_name

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Optional[Tensor] = None,
        avg_factor: Optional[float] = None,
        reduction_override: Optional[str] = None,
        ignore_index: int = -100,
        **_: Any,
    ) -> Tensor:
        """Return the loss.

        Args:
            cls_score: logits (B, N, ...), of any floating type.
            label: class indices (B, ...) int64; ``ignore_index`` marks pixels that do not count.
            weight: a factor for each pixel (B, ...), as samplers give it.
            avg_factor: what the sum is divided by, instead of the weights that count.
            reduction_override: replaces ``reduction`` for this call.
            ignore_index: the label that does not count.
        """
        reduction = checked_reduction(reduction_override or self.reduction)
        scores = cls_score.float() if cls_score.dtype in _HALF else cls_score
        class_weight = None if self.class_weight is None else scores.new_tensor(self.class_weight)
        loss = F.cross_entropy(
            scores, label, class_weight, ignore_index=ignore_index, reduction="none"
        )
        if weight is not None:
            loss = loss * weight.to(loss.dtype)
        if reduction == "none":
            return self.loss_weight * loss
        total = loss.sum()
        if reduction == "mean":
            total = total / _counted(label, class_weight, ignore_index, avg_factor, total)
        return self.loss_weight * total


def checked_reduction(reduction: str) -> str:
    """Return ``reduction`` if it is one; else raise ``FixkitError``."""
    if reduction not in REDUCTIONS:
        raise FixkitError(f"reduction is {reduction!r}, but it has to be one of {REDUCTIONS}")
    return reduction


def _counted(
    label: Tensor,
    class_weight: Optional[Tensor],
    ignore_index: int,
    avg_factor: Optional[float],
    like: Tensor,
) -> Tensor:
    """Return what the sum is divided by; 1 where it would be 0."""
    if avg_factor is not None:
        return like.new_tensor(float(avg_factor))
    counts = label != ignore_index
    if class_weight is None:
        factor = counts.sum().to(like.dtype)
    else:
        factor = class_weight[label.where(counts, torch.zeros_like(label))].mul(counts).sum()
    return factor.where(factor > 0, torch.ones_like(factor))


class OneChannelLoss(nn.Module):
    """Gives another loss two channels where the head has one for two classes.

    The score of the background is 0: the softmax over ``[0, x]`` is the sigmoid of ``x``, so that
    the loss is that of a head with two softmax channels. For losses of MMSegmentation that know no
    single channel (``OhemCrossEntropy``, ``TverskyLoss``), or take it for class 0 (``DiceLoss``).
    Scores of more than one channel are passed on: ``DAHead`` has two branches that keep a channel
    for each class.

    Args:
        loss: the config of the other loss; a softmax loss.
    """

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__()
        self.loss = MODELS.build(loss)
        self._names = _parameters_of(self.loss)

    @property
    def loss_name(self) -> str:
        """The name in the log: that of the other loss."""
        name: str = self.loss.loss_name
        return name

    def forward(self, score: Tensor, label: Tensor, *args: Any, **options: Any) -> Tensor:
        """Return the other loss for logits (B, 1, ...), high for class 1.

        Labels (B, ...) are 0, 1, or what the other loss ignores; everything else is passed on.
        """
        if score.size(1) == 1:
            score = torch.cat([torch.zeros_like(score), score], dim=1)
        result: Tensor = self.loss(score, label, *args, **self._taken(options))
        return result

    def _taken(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what to pass on of what heads pass.

        ``OhemCrossEntropy`` takes nothing of it, as its own heads pass nothing; what says no more
        than it does itself is left out, and what would change its result raises ``ValueError``.
        """
        kind, own = type(self.loss).__name__, getattr(self.loss, "ignore_label", None)
        if self._names is None or own is None:
            return options
        left = {name: value for name, value in options.items() if name not in self._names}
        if left.get("weight") is not None:
            raise ValueError(
                f"the sampler of the head weighs pixels, but {kind}, which OneChannelLoss holds, "
                "takes no weights; remove the sampler or take another loss"
            )
        ignored = left.get("ignore_index", own)
        if ignored != own:
            raise ValueError(
                f"ignore_index of the head is {ignored}, but {kind}, which OneChannelLoss holds, "
                f"ignores {own}; give it ignore_label={ignored}"
            )
        return {
            name: value
            for name, value in options.items()
            if name not in _PASSED_BY_HEADS & left.keys()
        }


def _parameters_of(loss: nn.Module) -> Optional[frozenset[str]]:
    """Return the names of what a loss takes; None where it takes any."""
    parameters = inspect.signature(loss.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)
