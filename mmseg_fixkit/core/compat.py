"""What some versions of the stack lack, with the version it came in; nothing else asks for them.

torch and MMEngine are imported when they are asked for, never before.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

Version = tuple[int, int]

#: What is used that the oldest versions that are supported (torch 1.13, MMEngine 0.7) lack.
CAME_IN: dict[str, tuple[str, Version]] = {
    "Tensor.untyped_storage": ("torch", (2, 0)),
    "sparse_coo_tensor(check_invariants=)": ("torch", (2, 0)),
    "load(mmap=)": ("torch", (2, 1)),
    # Before it, torch.load opens everything unless told otherwise.
    "add_safe_globals with names": ("torch", (2, 6)),
    "read_base": ("mmengine", (0, 8)),  # and Config.fromfile(lazy_import=)
}


@cache
def has(what: str) -> bool:
    """Whether the installed stack has ``what``, a name in :data:`CAME_IN`."""
    package, version = CAME_IN[what]
    return installed(package) >= version


def installed(package: str) -> Version:
    """Return the first two numbers of the version of a package, which is imported."""
    text = importlib.import_module(package).__version__
    major, minor = re.findall(r"\d+", text)[:2]
    return int(major), int(minor)


def untyped_storage(tensor: Any) -> Any:
    """Return the memory below a tensor, as bytes."""
    if has("Tensor.untyped_storage"):
        return tensor.untyped_storage()
    return tensor.storage().untyped()


def checked(what: str) -> dict[str, bool]:
    """Return the keyword that makes a function check its arguments, where one is needed for it."""
    return {"check_invariants": True} if has(what) else {}


def load_anything(path: str, *, mmap: bool) -> Any:
    """Load a file that may run what it likes, onto the CPU; mapped where torch can."""
    import torch

    mapped = {"mmap": mmap} if has("load(mmap=)") else {}
    return torch.load(path, map_location="cpu", weights_only=False, **mapped)
