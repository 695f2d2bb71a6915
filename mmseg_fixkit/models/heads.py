"""The heads of a built model, recognised by class, subclasses included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from mmseg_fixkit.checkpoint.compare import Shape
from mmseg_fixkit.checkpoint.rows import ClassTensor
from mmseg_fixkit.config.host import (
    CLASS_ROWS,
    HEAD_SPECS,
    ClassAxis,
    HeadKind,
    HeadSpec,
    head_spec,
)
from mmseg_fixkit.config.multilabel import OWN_SEGMENTORS

_BASE_HEAD = "BaseDecodeHead"
#: Name of a head in the model -> what the host puts before its losses in the log.
_PREFIXES = {"decode_head": "decode", "auxiliary_head": "aux"}


@dataclass(frozen=True)
class Head:
    """One head of a built model; ``path`` is its dotted name, which is also its config key."""

    path: str
    module: nn.Module
    spec: HeadSpec

    @property
    def type_name(self) -> str:
        """The name of its class."""
        return type(self.module).__name__

    @property
    def follows_dataset(self) -> bool:
        """Whether its classes are the dataset's: not so for edges and depth."""
        return self.spec.kind not in (HeadKind.BOUNDARY, HeadKind.DEPTH)

    @property
    def one_channel(self) -> bool:
        """Whether a single channel is for two classes: only per-pixel heads can have one."""
        per_pixel = self.spec.kind is HeadKind.PER_PIXEL
        return bool(per_pixel and is_base_head(self.module) and self.module.out_channels == 1)


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for several processes."""
    while is_model_wrapper(model):
        model = model.module
    return model


def loading_target(model: nn.Module) -> nn.Module:
    """Return the module whose names a checkpoint has: also inside test-time augmentation."""
    model = unwrap(model)
    return unwrap(model.module) if isinstance(model, BaseTTAModel) else model


def is_multilabel_model(model: nn.Module) -> bool:
    """Whether a model is multi-label, so that its heads have a channel for the background."""
    names = {base.__name__ for base in type(loading_target(model)).__mro__}
    return bool(names & OWN_SEGMENTORS)


def is_base_head(module: nn.Module) -> bool:
    """Whether a head has what every ``BaseDecodeHead`` of the host has."""
    return _BASE_HEAD in {base.__name__ for base in type(module).__mro__}


def ignore_index_of(model: nn.Module) -> Optional[int]:
    """Return the label that the predicting head does not count; None for a model without heads."""
    heads = [head for head in outermost(model) if head.follows_dataset]
    decode = [head for head in heads if head.path.startswith("decode_head")]
    return int((decode or heads)[-1].module.ignore_index) if heads else None


def find_heads(model: nn.Module) -> tuple[Head, ...]:
    """Return all heads of ``model``, also those in lists and in other heads, outermost first."""
    return tuple(_heads(unwrap(model)))


def _heads(model: nn.Module) -> Iterator[Head]:
    for path, module in model.named_modules():
        spec = _spec(module)
        if spec is not None and _has_count(module):
            yield Head(path, module, spec)


def _spec(module: nn.Module) -> Optional[HeadSpec]:
    names = [base.__name__ for base in type(module).__mro__]
    known = [name for name in names if name in HEAD_SPECS]
    if known:
        return HEAD_SPECS[known[0]]
    return head_spec(names[0], _shown(module)) if _BASE_HEAD in names else None


def _shown(module: nn.Module) -> dict[str, Any]:
    """Return what the config of a head of another project would show of it."""
    shown = {
        name: getattr(module, name)
        for name in ("num_classes", "num_queries", "out_channels")
        if hasattr(module, name)
    }
    loss = getattr(module, "loss_cls", None)
    if loss is not None:
        names = ("class_weight", "use_sigmoid")
        shown["loss_cls"] = {name: getattr(loss, name, None) for name in names}
    return shown


def _has_count(module: nn.Module) -> bool:
    count = getattr(module, "num_classes", None)
    return isinstance(count, int) and not isinstance(count, bool)


def own_modules(head: Head, heads: tuple[Head, ...]) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules below ``head`` by full path, without those of heads nested in it."""
    nested = tuple(f"{other.path}." for other in heads if other.path.startswith(f"{head.path}."))
    for name, module in head.module.named_modules():
        path = f"{head.path}.{name}"
        if name and not f"{path}.".startswith(nested or ("\0",)):
            yield path, module


def shapes_of(model: nn.Module) -> dict[str, Shape]:
    """Return name -> shape of the tensors in a model's state dict."""
    state = unwrap(model).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if hasattr(value, "shape")}


def class_tensors(
    model: nn.Module, shapes: Optional[Mapping[str, Shape]] = None
) -> dict[str, ClassTensor]:
    """Return every tensor of ``model`` that has the classes on some axis, by name."""
    known = shapes_of(model) if shapes is None else shapes
    heads = [head for head in find_heads(model) if head.spec.class_layers]
    return dict(found for head in heads for found in _of_head(head, known))


def _of_head(head: Head, shapes: Mapping[str, Shape]) -> Iterator[tuple[str, ClassTensor]]:
    layers, count = _class_layers(head), head.module.num_classes
    no_object = head.spec.kind is HeadKind.QUERY
    for name in filter(layers.fullmatch, shapes):
        axes = _class_axes(head, name[len(head.path) + 1 :])
        if axes:
            yield name, ClassTensor(head.path, shapes[name], axes, count, no_object)


def _class_layers(head: Head) -> re.Pattern[str]:
    layers = "|".join(head.spec.class_layers)
    return re.compile(rf"{re.escape(head.path)}\.(?:{layers})(?:\..+)?")


def _class_axes(head: Head, name: str) -> tuple[ClassAxis, ...]:
    table = head.spec.class_axes
    axes = next((axes for pattern, axes in table if re.fullmatch(pattern, name)), CLASS_ROWS)
    return tuple(a for a in axes if not a.only_if or getattr(head.module, a.only_if))


def outermost(model: nn.Module) -> tuple[Head, ...]:
    """Return the heads that stand in no other head."""
    heads = find_heads(model)
    paths = tuple(f"{head.path}." for head in heads)
    return tuple(h for h in heads if not any(h.path.startswith(p) for p in paths))


def log_prefix(path: str) -> str:
    """Return what the host puts before the losses of a head: ``decode``, ``aux_1``."""
    name, _, index = path.partition(".")
    prefix = _PREFIXES.get(name, name)
    return f"{prefix}_{index}" if index else prefix


def class_layers(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters sized by the classes; for a head without any, its last one."""
    parameters = dict(model.named_parameters())
    sized = [name for name in class_tensors(model) if name in parameters]
    for head in outermost(model):
        own = [name for name in parameters if name.startswith(f"{head.path}.")]
        if own and not any(name.startswith(f"{head.path}.") for name in sized):
            sized.append(own[-1])
    return {name: parameters[name] for name in sized}


def optimizers_of(wrapper: Any) -> list[Any]:
    """Return the optimizers of a wrapper, or of a dict of wrappers."""
    return [part.optimizer for part in _wrappers(wrapper)]


def iterations_a_step(wrapper: Any) -> int:
    """Return after how many iterations every optimizer of a wrapper has taken a step.

    Only ``OptimWrapper`` gathers gradients itself; the engines of other wrappers do it inside.
    """
    own = (part for part in _wrappers(wrapper) if isinstance(part, OptimWrapper))
    return max((part._accumulative_counts for part in own), default=1)


def _wrappers(wrapper: Any) -> list[Any]:
    if isinstance(wrapper, OptimWrapperDict):
        return list(wrapper.optim_wrappers.values())
    return [wrapper]
