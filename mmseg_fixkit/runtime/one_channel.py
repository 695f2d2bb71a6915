"""A loss for one channel made of any loss for two."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn


class OneChannelLoss(nn.Module):
    """Hands another loss two channels where the head has one for two classes.

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

    @property
    def loss_name(self) -> str:
        """The name in the log: that of the other loss."""
        name: str = self.loss.loss_name
        return name

    def forward(self, score: Tensor, label: Tensor, *args: Any, **options: Any) -> Tensor:
        """Return the other loss.

        Args:
            score: logits (B, 1, ...), high for class 1.
            label: class ids (B, ...): 0, 1, or what the other loss ignores.
            args: handed on.
            options: handed on.
        """
        if score.size(1) == 1:
            score = torch.cat([torch.zeros_like(score), score], dim=1)
        result: Tensor = self.loss(score, label, *args, **options)
        return result
