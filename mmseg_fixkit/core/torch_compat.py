"""What some versions of torch lack, each with the version it came in; nothing else asks for them.

torch is imported when it is asked for, never before.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

#: What is used of torch that its oldest version that is supported (1.13) lacks.
CAME_IN: dict[str, tuple[int, int]] = {
    "Tensor.untyped_storage": (2, 0),
    "sparse_coo_tensor(check_invariants=)": (2, 0),
    "load(mmap=)": (2, 1),
    # Before it, torch.load opens everything unless told otherwise.
    "add_safe_globals with names": (2, 6),
}


@cache
def torch_has(what: str) -> bool:
    """Whether the installed torch has ``what``, a name in :data:`CAME_IN`."""
    import torch

    installed = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
    return installed >= CAME_IN[what]


def untyped_storage(tensor: Any) -> Any:
    """Return the memory below a tensor, as bytes."""
    if torch_has("Tensor.untyped_storage"):
        return tensor.untyped_storage()
    return tensor.storage().untyped()


def checked(what: str) -> dict[str, bool]:
    """Return the keyword that makes a function check its arguments, where one is needed for it."""
    return {"check_invariants": True} if torch_has(what) else {}


def load_anything(path: str, *, mmap: bool) -> Any:
    """Load a file that may run what it likes, onto the CPU; mapped where torch can."""
    import torch

    mapped = {"mmap": mmap} if torch_has("load(mmap=)") else {}
    return torch.load(path, map_location="cpu", weights_only=False, **mapped)
