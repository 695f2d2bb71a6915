"""The configs of the installed zoo, grouped by the types of their heads."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmseg_fixkit.config.host import package_path, type_name
from mmseg_fixkit.config.tree import walk
from tests.helpers.runs import NEEDS

ROOT = (package_path() or Path()) / ".mim" / "configs"


def all_configs() -> tuple[str, ...]:
    """Return every config below the zoo's folders, as ``method/file.py``."""
    files = sorted(p for p in ROOT.glob("*/*.py") if p.parent.name != "_base_")
    return tuple(p.relative_to(ROOT).as_posix() for p in files)


def method_of(config: str) -> str:
    return config.partition("/")[0]


def one_of_each_method() -> dict[str, Path]:
    """Return the first config of every folder: a folder is a method. Depth is none of ours."""
    first: dict[str, Path] = {}
    for config in all_configs():
        first.setdefault(method_of(config), ROOT / config)
    first.pop("vpd", None)
    return first


def head_types(model: dict[str, Any]) -> str:
    """Return the types of a model's heads: ``FCNHead, OCRHead`` or ``PSPHead + FCNHead``.

    Auxiliary heads stand behind the ``+``, the first stage of K-Net in brackets.
    """
    decode = ", ".join(_types(model.get("decode_head")))
    auxiliary = ", ".join(_counted(_types(model.get("auxiliary_head"))))
    return f"{decode} + {auxiliary}" if auxiliary else decode


def _types(heads: Any) -> Iterator[str]:
    for head in heads if isinstance(heads, (list, tuple)) else [heads] if heads else []:
        inner = list(_types(head.get("kernel_generate_head")))
        yield type_name(head["type"]) + (f"({inner[0]})" if inner else "")


def _counted(types: Iterator[str]) -> Iterator[str]:
    """``A, A, B`` -> ``2 A, B``."""
    found = list(types)
    for kind in dict.fromkeys(found):
        times = found.count(kind)
        yield f"{times} {kind}" if times > 1 else kind


def lacks(config: str, model: dict[str, Any]) -> str:
    """Return the package that building ``model`` needs and that is not installed; or nothing."""
    kinds = [value for key, value in walk(model) if key and key[-1] == "type"]
    scopes = [kind.partition(".")[0] for kind in kinds if isinstance(kind, str) and "." in kind]
    wanted = [*scopes, *(NEEDS[m] for m in (method_of(config),) if m in NEEDS)]
    return next((name for name in wanted if importlib.util.find_spec(name) is None), "")
