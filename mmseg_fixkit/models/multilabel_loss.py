"""The multi-label loss, for any head that has a channel for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
import torch.nn.functional as F
from mmseg.models.losses.utils import get_class_weight
from torch import Tensor, nn

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.label_bits import bit_of
from mmseg_fixkit.models.label_bits import invalid_values, unpack
from mmseg_fixkit.models.losses import checked_reduction

#: How many batches are compared with the head on a device that would have to be waited for.
_COMPARED = 20

_HALF = (torch.float16, torch.bfloat16)

Weights = Union[float, Sequence[float], str, None]


class MultiLabelLoss(nn.Module):
    """Binary cross entropy on each label of a map of bits, with Dice and Lovász terms if asked for.

    A head with L + 1 channels is unchanged: channel 0 is the background, on where a pixel has no
    label and is not ignored, and channel ``i + 1`` is label ``i``. The map is unpacked here, on the
    device of the scores. Ignored pixels (bit 7, so 255 always) count in no term.

    The cross entropy is that of ``torch.nn.functional.binary_cross_entropy_with_logits`` over the
    channels of the pixels that count. Dice is ``1 - (2 Σpt + 1) / (Σp + Σt + 1)`` of each channel
    over the batch (Milletari et al., 2016, without squares); Lovász the hinge of Berman et al.
    (2018) of each channel over the batch. Each term is the mean over the channels, times their
    ``class_weight``. Half-precision scores are taken to single precision first, as
    ``torch.autocast`` does.

    Args:
        class_weight: one weight a label; with one more, the first is the background's, which is 1
            otherwise. Or a file of them, as in ``CrossEntropyLoss``.
        pos_weight: how much more pixels count in the cross entropy where the label is on; one
            number for all labels, or as ``class_weight``.
        bce_weight: factor of the cross entropy.
        dice_weight: factor of the Dice term.
        lovasz_weight: factor of the Lovász term.
        reduction: of the cross entropy: ``'mean'`` over the pixels that count, ``'sum'`` of the
            same, or ``'none'``, a value for each pixel and no other term.
        loss_weight: factor of the result.
        loss_name: the name in the log; MMEngine sums up what begins with ``loss_``.

    Raises:
        FixkitError: an argument makes no sense; or, in training, the labels have more bits than
            the head has channels.
    """

    def __init__(
        self,
        class_weight: Weights = None,
        pos_weight: Weights = None,
        bce_weight: float = 1.0,
        dice_weight: float = 0.0,
        lovasz_weight: float = 0.0,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        loss_name: str = "loss_multilabel",
    ) -> None:
        super().__init__()
        self.reduction = checked_reduction(reduction)
        self.class_weight = _weights("class_weight", class_weight)
        self.pos_weight = _weights("pos_weight", pos_weight)
        self.term_weights = {"bce": bce_weight, "dice": dice_weight, "lovasz": lovasz_weight}
        self.loss_weight = loss_weight
        self._loss_name = loss_name
        self._compared = 0

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
        **_: Any,
    ) -> Tensor:
        """Return the loss.

        Args:
            cls_score: logits (B, L + 1, ...), of any floating type.
            label: map of bits (B, ...) of any integer type.
            weight: a factor for each pixel (B, ...) in the cross entropy, as samplers give it.
            avg_factor: what its sum is divided by, instead of the pixels that count.
            reduction_override: replaces ``reduction`` for this call.
        """
        scores = cls_score.float() if cls_score.dtype in _HALF else cls_score
        self._compare(scores, label)
        target, valid = targets(label, scores.size(1) - 1)
        target = target.to(scores.dtype)
        pixels = self._cross_entropy(scores, target).where(valid, scores.new_zeros(()))
        if weight is not None:
            pixels = pixels * weight.to(pixels.dtype)
        reduction = checked_reduction(reduction_override or self.reduction)
        if reduction == "none":
            return self.loss_weight * self.term_weights["bce"] * pixels
        total = pixels.sum()
        if reduction == "mean":
            total = total / (valid.sum().clamp(min=1) if avg_factor is None else avg_factor)
        terms = self._other_terms(scores, target, valid)
        return self.loss_weight * (self.term_weights["bce"] * total + terms)

    def _cross_entropy(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the mean over the channels, for each pixel."""
        shape = (-1, *[1] * (scores.dim() - 2))
        weights = {"weight": self.class_weight, "pos_weight": self.pos_weight}
        given = {
            name: _per_channel(name, found, scores).view(shape)
            for name, found in weights.items()
            if found is not None  # they cost another pass over the scores each
        }
        return F.binary_cross_entropy_with_logits(scores, target, reduction="none", **given).mean(1)

    def _other_terms(self, scores: Tensor, target: Tensor, valid: Tensor) -> Union[Tensor, float]:
        total: Union[Tensor, float] = 0.0
        channel = _per_channel("class_weight", self.class_weight, scores)
        if self.term_weights["dice"]:
            dice = dice_terms(scores, target, valid)
            total = total + self.term_weights["dice"] * (channel * dice).mean()
        if self.term_weights["lovasz"]:
            lovasz = lovasz_terms(scores, target, valid)
            total = total + self.term_weights["lovasz"] * (channel * lovasz).mean()
        return total

    def _compare(self, scores: Tensor, label: Tensor) -> None:
        """Compare the labels with the channels of the head."""
        channels = scores.size(1)
        if channels < 2:
            raise FixkitError(
                "the head has 1 channel, but a label and the background need 2: set num_classes to "
                "the number of labels and 1 more"
            )
        if label.shape != scores.shape[:1] + scores.shape[2:] or label.is_floating_point():
            raise FixkitError(
                f"the labels are {label.dtype} of shape {tuple(label.shape)}, but MultiLabelLoss "
                f"takes maps of bits, whole numbers of shape "
                f"{tuple(scores.shape[:1] + scores.shape[2:])}; load them with "
                "LoadMultiLabelAnnotations"
            )
        if label.device.type == "cpu" or self._compared < _COMPARED:
            self._compared += 1
            foreign = invalid_values(label, channels - 1)
            if foreign.numel():
                raise FixkitError(_too_many(foreign, channels))


def targets(label: Tensor, labels: int) -> tuple[Tensor, Tensor]:
    """Return what each channel should be (B, L + 1, ...), and which pixels count (B, ...).

    Channel 0 is the background: no label, and not ignored.
    """
    planes, ignored = unpack(label, labels, dim=1)
    background = ~planes.any(1) & ~ignored
    return torch.cat([background.unsqueeze(1), planes], 1), ~ignored


def dice_terms(scores: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return one minus the Dice coefficient of each channel over the batch."""
    probabilities = scores.sigmoid() * valid.unsqueeze(1)
    over = [0, *range(2, scores.dim())]
    both = (probabilities * target).sum(over)
    return 1 - (2 * both + 1) / (probabilities.sum(over) + target.sum(over) + 1)


def lovasz_terms(scores: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the Lovász hinge of each channel over the batch."""
    scores, target = scores.transpose(0, 1)[:, valid], target.transpose(0, 1)[:, valid]
    errors, order = (1 - scores * (2 * target - 1)).sort(dim=1, descending=True)
    found = target.gather(1, order)
    total = found.sum(1, keepdim=True)
    jaccard = 1 - (total - found.cumsum(1)) / (total + (1 - found).cumsum(1))
    steps = jaccard.diff(dim=1, prepend=jaccard.new_zeros(len(jaccard), 1))
    return (errors.relu() * steps).sum(1)


def _weights(name: str, weights: Weights) -> Optional[list[float]]:
    """Return a list; one number alone stands for all labels."""
    if isinstance(weights, (int, float)):
        return [float(weights)]
    found: Any = get_class_weight(weights)
    if found is not None and not all(float(w) >= 0 for w in found):
        raise FixkitError(f"{name} is {list(found)}, but no weight may be below 0")
    return None if found is None else [float(w) for w in found]


def _per_channel(name: str, weights: Optional[list[float]], scores: Tensor) -> Tensor:
    """Return a weight for each channel, with 1 for the background where it has none."""
    channels = scores.size(1)
    if weights is None:
        return scores.new_ones(channels)
    if name == "pos_weight" and len(weights) == 1:
        weights = weights * (channels - 1)
    if len(weights) not in (channels - 1, channels):
        name = "class_weight" if name == "weight" else name
        raise FixkitError(
            f"{name} has {len(weights)} entries, but the head has {channels} channels: give "
            f"{channels - 1}, one for each label, or {channels} with the background first"
        )
    return scores.new_tensor([1.0] * (channels - len(weights)) + weights)


def _too_many(foreign: Tensor, channels: int) -> str:
    values = {int(value) for value in foreign.unique().tolist()}
    labels = [i for i in range(31) if any(value >> bit_of(i) & 1 for value in values)]
    last = labels[-1] + 1
    return (
        f"the labels reach number {last} (bit {bit_of(last - 1)}), but the head has {channels} "
        f"channels, one for the background and {channels - 1} for labels; {last} labels need "
        f"num_classes={last + 1} in every head"
    )
