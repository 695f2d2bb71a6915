"""Where the weights lie in what a file holds: wrappers, prefixes, and what is left out. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from mmseg_fixkit.core.text import counted

#: Keys under which programs keep the weights, the first one present wins. Averaged weights come
#: before those they are an average of: they are what is evaluated.
WRAPPERS = (
    "state_dict",
    "params_ema",
    "teacher",
    "model_ema",
    "model",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "params",
    "student",
    "module",
    "weights",
)
EMA = "ema_state_dict"
#: What ``EMAHook`` puts before the names of the weights in it.
EMA_PREFIX = "module."
#: What wrappers put before every name: DistributedDataParallel, torch.compile, Lightning modules.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
#: Those of them that are no names of a part of the model.
_WRAPPERS = PREFIXES[:2]
_LIGHTNING = "pytorch-lightning_version"
_MAX_DEPTH = 3
#: What a checkpoint may say of itself: levels of containers, and values in all of them.
_MAX_NESTED, _MAX_VALUES = 100, 1_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file as read.

    Its tensors lie in the file until they are used, so the file must stay as it is; changing a
    tensor does not change the file.
    """

    path: Path
    state_dict: dict[str, Any]  # as in the file; averaged weights in one of MMEngine's ``EMAHook``
    meta: dict[str, Any] = field(default_factory=dict)  # what the file says about itself
    #: ``ema_state_dict``; ``EMAHook`` swaps: weights *not* averaged, behind ``module.``, and steps
    ema: Optional[dict[str, Any]] = None
    dropped: tuple[str, ...] = ()  # names of other entries, such as optimizer, message_hub
    wrapped: str = ""  # the key above the state dict, such as 'model'; empty for a bare one
    prefix: str = ""  # what a wrapper put before the names: 'module.' (DDP), 'model.' (Lightning)

    def unprefixed(self) -> dict[str, Any]:
        """Return ``state_dict`` without ``prefix``."""
        return without_prefix(self.state_dict, self.prefix)

    def taken(self) -> str:
        """Say in a sentence what was taken of the file and what was not."""
        parts = [counted(len(self.state_dict), "tensor")]
        if self.wrapped not in ("", "state_dict"):
            parts.append(f"from {self.wrapped!r}")
        if self.prefix:
            parts.append(f"with {self.prefix!r} before their names")
        left = f"; not taken: {', '.join(self.dropped)}" if self.dropped else ""
        return f"{self.path}: {' '.join(parts)}{left}"


def checkpoint_in(raw: Any, path: Path) -> Optional[Checkpoint]:
    """Find the weights in ``raw``, which was read from ``path``; None where it holds none."""
    raw = _opened(raw)
    found = _weights(raw) if isinstance(raw, Mapping) else None
    if found is None:
        return None
    state, keys = found
    around = raw if keys else {}
    meta, ema = around.get("meta"), around.get(EMA)
    taken = {keys[0] if keys else "", "meta", *([EMA] if has_tensors(ema) else [])}
    dropped = [str(key) for key in around if key not in taken]
    dropped += [f"{key} (no tensor)" for key, value in state.items() if not is_tensor(value)]
    return Checkpoint(
        path=path,
        state_dict=tensors_of(state),
        meta=dict(meta) if isinstance(meta, Mapping) else {},
        ema=tensors_of(ema) if isinstance(ema, Mapping) and has_tensors(ema) else None,
        dropped=tuple(dropped),
        wrapped=".".join(keys),
        prefix=shared_prefix(tensors_of(state), mostly=_LIGHTNING in around),
    )


def _weights(
    raw: Mapping[Any, Any], depth: int = 0
) -> Optional[tuple[Mapping[Any, Any], list[str]]]:
    for key in WRAPPERS:
        inner = _opened(raw.get(key))
        found = _weights(inner, depth + 1) if _may_hold(inner, depth) else None
        if found is not None:
            return found[0], [key, *found[1]]
    return (raw, []) if has_tensors(raw) else None


def is_writable(meta: Any) -> bool:
    """Whether ``meta`` can be written: not nested too deep, nor endless for values in it twice.

    Values are counted each time that they are met, as a writer meets them.
    """
    left, todo = _MAX_VALUES, [(meta, 0)]
    while todo:
        value, depth = todo.pop()
        inner: Iterable[Any] = ()
        if isinstance(value, Mapping):
            inner = [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            inner = value
        todo.extend((part, depth + 1) for part in inner)
        left -= 1
        if left < len(todo) or depth > _MAX_NESTED:
            return False
    return True


def _opened(value: Any) -> Any:
    # A whole model, as only trusted files can hold it.
    whole = not isinstance(value, Mapping) and callable(getattr(value, "state_dict", None))
    return value.state_dict() if whole else value


def _may_hold(value: Any, depth: int) -> bool:
    return isinstance(value, Mapping) and depth < _MAX_DEPTH


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is a tensor, judged without torch."""
    return hasattr(value, "storage_offset")


def has_tensors(value: Any) -> bool:
    """Whether ``value`` is a mapping with a tensor right in it."""
    return isinstance(value, Mapping) and any(map(is_tensor, value.values()))


def tensors_of(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the tensors of ``state``, with the versions of its layers."""
    return with_versions({str(k): v for k, v in state.items() if is_tensor(v)}, state)


def with_versions(
    tensors: Mapping[str, Any], state: Mapping[Any, Any], rename: Callable[[str], str] = str
) -> dict[str, Any]:
    """Return ``tensors`` with the layer versions that torch and MMEngine keep beside ``state``.

    ``rename`` gives a name in ``state`` its new form.
    """
    result = OrderedDict(tensors)
    versions = getattr(state, "_metadata", None)
    if versions is not None:
        renamed = {rename(f"{name}.")[:-1]: version for name, version in versions.items()}
        result._metadata = renamed  # type: ignore[attr-defined]
    return result


def shared_prefix(names: Mapping[str, Any], *, mostly: bool = False) -> str:
    """Return what wrappers put before the names, such as ``module._orig_mod.``.

    With ``mostly`` some names may lack it, as those of a loss in a Lightning module do.
    """
    prefix, rest = "", list(names)
    while rest:
        step = next((p for p in PREFIXES if _begin_with(rest, p, mostly)), "")
        if not step:
            break
        prefix, rest = prefix + step, [n[len(step) :] for n in rest if n.startswith(step)]
    return prefix


def _begin_with(names: list[str], prefix: str, mostly: bool) -> bool:
    count = sum(name.startswith(prefix) for name in names)
    return count == len(names) or (mostly and count > len(names) / 2)


def without_prefix(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return ``state`` with ``prefix`` taken off the names that have it."""

    def rename(name: str) -> str:
        return name[len(prefix) :] if name.startswith(prefix) else name

    return with_versions({rename(name): value for name, value in state.items()}, state, rename)


def bare_name(name: str) -> str:
    """Return a tensor's name without what wrappers of whole models put before it."""
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


@dataclass(frozen=True)
class Source:
    """What is adapted, under the model's names; see :func:`source_of`."""

    name: str  # what messages call it
    tensors: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)  # what its file says about itself
    ema: Optional[Mapping[str, Any]] = None  # of ``EMAHook``: tensors behind ``module.``, counters

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}

    def averaged(self) -> Optional[Source]:
        """Return the tensors in ``ema`` under their own names; None where there is none."""
        if self.ema is None:
            return None
        cut = len(EMA_PREFIX)
        tensors = {n[cut:]: v for n, v in self.ema.items() if n.startswith(EMA_PREFIX)}
        return Source(f"{self.name} (ema_state_dict)", tensors)

    def with_average(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``ema`` with other tensors and the same counters."""
        counters = {n: v for n, v in (self.ema or {}).items() if not n.startswith(EMA_PREFIX)}
        return {**counters, **{f"{EMA_PREFIX}{n}": tensor for n, tensor in tensors.items()}}


def source_of(
    state_dict: Mapping[str, Any],
    name: str,
    meta: Optional[Mapping[str, Any]] = None,
    ema: Optional[Mapping[str, Any]] = None,
    prefix: str = "",
) -> Source:
    """Return a state dict under the names of the model.

    ``module.`` and ``_orig_mod.`` are taken off, and ``prefix``, of ``ema`` too; for the rest see
    :class:`Source`.
    """

    def averaged(name: str) -> str:
        own = name.startswith(EMA_PREFIX)  # the others are counters
        return EMA_PREFIX + bare_name(name[len(EMA_PREFIX) :].removeprefix(prefix)) if own else name

    state = without_prefix(state_dict, prefix)
    tensors = {bare_name(n): value for n, value in state.items() if hasattr(value, "shape")}
    return Source(
        name,
        with_versions(tensors, state, bare_name),
        meta or {},
        None if ema is None else {averaged(n): value for n, value in ema.items()},
    )
