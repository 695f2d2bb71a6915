"""State dicts of other classes, adapted to a built model."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Optional
from zlib import crc32

import torch
from torch import Tensor, nn

from mmseg_fixkit.checkpoint.adapt import (
    Needs,
    Source,
    adapt,
    bare_name,
    by_model_name,
    named_rows,
)
from mmseg_fixkit.checkpoint.contents import without_prefix
from mmseg_fixkit.checkpoint.names import NamesLike, given_names, names_in_meta
from mmseg_fixkit.checkpoint.report import AdaptReport
from mmseg_fixkit.checkpoint.rows import MappingLike, RowPlan, plan_rows
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.runtime.building import Unfilled
from mmseg_fixkit.runtime.heads import (
    class_tensors,
    has_several_labels,
    loading_target,
    shapes_of,
)

#: What ``EMAHook`` puts before the names of the averaged weights.
EMA_PREFIX = "module."


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
        old_classes: names in the order of the rows, or a data set that the host knows.
        new_classes: likewise; where left out, those of ``model.dataset_meta``.
        mapping: ``old -> new`` (or list of new) for classes under other names; see
            :func:`~mmseg_fixkit.checkpoint.rows.plan_rows`.

    Returns:
        The tensors that the model has, under its names, and what became of each. Without class
        names on both sides, class-sized tensors of another shape start anew.

    Raises:
        CheckpointMismatch: a tensor differs for another reason than the classes, much of the
            backbone is missing, or class names and rows are not equally many.
        FixkitError: an unknown class in ``mapping``, or classes of one side only.
    """
    target = loading_target(model)
    new = given_names(new_classes) or names_in_meta({"dataset_meta": _dataset_meta(target)})
    source, needs = source_of(state_dict, "the state dict"), needs_of(target)
    plan = plan_for(*named_rows(source, needs, given_names(old_classes), new), mapping)
    tensors, report = adapt(source, needs, plan)
    return with_versions(tensors, state_dict), report


def with_versions(tensors: dict[str, Tensor], state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return ``tensors`` with the layer versions that torch keeps beside a state dict."""
    versions = getattr(state, "_metadata", None)
    if versions is None:
        return tensors
    result = OrderedDict(tensors)
    result._metadata = {bare_name(f"{n}.")[:-1]: v for n, v in versions.items()}  # type: ignore[attr-defined]
    return result


def _dataset_meta(model: nn.Module) -> Any:
    return getattr(model, "dataset_meta", None)


def plan_for(
    old: Optional[tuple[str, ...]], new: Optional[tuple[str, ...]], mapping: MappingLike
) -> Optional[RowPlan]:
    """Plan by name; None where the names of a side are not known.

    Raises:
        FixkitError: old names or a mapping are given, and names are missing.
    """
    if old and new:
        return plan_rows(old, new, mapping)
    if old or mapping:
        side = "model's" if old else "checkpoint's"
        raise FixkitError(
            f"the {side} classes are not known, so rows cannot be kept by name; name them too"
        )
    return None


def source_of(
    state_dict: Mapping[str, Any], name: str, meta: Optional[Mapping[str, Any]] = None
) -> Source:
    """Return a state dict under the names of the model."""
    names = by_model_name(state_dict)
    return Source(name, {bare: state_dict[full] for bare, full in names.items()}, meta or {})


def needs_of(model: nn.Module) -> Needs:
    """Return what a built model needs of a state dict."""
    shapes = shapes_of(model)
    classes = class_tensors(model, shapes)
    fresh = _Fresh(model, {n: t.head for n, t in classes.items()})
    return Needs(shapes, classes, fresh, has_several_labels(model))


class _Fresh:
    """Initial values of class-sized tensors.

    Those of the live model where it is initialised: several processes have agreed on them. Else
    a copy of the head is initialised, always with the same numbers.
    """

    def __init__(self, model: nn.Module, heads: Mapping[str, str]) -> None:
        self._model = model
        self._heads = heads
        self._states: dict[str, dict[str, Tensor]] = {}

    def __call__(self, name: str) -> Tensor:
        path = self._heads[name]
        if path not in self._states:
            self._states[path] = self._state(path)
        return self._states[path][name[len(path) + 1 :]]

    def _state(self, path: str) -> dict[str, Tensor]:
        head = self._model.get_submodule(path)
        initialised = any(getattr(m, "is_init", False) for m in self._above(path))
        if initialised and not any(t.is_meta for t in head.parameters()):
            live: dict[str, Tensor] = head.state_dict()
            return live
        wanted = {n[len(path) + 1 :] for n, home in self._heads.items() if home == path}
        return initialised_state(head, crc32(path.encode()), wanted)

    def _above(self, path: str) -> Iterator[nn.Module]:
        parts = path.split(".")
        return (self._model.get_submodule(".".join(parts[:i])) for i in range(len(parts) + 1))


def initialised_state(head: nn.Module, seed: int, wanted: Collection[str]) -> dict[str, Tensor]:
    """Return tensors of a copy of ``head``, initialised as the host initialises it.

    What ``init_cfg`` does not reach has the values that torch gives a new layer, even if the head
    was built without any (on the ``meta`` device, or with initialisation switched off).

    Args:
        head: stays as it is.
        seed: the same one gives the same numbers.
        wanted: names of the tensors. No others get memory and numbers, unless the head's own
            initialisation looks at them.
    """
    try:
        return _initialised(head, seed, wanted)
    except Exception:  # whatever comes of values that are not there
        return _initialised(head, seed, head.state_dict().keys())


def _initialised(head: nn.Module, seed: int, wanted: Collection[str]) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]), Unfilled():
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
    weights = [*head.named_parameters(remove_duplicate=False)]
    buffers = [*head.named_buffers(remove_duplicate=False)]
    filled = {id(value) for name, value in weights + buffers if name in wanted}
    copies: dict[int, Tensor] = {}
    for _, value in weights:
        copies[id(value)] = nn.Parameter(_zeros(value, id(value) in filled), value.requires_grad)
    for _, value in buffers:
        meta = value.is_meta
        copies[id(value)] = _zeros(value, id(value) in filled) if meta else value.cpu().clone()
    return copy.deepcopy(head, copies)


def _zeros(like: Tensor, with_memory: bool) -> Tensor:
    device = "cpu" if with_memory else "meta"
    return torch.zeros(like.shape, dtype=like.dtype, device=device)


def _has_memory(module: nn.Module) -> bool:
    return not all(weight.is_meta for weight in module.parameters())


def adapt_ema(
    ema: Mapping[str, Any], needs: Needs, plan: Optional[RowPlan], name: str, prefix: str = ""
) -> dict[str, Any]:
    """Adapt averaged weights (``ema_state_dict``) like the others; counters in it stay.

    Args:
        ema: the entry of the file.
        needs: of the model.
        plan: where the rows of each class come from.
        name: what messages call the file.
        prefix: what stands before the model's names in the file, behind that of ``EMAHook``.

    Raises:
        CheckpointMismatch: as in :func:`adapt_state_dict`.
    """
    weights = {n[len(EMA_PREFIX) :]: v for n, v in ema.items() if n.startswith(EMA_PREFIX)}
    source = source_of(without_prefix(weights, prefix), f"{name} (ema_state_dict)")
    tensors, _ = adapt(source, needs, plan)
    rest = {n: v for n, v in ema.items() if not n.startswith(EMA_PREFIX)}
    return {**rest, **{f"{EMA_PREFIX}{n}": v for n, v in tensors.items()}}
