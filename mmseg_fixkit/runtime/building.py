"""Models built by the host, with or without memory for their weights."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from torch import nn
from torch.overrides import TorchFunctionMode

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.load import ConfigLike, find_config, load

_FILLS = frozenset({"normal_", "uniform_"})


class _SchedulesOnCpu(TorchFunctionMode):
    """Keeps the numbers of ``linspace``, from which backbones read their drop path rates.

    Random numbers for tensors without memory are left out: torch would load its compiler for them.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in _FILLS and args and args[0].is_meta:
            return args[0]
        if func is torch.linspace:
            kwargs.setdefault("device", "cpu")
        return func(*args, **kwargs)


def read_config(config: ConfigLike) -> Config:
    """Read a config as the host's tools do: the modules in ``custom_imports`` are imported.

    Args:
        config: a path, a zoo name, or a ``mmengine.Config``, of which a copy is returned.

    Raises:
        FixkitError: it cannot be read, or one of its modules cannot be imported.
    """
    if isinstance(config, Config):
        return copy.deepcopy(config)
    path = find_config(str(config))
    try:
        return Config.fromfile(str(path))
    except Exception as error:  # a program, and the modules that it names
        load(path)  # says what is wrong with the config itself
        raise FixkitError(
            f"{path} cannot be read with its custom_imports: {type(error).__name__}: {error}"
        ) from error


def build(config: Config) -> nn.Module:
    """Build the model of a config; nothing is initialised or downloaded.

    Raises:
        FixkitError: the host cannot build it.
    """
    return _built(config)


def build_shapes(config: Config) -> nn.Module:
    """Build a model for its names and shapes only, without memory where that works.

    A constructor that looks at values cannot run without them; it runs on the CPU then.

    Raises:
        FixkitError: the host cannot build it.
    """
    try:
        with torch.device("meta"), _SchedulesOnCpu():
            return _built(config)
    except FixkitError:
        return _built(config)


def _built(config: Config) -> nn.Module:
    import mmseg.models  # noqa: F401 - registers
    from mmengine.registry import DefaultScope, init_default_scope
    from mmseg.registry import MODELS

    if DefaultScope.get_current_instance() is None:
        init_default_scope(config.get("default_scope", "mmseg"))
    if not isinstance(config.get("model"), Mapping):
        raise FixkitError(f"{config.filename or 'the config'} has no `model = dict(…)`")
    try:
        with warnings.catch_warnings():
            # What the host deprecates is none of the reader's business here.
            warnings.simplefilter("ignore")
            model: nn.Module = MODELS.build(copy.deepcopy(config.model))
    except Exception as error:  # constructors of the host and of custom modules
        raise FixkitError(
            f"the model of {config.filename or 'the config'} cannot be built: "
            f"{type(error).__name__}: {error}"
        ) from error
    return model
