"""The hook that watches the first iterations of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from torch import Tensor, nn

from mmseg_fixkit.core.diagnostics import Diagnostic
from mmseg_fixkit.core.errors import LossSanityError
from mmseg_fixkit.models.chance_loss import chance_losses
from mmseg_fixkit.models.heads import (
    class_layers,
    iterations_a_step,
    log_prefix,
    optimizers_of,
    outermost,
    unwrap,
)
from mmseg_fixkit.rules.training import Batch, Layer, TrainingContext, check_iteration

ACTIONS = ("warn", "stop")


class LossSanityHook(Hook):
    """Watches losses, gradients and class layers in the first iterations, and reports what is odd.

    A loss that is no number (with the files of its batch), exactly 0, or far from that of a
    network that knows nothing; class layers that have not moved at the end. Each is reported once.
    The log then has one line with what the losses, and the gradients of the heads, were. After the
    window nothing is left of it but a comparison of two numbers an iteration.

    With several processes each watches its own batches; all stop together.

    Args:
        iterations: how many are watched.
        action: ``'warn'`` writes to the log; ``'stop'`` ends the run.

    Raises:
        LossSanityError: something is odd and ``action='stop'``.
        ValueError: an argument makes no sense.
    """

    # After the hooks that change losses or weights in an iteration.
    priority = "LOW"

    def __init__(self, iterations: int = 50, action: str = "warn") -> None:
        if action not in ACTIONS:
            raise ValueError(
                f"LossSanityHook: action is {action!r}, but one of {ACTIONS} is needed"
            )
        if not isinstance(iterations, int) or iterations < 1:
            raise ValueError(
                f"LossSanityHook: iterations is {iterations!r}, but 1 or more are needed"
            )
        self.iterations = iterations
        self.action = action
        self._window: Optional[_Window] = None

    def before_train(self, runner: Any) -> None:
        """Remember the class layers, and listen to their gradients."""
        self._window = _Window.open(runner, self.iterations)

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Optional[Any] = None
    ) -> None:
        """Compute the first losses for equal logits too."""
        if self._window is not None and self._window.seen == 0:
            self._window.listen_to_chance(runner)

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Optional[Any] = None,
        outputs: Optional[dict[str, Any]] = None,
    ) -> None:
        """Judge the losses of the batch; at the end of the window, the class layers."""
        window = self._window
        if window is None:
            return
        batch = _batch(window.seen + 1, data_batch, outputs or {})
        self._say(runner, window.new(check_iteration(window.look(batch))))
        if window.seen >= self.iterations:
            self._end(runner)

    def after_train(self, runner: Any) -> None:
        """Judge what there was, where training ends within the window."""
        self._end(runner)

    def _end(self, runner: Any) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        window.close()
        if window.seen:
            self._say(runner, check_iteration(window.end(runner)))
            if is_main_process():
                runner.logger.info(window.summary())

    def _say(self, runner: Any, findings: Sequence[Diagnostic]) -> None:
        """Write what any process found, once; every process stops with the same text."""
        texts = [f"{d.code} {d.name}: {d.message}" for d in findings]
        every = dict.fromkeys(text for part in all_gather_object(texts) for text in part)
        if not every:
            return
        if self.action == "stop":
            raise LossSanityError("the training is stopped by LossSanityHook:\n" + "\n".join(every))
        if is_main_process():
            for text in every:
                runner.logger.warning(text)


@dataclass
class _Window:
    """What is remembered while the hook watches."""

    layers: Mapping[str, nn.Parameter]
    before: Mapping[str, Tensor]
    iterations: int
    untrained: bool
    one_channel: tuple[str, ...]
    scaled: bool
    seen: int = 0
    first: Mapping[str, float] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    gradients: dict[str, list[Tensor]] = field(default_factory=dict)
    reported: set[tuple[str, Any]] = field(default_factory=set)
    open_parts: ExitStack = field(default_factory=ExitStack)
    listening: ExitStack = field(default_factory=ExitStack)

    @classmethod
    def open(cls, runner: Any, iterations: int) -> _Window:
        model = unwrap(runner.model)
        layers = class_layers(model)
        window = cls(
            layers=layers,
            before={name: layer.detach().clone() for name, layer in layers.items()},
            iterations=iterations,
            untrained=not runner._load_from and not runner._resume,
            one_channel=_softmax_over_one(model),
            scaled="Amp" in type(runner.optim_wrapper).__name__,
        )
        for name, layer in layers.items():
            if layer.requires_grad:
                handle = layer.register_hook(window._keep_norm(name))
                window.open_parts.callback(handle.remove)
        return window

    def _keep_norm(self, name: str) -> Any:
        def keep(gradient: Tensor) -> None:
            self.gradients.setdefault(name, []).append(gradient.detach().norm())

        return keep

    def listen_to_chance(self, runner: Any) -> None:
        """Begin; a compiled model must not be touched while it is traced."""
        if not runner.cfg.get("compile"):
            self.chance = self.listening.enter_context(chance_losses(unwrap(runner.model)))

    def look(self, batch: Batch) -> TrainingContext:
        self.listening.close()
        self.seen = batch.iteration
        self.first, self.last = self.first or batch.losses, batch.losses
        return TrainingContext(
            batch=batch,
            chance=self.chance,
            untrained=self.untrained,
            one_channel=self.one_channel,
            iterations=self.seen,
        )

    def end(self, runner: Any) -> TrainingContext:
        if self.seen < iterations_a_step(runner.optim_wrapper):
            return TrainingContext(iterations=self.seen)  # no step was due yet
        rates = {
            id(parameter): float(group["lr"])
            for optimizer in optimizers_of(runner.optim_wrapper)
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        layers = tuple(
            Layer(
                name=name,
                moved=not torch.equal(layer.detach(), self.before[name]),
                frozen=not layer.requires_grad,
                rate=rates.get(id(layer)),
                gradient=self._norms(name)[-1] if self.gradients.get(name) else None,
            )
            for name, layer in self.layers.items()
        )
        return TrainingContext(layers=layers, iterations=self.seen)

    def close(self) -> None:
        self.listening.close()
        self.open_parts.close()

    def new(self, findings: Sequence[Diagnostic]) -> list[Diagnostic]:
        """Return those that were not reported before: the same loss goes wrong again and again."""
        fresh = [d for d in findings if (d.code, d.key) not in self.reported]
        self.reported.update((d.code, d.key) for d in fresh)
        return fresh

    def _norms(self, name: str) -> list[float]:
        return sorted(float(norm) for norm in self.gradients.get(name, ()))

    def summary(self) -> str:
        """Write what the window showed, for the log."""
        losses = "; ".join(
            f"{name} {value:.3g} -> {self.last.get(name, value):.3g}"
            + (f" (chance {self.chance[name]:.3g})" if name in self.chance else "")
            for name, value in self.first.items()
            if "loss" in name
        )
        scaled = ", scaled for mixed precision" if self.scaled else ""
        norms = "; ".join(
            f"{name} {values[len(values) // 2]:.3g}"
            for name, values in ((name, self._norms(name)) for name in self.layers)
            if values and name.endswith("weight")
        )
        return (
            f"LossSanityHook watched {self.seen} iterations. Losses: {losses}. Median gradient "
            f"norms{scaled}: {norms or 'none'}"
        )


def _softmax_over_one(model: nn.Module) -> tuple[str, ...]:
    """Return the log prefixes of heads whose single channel goes through a softmax."""
    return tuple(
        log_prefix(head.path)
        for head in outermost(model)
        if head.one_channel
        and any(getattr(loss, "use_sigmoid", True) is False for loss in _losses(head.module))
    )


def _losses(head: nn.Module) -> tuple[nn.Module, ...]:
    found = getattr(head, "loss_decode", ())  # K-Net's outer head has none
    return tuple(found) if isinstance(found, (nn.ModuleList, tuple)) else (found,)


def _batch(iteration: int, data_batch: Any, outputs: Mapping[str, Any]) -> Batch:
    samples = data_batch.get("data_samples", ()) if isinstance(data_batch, Mapping) else ()
    losses = {name: _float(value) for name, value in outputs.items() if _is_number(value)}
    files = (s.metainfo.get("seg_map_path") or s.metainfo.get("img_path") for s in samples)
    return Batch(
        iteration=iteration,
        losses=losses,
        files=tuple(str(file) for file in files if file),
        ignored=_ignored(samples),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)


def _float(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def _ignored(samples: Sequence[Any]) -> Optional[float]:
    """Return the share of pixels with 255, which the host writes for everything ignored."""
    labels = [s.gt_sem_seg.data for s in samples if "gt_sem_seg" in s]
    pixels = sum(label.numel() for label in labels)
    return sum(int((label == 255).sum()) for label in labels) / pixels if pixels else None
