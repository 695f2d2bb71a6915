"""A loss for one channel made of any loss for two."""

from __future__ import annotations

import inspect
from typing import Any, Optional

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
        self._names = _keywords(self.loss)

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
        result: Tensor = self.loss(score, label, *args, **self._taken(options))
        return result

    def _taken(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what the other loss takes of what heads hand over.

        ``OhemCrossEntropy`` takes nothing of it: it is made for heads that call it so.

        Raises:
            ValueError: what it does not take would change its result.
        """
        if self._names is None:
            return options
        kind, left = type(self.loss).__name__, options.keys() - self._names
        if "weight" in left and options["weight"] is not None:
            raise ValueError(
                f"the sampler of the head weighs pixels, but {kind}, which OneChannelLoss holds, "
                "takes no weights; remove the sampler or take another loss"
            )
        own = getattr(self.loss, "ignore_label", None)
        if "ignore_index" in left and own is not None and options["ignore_index"] != own:
            raise ValueError(
                f"ignore_index of the head is {options['ignore_index']}, but {kind}, which "
                f"OneChannelLoss holds, ignores {own}; give it "
                f"ignore_label={options['ignore_index']}"
            )
        return {name: value for name, value in options.items() if name in self._names}


def _keywords(loss: nn.Module) -> Optional[frozenset[str]]:
    """Return the names of what a loss takes; None where it takes any."""
    parameters = inspect.signature(loss.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)
