"""A PaddleSeg config: its own text, and what it is with what it inherits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mmseg_fixkit.core.errors import FixkitError

SUFFIXES = (".yml", ".yaml")

#: Datasets of a config, by its key.
DATASETS = ("train_dataset", "val_dataset")

#: Keys that only a PaddleSeg config has, beside ``model``.
_KEYS = (*DATASETS, "loss", "lr_scheduler", "iters")

_DEPTH = 20  # of inheritance: a file may name itself


@dataclass(frozen=True)
class PaddleConfig:
    """One config.

    Args:
        path: the file.
        text: what stands in it.
        own: that, as data.
        tree: with what it inherits.
    """

    path: Path
    text: str
    own: dict[str, Any]
    tree: dict[str, Any]

    @property
    def counts(self) -> dict[str, Any]:
        """``num_classes`` of the model and the datasets, None where one has none, by section."""
        sections = (name for name in ("model", *DATASETS) if name in self.tree)
        return {name: _mapping(self.tree[name]).get("num_classes") for name in sections}

    def transforms(self, dataset: str) -> list[Any]:
        """The transforms of a dataset."""
        steps = _mapping(self.tree.get(dataset)).get("transforms")
        return steps if isinstance(steps, list) else []

    @property
    def losses(self) -> tuple[tuple[tuple[Any, ...], str], ...]:
        """Key and type of each loss, those inside a ``MixedLoss`` too."""
        types = _mapping(self.tree.get("loss")).get("types")
        return tuple(_losses(("loss", "types"), types))


def is_paddleseg(path: str) -> bool:
    """Whether a file is a PaddleSeg config. YAML of MMEngine has other keys."""
    if not path.endswith(SUFFIXES) or not Path(path).is_file():
        return False
    try:
        tree = read(Path(path)).tree
    except FixkitError:
        return False
    return any(key in tree for key in _KEYS) and "train_dataloader" not in tree


def read(path: Path) -> PaddleConfig:
    """Read a config and what it inherits.

    Raises:
        FixkitError: a file cannot be read, or is no YAML mapping.
    """
    text = _text(path)
    return parsed(path, text)


def parsed(path: Path, text: str) -> PaddleConfig:
    """Return the config that a file would be with another text.

    Raises:
        FixkitError: see :func:`read`.
    """
    own = _data(path, text)
    return PaddleConfig(path, text, own, _inherited(path, own, 0))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # line ends stay as they are
    except (OSError, UnicodeDecodeError) as error:
        raise FixkitError(f"{path} cannot be read: {error}") from None


def _data(path: Path, text: str) -> dict[str, Any]:
    yaml = yaml_module()
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise FixkitError(f"{path} is not YAML: {said}") from None
    if not isinstance(data, dict):
        raise FixkitError(f"{path} is {type(data).__name__}, but a config is a mapping")
    return data


def yaml_module() -> Any:
    """Import PyYAML, which MMEngine brings, and PaddleSeg too.

    Raises:
        FixkitError: it is not installed.
    """
    try:
        return import_module("yaml")
    except ImportError:
        raise FixkitError(
            "PyYAML is needed to read a PaddleSeg config; pip install 'mmseg-fixkit[paddleseg]'"
        ) from None


def _inherited(path: Path, own: dict[str, Any], depth: int) -> dict[str, Any]:
    """Merge what ``_base_`` names below ``own``, as ``paddleseg.cvlibs.Config`` does.

    Mappings are merged key by key, unless ``_inherited_: False`` stands in one; everything else
    of the child replaces what the base has.
    """
    if depth > _DEPTH:
        raise FixkitError(f"{path} inherits from itself")
    bases = own.get("_base_", [])
    merged: dict[str, Any] = {}
    for name in [bases] if isinstance(bases, str) else bases:
        file = (path.parent / str(name)).resolve()
        merged = _merged(merged, _inherited(file, _data(file, _text(file)), depth + 1))
    tree: dict[str, Any] = _merged(merged, {k: v for k, v in own.items() if k != "_base_"})
    return tree


def _merged(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    if own.get("_inherited_") is False:
        return {k: v for k, v in own.items() if k != "_inherited_"}
    both = {key: _merged(base[key], own[key]) if key in base else own[key] for key in own}
    return {**base, **both}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _losses(key: tuple[Any, ...], value: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    for index, loss in enumerate(value if isinstance(value, list) else ()):
        if isinstance(loss, dict):
            yield (*key, index), str(loss.get("type", ""))
            yield from _losses((*key, index, "losses"), loss.get("losses"))
