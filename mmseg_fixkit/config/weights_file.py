"""Class weights that a config names as a file, read without running anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Optional

from mmseg_fixkit.core.files import is_file

#: What MMEngine opens with pickle.
_PICKLES = frozenset({"pkl", "pickle"})


@dataclass(frozen=True)
class WeightsFile:
    """What is known of one file of class weights."""

    name: str  # as the config writes it
    weights: Optional[tuple[float, ...]] = None  # the numbers in it; None where they are not known
    fault: str = ""  # why the host cannot use the file from the current folder; empty where it can
    unread: str = ""  # why it was left unopened, although the host may well read it
    missing: bool = False  # whether the fault is that it is not there, which it may be elsewhere
    flat: bool = True  # whether the numbers stand in one row, and not each in lists of its own


def read_weights(name: str, beside: Optional[Path] = None) -> WeightsFile:
    """Read class weights as ``get_class_weight`` of the host does, but never a pickle.

    ``name`` is relative to the current folder. ``beside`` is the folder of the config, where the
    file may stand by mistake; it is read there.
    """
    suffix = name.rsplit(".", 1)[-1]
    if suffix in _PICKLES:
        return WeightsFile(name, unread="a pickle can run code when it is opened")
    if suffix not in _READERS:
        known = ", ".join(f".{s}" for s in (*_READERS, *sorted(_PICKLES)))
        return WeightsFile(name, fault=f"MMSegmentation only reads {known}")
    if "://" in name and suffix != "npy":
        return WeightsFile(name, unread="it is not on this machine's disk")
    path, fault = _find(name, beside)
    found = WeightsFile(name) if path is None else _read(name, path, _READERS[suffix])
    return replace(found, fault=fault, missing=True) if fault else found


def _find(name: str, beside: Optional[Path]) -> tuple[Optional[Path], str]:
    path = Path(name)
    if is_file(path):
        return path, ""
    if path.is_absolute():
        return None, "there is no such file"
    fault = "the current folder, where MMSegmentation looks for it, has no such file"
    near = beside / name if beside else None
    if near is None or not is_file(near):
        return None, fault
    return near, f"{fault}; there is one beside the config"


def _read(name: str, path: Path, reader: Callable[[Path], Any]) -> WeightsFile:
    try:
        value = reader(path)
    except ModuleNotFoundError as error:
        return WeightsFile(name, unread=f"{error.name} is not installed here")
    except Exception as error:  # a broken file raises whatever its parser likes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return WeightsFile(name, fault=f"it cannot be read: {reason}")
    numbers = unwrapped(value) if isinstance(value, list) else value
    if not _are_numbers(numbers):
        return WeightsFile(name, fault=f"it holds {_described(value)}")
    return WeightsFile(name, tuple(numbers), flat=numbers == value)


def unwrapped(weights: Sequence[Any]) -> list[Any]:
    """Take numbers out of ``[[[w]], …]``, the shape that a loss with ``use_sigmoid`` needs."""
    while weights and all(isinstance(w, (list, tuple)) and len(w) == 1 for w in weights):
        weights = [w[0] for w in weights]
    return list(weights)


def _npy(path: Path) -> Any:
    import numpy

    return numpy.load(path, allow_pickle=False).tolist()


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _yaml(path: Path) -> Any:
    import yaml  # type: ignore[import-untyped]

    return yaml.safe_load(path.read_text("utf-8"))


_READERS: dict[str, Callable[[Path], Any]] = {
    "npy": _npy,
    "json": _json,
    "yaml": _yaml,
    "yml": _yaml,
}


def _are_numbers(value: Any) -> bool:
    # Numbers that cannot weigh a loss (nan, negative) are found later.
    return isinstance(value, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in value
    )


def _described(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list of something else"
    return {dict: "a dict", str: "a text", type(None): "nothing"}.get(type(value), "one value")
