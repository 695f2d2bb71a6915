"""The heads of a built model, recognised by class, subclasses included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable, Optional

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from mmseg_fixkit.host import HEAD_SPECS, HeadKind, HeadSpec, head_spec

_BASE_HEAD = "BaseDecodeHead"


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


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside wrappers for several processes."""
    while is_model_wrapper(model):
        model = model.module
    return model


def loading_target(model: nn.Module) -> nn.Module:
    """Return the module whose names a checkpoint has: also inside test-time augmentation."""
    model = unwrap(model)
    return unwrap(model.module) if isinstance(model, BaseTTAModel) else model


def find_heads(model: nn.Module) -> tuple[Head, ...]:
    """Return all heads of ``model``, also those in lists and in other heads, outermost first."""
    return tuple(_heads(unwrap(model)))


def _heads(model: nn.Module) -> Iterator[Head]:
    for path, module in model.named_modules():
        spec = _spec(type(module))
        if spec is not None and _has_count(module):
            yield Head(path, module, spec)


def _spec(kind: type[Any]) -> Optional[HeadSpec]:
    names = [base.__name__ for base in kind.__mro__]
    known = [name for name in names if name in HEAD_SPECS]
    if known:
        return HEAD_SPECS[known[0]]
    return head_spec(names[0]) if _BASE_HEAD in names else None


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


def class_sized(model: nn.Module) -> Callable[[str], bool]:
    """Return whether a tensor's name is of a layer whose shape follows the class count."""
    layers = [
        rf"{re.escape(head.path)}\.(?:{'|'.join(head.spec.class_layers)})(?:\..+)?"
        for head in find_heads(model)
        if head.spec.class_layers
    ]
    pattern = re.compile("|".join(layers) or r"(?!)")
    return lambda name: pattern.fullmatch(name) is not None
