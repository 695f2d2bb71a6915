"""Gives a live module the class-dependent parts of a freshly built twin.

The live module stays the same object, and so do all its layers: only parameters and buffers of
another shape and plain attributes of another value are exchanged. So hooks, wrappers and shared
references survive, and no table of head types is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Union

import numpy as np
from torch import Tensor, nn

from mmseg_fixkit.runtime.errors import ClassCountError

_PLAIN = (bool, int, float, str, np.ndarray, type(None))

#: What torch and MMEngine keep in every module; never copied.
_BOOKKEEPING = frozenset(vars(nn.Module())) | {"_is_init", "_params_init_info"}


@dataclass(frozen=True)
class Swap:
    """One thing that changes: ``module.name`` becomes ``after``; ``path`` is for people."""

    path: str
    module: nn.Module
    name: str
    before: Any
    after: Any

    @property
    def is_tensor(self) -> bool:
        """Whether it is a parameter or a buffer."""
        return isinstance(self.after, Tensor)


def plan_swaps(live: nn.Module, fresh: nn.Module, path: str) -> tuple[Swap, ...]:
    """Return what has to change in ``live`` to be sized as ``fresh`` is.

    Args:
        live: a built module.
        fresh: the same module, built from the patched config; its tensors end up in ``live``.
        path: the dotted name of ``live``.

    Raises:
        ClassCountError: the two differ in more than sizes and plain values.
    """
    return tuple(_swaps(live, fresh, path))


def apply_swaps(swaps: Iterable[Swap]) -> dict[int, nn.Parameter]:
    """Carry the swaps out; return id of the replaced parameter -> parameter in its place.

    New tensors take device, type and ``requires_grad`` of the old; a parameter under two names
    stays one.
    """
    placed: dict[int, nn.Parameter] = {}
    for swap in swaps:
        if isinstance(swap.before, nn.Parameter):
            if id(swap.before) not in placed:
                placed[id(swap.before)] = _parameter_like(swap.after, swap.before)
            setattr(swap.module, swap.name, placed[id(swap.before)])
        elif swap.is_tensor:
            setattr(swap.module, swap.name, swap.after.to(swap.before))
        else:
            setattr(swap.module, swap.name, swap.after)
    return placed


def _parameter_like(new: Tensor, old: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(new.detach().to(old), requires_grad=old.requires_grad)


def _swaps(live: nn.Module, fresh: nn.Module, path: str) -> Iterator[Swap]:
    _check_twins(live, fresh, path)
    for name, old in _tensors(live).items():
        new = _tensors(fresh)[name]
        if old.shape != new.shape:
            yield Swap(f"{path}.{name}", live, name, old, new)
    for name, value in _plain_attributes(fresh).items():
        if not _same(getattr(live, name, None), value):
            yield Swap(f"{path}.{name}", live, name, getattr(live, name, None), value)
    for name, child in live.named_children():
        twin = fresh.get_submodule(name)
        if type(child) is not type(twin) and not (_all_tensors(child) or _all_tensors(twin)):
            yield Swap(f"{path}.{name}", live, name, child, twin)  # a loss of another type
        else:
            yield from _swaps(child, twin, f"{path}.{name}")


def _check_twins(live: nn.Module, fresh: nn.Module, path: str) -> None:
    for what, mine, other in (
        ("type", type(live).__name__, type(fresh).__name__),
        ("layers", [n for n, _ in live.named_children()], [n for n, _ in fresh.named_children()]),
        ("tensors", list(_tensors(live)), list(_tensors(fresh))),
    ):
        if mine != other:
            raise ClassCountError(
                f"the {what} of {path} are {mine} in the built model, but its config asks for "
                f"{other}, so it cannot be repaired in place; write a new config with "
                "`mmseg-fix patch` and train from that"
            )


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers that ``module`` itself owns."""
    own = [*vars(module)["_parameters"].items(), *vars(module)["_buffers"].items()]
    return {name: value for name, value in own if value is not None}


def _all_tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    own = {name: value for name, value in vars(module).items() if name not in _BOOKKEEPING}
    return {name: value for name, value in own.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(v) for v in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(v) for v in value)
    return isinstance(value, _PLAIN)


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return bool(old == new)


def brief(value: Union[Tensor, Any]) -> str:
    """Write a value of a swap for a table."""
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    if isinstance(value, nn.Module):
        return type(value).__name__
    text = repr(value)
    return text if len(text) <= 40 else f"{type(value).__name__} of {len(value)}"
