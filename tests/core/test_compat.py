"""What a version of the stack is said to have, it has."""

from __future__ import annotations

import importlib
import inspect

import torch

from mmseg_fixkit.core.compat import CAME_IN, has


def test_what_is_said_is_there() -> None:
    config = importlib.import_module("mmengine.config")
    there = {
        "Tensor.untyped_storage": hasattr(torch.Tensor, "untyped_storage"),
        "sparse_coo_tensor(check_invariants=)": hasattr(
            torch.sparse, "check_sparse_tensor_invariants"
        ),
        "load(mmap=)": "mmap" in inspect.signature(torch.load).parameters,
        "add_safe_globals with names": _takes_names(),
        "read_base": hasattr(config, "read_base")
        and "lazy_import" in inspect.signature(config.Config.fromfile).parameters,
    }
    assert {what: has(what) for what in CAME_IN} == there


def _takes_names() -> bool:
    safe_globals = getattr(torch.serialization, "safe_globals", None)
    if safe_globals is None:
        return False
    try:
        with safe_globals([(dict, "tests.core.test_compat.named")]):
            torch.serialization.get_unsafe_globals_in_checkpoint  # noqa: B018 - of the same version
    except (AttributeError, TypeError):
        return False
    return True
