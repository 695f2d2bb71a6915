"""Where the weights lie in what a file holds: wrappers, prefixes, and what is left out. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

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
#: What wrappers put before every name: DistributedDataParallel, torch.compile, Lightning modules.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
_LIGHTNING = "pytorch-lightning_version"
_MAX_DEPTH = 3


@dataclass(frozen=True)
class Contents:
    """What was found in a file; see :class:`~mmseg_fixkit.checkpoint.files.Checkpoint`."""

    state_dict: dict[str, Any]
    meta: dict[str, Any]
    ema: Optional[dict[str, Any]]
    dropped: tuple[str, ...]
    wrapped: str
    prefix: str


def contents(raw: Any) -> Optional[Contents]:
    """Find the weights in ``raw``; None where it holds none."""
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
    return Contents(
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


def _opened(value: Any) -> Any:
    # A whole model, as only trusted files can hold it.
    whole = not isinstance(value, Mapping) and callable(getattr(value, "state_dict", None))
    return value.state_dict() if whole else value


def _may_hold(value: Any, depth: int) -> bool:
    return isinstance(value, Mapping) and depth < _MAX_DEPTH


def is_tensor(value: Any) -> bool:
    """Whether ``value`` is a tensor, judged without torch."""
    return hasattr(value, "untyped_storage")


def has_tensors(value: Any) -> bool:
    """Whether ``value`` is a mapping with a tensor right in it."""
    return isinstance(value, Mapping) and any(map(is_tensor, value.values()))


def tensors_of(state: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the tensors, with the versions of the layers that MMEngine and torch keep aside."""
    tensors = OrderedDict((str(k), v) for k, v in state.items() if is_tensor(v))
    metadata = getattr(state, "_metadata", None)
    if metadata is not None:
        tensors._metadata = metadata  # type: ignore[attr-defined]
    return tensors


def shared_prefix(names: Mapping[str, Any], *, mostly: bool = False) -> str:
    """Return what wrappers put before the names, such as ``module._orig_mod.``.

    Args:
        names: of the tensors.
        mostly: whether some names may lack it, as those of a loss in a Lightning module do.
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
    cut = len(prefix)
    return {(n[cut:] if n.startswith(prefix) else n): value for n, value in state.items()}
