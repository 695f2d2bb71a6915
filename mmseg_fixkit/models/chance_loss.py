"""What the losses of a model are for a network that gives every class the same score.

The heads' own ``loss_by_feat`` is called once more with logits of 0, so that classes, weights,
ignored pixels, samplers and the reduction are those of the run: ln N for a softmax over N
classes, ln 2 for a sigmoid, weighted as configured.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import torch
from torch import Tensor, nn

from mmseg_fixkit.models.heads import Head, log_prefix, outermost

#: Parameters of a ``loss_by_feat`` that are what the network outputs.
_LOGITS = ("logit", "cls_score", "mask_pred")


@contextmanager
def chance_losses(model: nn.Module) -> Iterator[dict[str, float]]:
    """Collect, by name in the log, what equal logits would give for the losses of the block.

    Random numbers are drawn again and given back: a run with this is the same to the bit. Heads
    without a ``loss_by_feat``, and those whose loss cannot take equal logits, are left out.
    """
    found: dict[str, float] = {}
    watched = [head for head in outermost(model) if hasattr(head.module, "loss_by_feat")]
    for head in watched:
        head.module.loss_by_feat = _with_chance(head, found)
    try:
        yield found
    finally:
        for head in watched:
            del head.module.loss_by_feat


def _with_chance(head: Head, found: dict[str, float]) -> Callable[..., Any]:
    original = head.module.loss_by_feat
    names = list(inspect.signature(original).parameters)

    def loss_by_feat(*args: Any, **kwargs: Any) -> Any:
        flat = [_flat(v) if _is_logits(n) else v for n, v in zip(names, args)]
        named = {n: _flat(v) if _is_logits(n) else v for n, v in kwargs.items()}
        found.update(_chance(original, log_prefix(head.path), flat, named))
        return original(*args, **kwargs)

    return loss_by_feat


def _chance(
    loss_by_feat: Callable[..., Any], prefix: str, args: list[Any], kwargs: dict[str, Any]
) -> dict[str, float]:
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            losses = loss_by_feat(*args, **kwargs)
    except Exception:  # the run's own call will say what is wrong with it
        return {}
    return {f"{prefix}.{name}": _mean(value) for name, value in losses.items() if "loss" in name}


def _is_logits(name: str) -> bool:
    return any(word in name for word in _LOGITS)


def _flat(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.zeros_like(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_flat(child) for child in value)
    return value


def _mean(value: Any) -> float:
    if isinstance(value, Tensor):
        return float(value.mean())
    return sum(float(child.mean()) for child in value)
