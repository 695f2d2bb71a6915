"""A loss for one channel made of any loss for two."""

from __future__ import annotations

import inspect
from typing import Any, Optional

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

#: What per-pixel heads hand to their losses beside scores and labels.
_SAID_BY_HEADS = frozenset({"weight", "ignore_index"})


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
        """Return what to hand on of what heads hand over.

        ``OhemCrossEntropy`` takes nothing of it, as its own heads hand over nothing; what says no
        more than it does itself is left out.

        Raises:
            ValueError: what it does not take would change its result.
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
            if name not in _SAID_BY_HEADS & left.keys()
        }


def _keywords(loss: nn.Module) -> Optional[frozenset[str]]:
    """Return the names of what a loss takes; None where it takes any."""
    parameters = inspect.signature(loss.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return frozenset(parameter.name for parameter in parameters)
