"""The ``.safetensors`` format: tensors and a table of texts, nothing that could run.

Its table holds texts only, so ``meta`` is kept in it as JSON. What JSON has no form for is
brought nearest: tuples and arrays become lists; keys that are no texts are kept as pairs.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mmseg_fixkit.errors import FixkitError

_META = "meta"
_PAIRS = "__pairs__"


def _library(path: Path) -> ModuleType:
    try:
        import safetensors.torch
    except ModuleNotFoundError:
        raise FixkitError(
            f"{path} needs the package safetensors, which is not installed here: "
            "pip install safetensors, or use a .pth file"
        ) from None
    library: ModuleType = safetensors
    return library


def read_safetensors(path: Path) -> dict[str, Any]:
    """Read a file as ``{'state_dict': …, 'meta': …}``; the tensors stay in the file until used.

    Raises:
        FixkitError: the package is missing, or the file is damaged.
    """
    library = _library(path)
    try:
        with library.safe_open(str(path), framework="pt") as file:
            names = file.keys()
            state = {name: file.get_tensor(name) for name in names}
            texts = file.metadata() or {}
    except (library.SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise FixkitError(f"{path} is cut off or damaged: {error}. Fetch it again") from None
    return {"state_dict": state, "meta": _meta(texts)}


def write_safetensors(
    path: Path, shown: Path, state_dict: Mapping[str, Any], meta: Mapping[str, Any]
) -> None:
    """Write tensors and ``meta`` to ``path``; tensors that share memory are written each."""
    library = _library(shown)
    texts = {"format": "pt", _META: json.dumps(_plain(meta), ensure_ascii=False)}
    try:
        library.torch.save_file(_apart(state_dict), str(path), texts)
    except library.SafetensorError as error:
        reason = re.sub(r".*I/O error: | \(os error \d+\)", "", str(error))
        raise OSError(errno.EIO, reason) from None


def _apart(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    seen: set[int] = set()
    result = {}
    for name, tensor in state_dict.items():
        memory = tensor.untyped_storage().data_ptr()
        own = tensor.contiguous()
        result[name] = own.clone() if memory in seen and own is tensor else own
        seen.add(memory)
    return result


def _meta(texts: Mapping[str, str]) -> dict[str, Any]:
    rest = {key: text for key, text in texts.items() if key not in (_META, "format")}
    try:
        meta = _restored(json.loads(texts.get(_META, "{}")))
    except ValueError:
        meta = texts[_META]
    return {**rest, **(meta if isinstance(meta, dict) else {_META: meta})}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        pairs = {key: _plain(inner) for key, inner in value.items()}
        texts = all(isinstance(key, str) for key in pairs)
        return pairs if texts else {_PAIRS: [[_plain(k), v] for k, v in pairs.items()]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    known = value is None or isinstance(value, (str, int, float))
    return value if known else str(value)


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_PAIRS}:
        return {_key(k): _restored(v) for k, v in value[_PAIRS]}
    return {key: _restored(inner) for key, inner in value.items()}


def _key(value: Any) -> Any:
    return tuple(map(_key, value)) if isinstance(value, list) else value
