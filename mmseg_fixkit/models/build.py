"""Models built by the host, with or without memory for their weights."""

from __future__ import annotations

import copy
import gc
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings
from torch import nn
from torch.overrides import TorchFunctionMode

from mmseg_fixkit.config.load import ConfigLike, find_config, from_file
from mmseg_fixkit.core.errors import FixkitError

#: What fills a tensor with random numbers: methods, and functions of ``torch.nn.init`` that hand
#: themselves over whole.
_FILLS = frozenset({"normal_", "uniform_", "kaiming_uniform_"})


class SkipInit(TorchFunctionMode):
    """Leaves tensors without memory as they are, where they would be filled with random numbers.

    Torch would load its compiler to do nothing: a second. The mean of such a tensor, which MMEngine
    takes of every weight before and after its initialisation, is zero.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _FILLS or name == "mean":
            tensor = args[0] if args else (kwargs or {}).get("tensor")
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                return tensor if name in _FILLS else torch.zeros(())
        return func(*args, **(kwargs or {}))


class MetaParameters(SkipInit):
    """Gives layers no memory, which all of torch's take with ``torch.empty``.

    Not the context ``torch.device("meta")``: it would take the numbers from everything else too,
    such as the drop path rates of ``linspace``, which constructors read.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.empty and not (kwargs and kwargs.get("device")):
            kwargs = {**(kwargs or {}), "device": "meta"}
        return super().__torch_function__(func, types, args, kwargs)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Keep Python from looking for cycles: with the host imported, each time takes 20 ms."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def read_config(config: ConfigLike) -> Config:
    """Read a config as the host's tools do: the modules in ``custom_imports`` are imported.

    Of a ``Config``, a copy is returned. Raises ``FixkitError`` where it cannot be read, or one of
    its modules cannot be imported.
    """
    if isinstance(config, Config):
        return copy.deepcopy(config)
    path = find_config(str(config))
    read = from_file(path)
    if read.get("custom_imports") and not read._imported_names:
        _import_modules(path, read.custom_imports)  # MMEngine does not in new-style configs
    return read


def _import_modules(path: Path, custom_imports: Mapping[str, Any]) -> None:
    try:
        import_modules_from_strings(**custom_imports)
    except Exception as error:  # modules are programs
        raise FixkitError(
            f"{path} cannot be read with its custom_imports: {type(error).__name__}: {error}"
        ) from error


def build(config: Config) -> nn.Module:
    """Build a model without values or downloads; raise ``FixkitError`` where the host cannot."""
    return _built(config)


def build_shapes(config: Config) -> nn.Module:
    """Build a model for its names and shapes only, without memory where that works.

    A constructor that looks at values cannot run without them; it runs on the CPU then. Raises
    ``FixkitError`` where the host cannot build it.
    """
    try:
        with MetaParameters():
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
