"""YAML as data alone: no tag makes a Python object, and no alias fills the memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from mmseg_fixkit.core.errors import FixkitError

#: Values of one file, those that aliases repeat counted each time.
MAX_VALUES = 1_000_000

#: What MMEngine writes for a tuple (``Config.dump``); it only ever makes one.
_TUPLE = "tag:yaml.org,2002:python/tuple"

#: What MMEngine loads YAML with is set for the whole process.
_LOADING = threading.RLock()


def yaml_module() -> Any:
    """Import PyYAML, which MMEngine brings, and PaddleSeg too.

    Raises:
        FixkitError: it is not installed.
    """
    try:
        return import_module("yaml")
    except ImportError:
        raise FixkitError(
            "PyYAML is needed to read a config in YAML; pip install 'mmseg-fixkit[paddleseg]'"
        ) from None


def read_yaml(text: str, name: str, *, like_mmengine: bool = False) -> Any:
    """Return what a YAML text holds.

    Args:
        text: of the file.
        name: of the file, for messages.
        like_mmengine: whether libyaml parses it, as in MMEngine, or PyYAML itself, as in PaddleSeg.

    Raises:
        FixkitError: it is not YAML, has a tag that makes a Python object, or aliases that stand
            for more than a million values.
    """
    yaml = yaml_module()
    try:
        return yaml.load(text, _data_loader(like_mmengine))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FixkitError(f"{name} {yaml_fault(error)}") from None


def yaml_fault(error: Exception) -> str:
    """Say what is wrong with a file that YAML's loader raised ``error`` for."""
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" line {mark.line + 1}:"
    problem = getattr(error, "problem", None) or error
    text = " ".join(str(problem).split())
    if "python/" in text:
        tag = text.rpartition("tag:yaml.org,2002:")[2].strip("'")
        return (
            f"is not read:{where} the tag !!{tag} makes a Python object, which can run code; "
            "write plain values, or a config in Python"
        )
    return f"is not YAML:{where} {text}"


@contextmanager
def mmengine_reads_data() -> Iterator[None]:
    """Let MMEngine read YAML with the loader of this module instead of its own, which runs tags."""
    from mmengine.fileio.handlers import yaml_handler

    with _LOADING:
        before = yaml_handler.Loader
        yaml_handler.Loader = _data_loader(True)
        try:
            yield
        finally:
            yaml_handler.Loader = before


@cache
def _data_loader(fast: bool) -> Any:
    yaml = yaml_module()
    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if fast else yaml.SafeLoader

    class DataLoader(safe):  # type: ignore[misc]
        """Reads plain values, and tuples as MMEngine writes them."""

        def get_single_data(self) -> Any:
            node = self.get_single_node()
            if node is None:
                return None
            if _size(node) > MAX_VALUES:
                raise yaml.YAMLError(
                    f"its aliases stand for more than {MAX_VALUES:,} values, or for themselves"
                )
            return self.construct_document(node)

        def construct_tuple(self, node: Any) -> tuple[Any, ...]:
            return tuple(self.construct_sequence(node, deep=True))

    DataLoader.add_constructor(_TUPLE, DataLoader.construct_tuple)
    return DataLoader


def _size(root: Any) -> float:
    """Return how many values a node stands for, aliases written out; inf for one in itself."""
    sizes: dict[int, float] = {}
    opened: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            # What is open still is above itself.
            parts = (sizes.get(id(child), float("inf")) for child in _below(node))
            sizes[id(node)] = 1 + sum(parts)
        elif id(node) not in opened:
            opened.add(id(node))
            stack.append((node, True))
            stack += ((child, False) for child in _below(node))
    return sizes[id(root)]


def _below(node: Any) -> list[Any]:
    if node.id == "mapping":
        return [part for pair in node.value for part in pair]
    return list(node.value) if node.id == "sequence" else []
