"""State dicts of other classes, adapted to a built model."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from mmseg_fixkit.checkpoint.adapt import ClassNames, ModelSpec, adapt
from mmseg_fixkit.checkpoint.contents import source_of
from mmseg_fixkit.checkpoint.names import NamesLike, given_names, names_in_meta
from mmseg_fixkit.checkpoint.report import AdaptReport
from mmseg_fixkit.checkpoint.rows import ClassTensor, MappingLike
from mmseg_fixkit.models.build import SkipInit
from mmseg_fixkit.models.heads import class_tensors, is_multilabel_model, loading_target, shapes_of
from mmseg_fixkit.rules.checkpoint import with_findings


def adapt_state_dict(
    state_dict: Mapping[str, Any],
    model: nn.Module,
    old_classes: NamesLike = None,
    new_classes: NamesLike = None,
    mapping: MappingLike = None,
) -> tuple[dict[str, Tensor], AdaptReport]:
    """Make a state dict of other classes fit a model; neither is changed.

    Rows of classes that both have go to their new place. Rows of other classes are the model's
    own, if it is initialised, else those of an initialised copy of its head.

    Args:
        state_dict: of a model of the same architecture; ``module.`` and ``_orig_mod.`` before its
            names are taken off.
        model: built with the new classes, wrapped or not, also on the ``meta`` device.
        old_classes: names in the order of the rows, or a dataset that the host knows.
        new_classes: likewise; where left out, those of ``model.dataset_meta``.
        mapping: ``old -> new`` (or list of new) for classes under other names; see
            :func:`~mmseg_fixkit.checkpoint.rows.map_classes`.

    Returns:
        The tensors that the model has, under its names, and what became of each. Without class
        names on both sides, class-sized tensors of another shape start from scratch.

    Raises:
        CheckpointMismatch: a tensor differs for another reason than the classes, much of the
            backbone is missing, or class names and rows are not equally many.
        FixkitError: an unknown class in ``mapping``, or classes of one side only.
    """
    target = loading_target(model)
    meta = {"dataset_meta": getattr(target, "dataset_meta", None)}
    new = given_names(new_classes) or names_in_meta(meta)
    names = ClassNames(given_names(old_classes), new, mapping)
    adapted = adapt(source_of(state_dict, "the state dict"), spec_of(target), names)
    return adapted.state_dict, with_findings(adapted)


def spec_of(model: nn.Module) -> ModelSpec:
    """Return what a built model needs of a state dict, and its own values of class layers."""
    shapes = shapes_of(model)
    tensors = class_tensors(model, shapes)
    initial = partial(initial_values, model, tensors)
    return ModelSpec(shapes, tensors, initial, is_multilabel_model(model))


def initial_values(
    model: nn.Module, tensors: Mapping[str, ClassTensor], names: Iterable[str]
) -> dict[str, Tensor]:
    """Return initial values of the class-sized tensors ``names``, and of the rest of their heads.

    Those of the live model where it is initialised: several processes have agreed on them. Else
    a copy of the head is initialised, always with the same numbers. ``tensors`` are all
    class-sized ones; the model stays as it is.
    """
    values: dict[str, Tensor] = {}
    for head in sorted({tensors[name].head for name in names}):
        own = {n[len(head) + 1 :] for n, tensor in tensors.items() if tensor.head == head}
        found = _head_values(model, head, own)
        values.update({f"{head}.{name}": value for name, value in found.items()})
    return values


def _head_values(model: nn.Module, path: str, wanted: Collection[str]) -> dict[str, Tensor]:
    head = model.get_submodule(path)
    initialised = any(getattr(module, "is_init", False) for module in _down_to(model, path))
    if initialised and not any(parameter.is_meta for parameter in head.parameters()):
        live: dict[str, Tensor] = head.state_dict()
        return live
    return initialised_state(head, crc32(path.encode()), wanted)


def _down_to(model: nn.Module, path: str) -> Iterator[nn.Module]:
    parts = path.split(".")
    return (model.get_submodule(".".join(parts[:i])) for i in range(len(parts) + 1))


def initialised_state(head: nn.Module, seed: int, wanted: Collection[str]) -> dict[str, Tensor]:
    """Return the ``wanted`` tensors of a copy of ``head``, initialised as the host initialises it.

    What ``init_cfg`` does not reach has the values that torch gives a new layer, even if the head
    was built without any (on the ``meta`` device, or with initialisation switched off). No others
    get memory and numbers, unless the head's own initialisation looks at them. The numbers follow
    from ``seed``.
    """
    try:
        return _initialised(head, seed, wanted)
    except Exception:  # whatever comes of values that are not there
        return _initialised(head, seed, head.state_dict().keys())


def _initialised(head: nn.Module, seed: int, wanted: Collection[str]) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]), SkipInit():
        torch.default_generator.manual_seed(seed)  # and not those of GPUs, which nobody restores
        fresh = _copy(head, wanted)
        for module in fresh.modules():
            if callable(getattr(module, "reset_parameters", None)) and _has_memory(module):
                module.reset_parameters()
        if hasattr(fresh, "init_weights"):
            # MMEngine would write a line for each parameter into the log.
            fresh._dump_init_info = lambda: None
            fresh.init_weights()
    return {name: value for name, value in fresh.state_dict().items() if name in wanted}


def _copy(head: nn.Module, wanted: Collection[str]) -> nn.Module:
    """Copy ``head``, with zeros for the tensors that are wanted and no memory for other weights."""
    tensors = [*_named_tensors(head)]
    filled = {id(value) for name, value in tensors if name in wanted}
    copies: dict[int, Tensor] = {}
    for _, value in tensors:
        if isinstance(value, nn.Parameter):
            zeros = _zeros(value, id(value) in filled)
            copies[id(value)] = nn.Parameter(zeros, value.requires_grad)
        else:
            meta = value.is_meta
            copies[id(value)] = _zeros(value, id(value) in filled) if meta else value.cpu().clone()
    return copy.deepcopy(head, copies)


def _named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    # Under each of its names, which torch gives of parameters since 2.0 only.
    for prefix, part in module.named_modules(remove_duplicate=False):
        for name, value in (*part._parameters.items(), *part._buffers.items()):
            if value is not None:
                yield f"{prefix}.{name}" if prefix else name, value


def _zeros(like: Tensor, with_memory: bool) -> Tensor:
    device = "cpu" if with_memory else "meta"
    return torch.zeros(like.shape, dtype=like.dtype, device=device)


def _has_memory(module: nn.Module) -> bool:
    return not all(weight.is_meta for weight in module.parameters())
