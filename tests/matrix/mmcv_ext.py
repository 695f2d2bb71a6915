"""Stands for the compiled ops of mmcv in mmcv-lite, so that modules that name them are imported.

Copied to ``mmcv/_ext.py``. Most heads never call an op; one that does says what is missing.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def op(*_: Any, **__: Any) -> Any:
        raise NotImplementedError(f"mmcv-lite has no compiled op {name}")

    return op
