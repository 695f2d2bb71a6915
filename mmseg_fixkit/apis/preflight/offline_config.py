"""A config that builds here: nothing is downloaded, nothing is written."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config

#: What builds a folder to write into.
_WRITES = ("output_dir",)


def without_downloads(config: Config) -> tuple[Config, tuple[str, ...]]:
    """Return a copy without downloads, and what was left out: ``pretrained`` of the backbone."""
    changed = copy.deepcopy(config)
    left_out: list[str] = []
    changed.model = _cleaned(config.model.to_dict(), "model", left_out)
    return changed, tuple(left_out)


def _cleaned(node: Any, key: str, left_out: list[str]) -> Any:
    if isinstance(node, dict):
        kept = {}
        for name, value in node.items():
            if _downloads(name, value):
                left_out.append(f"{key}.{name}")
            else:
                kept[name] = _cleaned(value, f"{key}.{name}", left_out)
        return kept
    if isinstance(node, (list, tuple)):
        parts = (_cleaned(v, f"{key}.{i}", left_out) for i, v in enumerate(node))
        return type(node)(parts)
    return node


def _downloads(name: str, value: Any) -> bool:
    if name == "init_cfg" and isinstance(value, dict):
        return "checkpoint" in value
    return name == "pretrained" and isinstance(value, str)


def writing_nothing(metric: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a metric that writes no files."""
    return {name: value for name, value in metric.items() if name not in _WRITES}
