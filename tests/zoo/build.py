"""Models built by the host, without memory for their weights where that works."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _SchedulesOnCpu(TorchFunctionMode):
    """Keeps the numbers of ``linspace``: backbones read their drop path rates from it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


@contextlib.contextmanager
def on_meta() -> Iterator[None]:
    """Tensors made inside have a shape and a dtype, and no values."""
    with torch.device("meta"), _SchedulesOnCpu():
        yield


def build(model: Any) -> Any:
    """Build a model as ``Runner`` does, on the CPU."""
    import mmseg.models  # noqa: F401 - registers
    from mmengine.registry import DefaultScope, init_default_scope
    from mmseg.registry import MODELS

    if DefaultScope.get_current_instance() is None:
        init_default_scope("mmseg")
    return MODELS.build(copy.deepcopy(model))


def build_shapes(model: Any) -> tuple[Any, str]:
    """Return a model for its shapes only, and the device that it is on.

    A constructor that looks at values cannot run without them; it runs on the CPU then, where a
    real fault of the config shows again.
    """
    try:
        with on_meta():
            return build(model), "meta"
    except Exception:
        return build(model), "cpu"
