"""A loaded config as plain data, with the views that rules read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from os.path import normpath
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit import host
from mmseg_fixkit.diagnostics import KeyPath, Location
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.host import DatasetInfo, HeadKind, HeadSpec, type_name
from mmseg_fixkit.source import ConfigSource
from mmseg_fixkit.tree import lookup

SPLITS = ("train", "val", "test")

_SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}

#: Parts of a model in which a ``num_classes`` is not a class count of the segmentation.
_NOT_HEADS = frozenset(
    {"backbone", "neck", "data_preprocessor", "image_encoder", "text_encoder", "init_cfg"}
)


@dataclass(frozen=True)
class Head:
    """A decode or auxiliary head, wherever it is nested."""

    key: KeyPath
    config: dict[str, Any]

    @property
    def type(self) -> str:
        """The bare class name."""
        return type_name(self.config["type"])

    @property
    def spec(self) -> HeadSpec:
        """What the head table says of the type."""
        return host.head_spec(self.type)

    @property
    def num_classes(self) -> Optional[int]:
        """The count in force: written, or the host's default."""
        return self.config.get("num_classes", self.spec.default_num_classes)

    @property
    def follows_labels(self) -> bool:
        """Whether the head predicts the dataset's classes (edges and depth are not)."""
        return self.spec.kind not in (HeadKind.BOUNDARY, HeadKind.DEPTH)


@dataclass(frozen=True)
class Loss:
    """One loss of one head."""

    key: KeyPath
    config: dict[str, Any]
    head: Head

    @property
    def type(self) -> str:
        """The bare class name."""
        return type_name(self.config.get("type", ""))

    @property
    def class_weight(self) -> Any:
        """Numbers, a file name, or None."""
        return self.config.get("class_weight")


@dataclass(frozen=True)
class Dataset:
    """The innermost dataset of a split, below any wrappers."""

    key: KeyPath
    split: str
    config: dict[str, Any]

    @property
    def type(self) -> str:
        """The bare class name."""
        return type_name(self.config.get("type", ""))

    @property
    def role(self) -> str:
        """The split in words: training, validation or test."""
        return _SPLIT_WORDS[self.split]

    @property
    def info(self) -> Optional[DatasetInfo]:
        """What the host's class declares; None for a class the host does not have."""
        return host.dataset_info(self.type)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The ``metainfo`` written in the config, or nothing."""
        value = self.config.get("metainfo")
        return value if isinstance(value, dict) else {}

    @property
    def classes(self) -> Any:
        """The class names in force: written, or declared by the class; None if unknown."""
        return self.metainfo.get("classes", self.info.classes if self.info else None)

    @property
    def foreign(self) -> bool:
        """Whether the classes in force are not among those that the host's class declares."""
        own = self.info.classes if self.info else None
        named = isinstance(self.classes, (list, tuple))
        return bool(own) and named and not set(self.classes) <= set(own or ())

    @property
    def reduce_zero_label(self) -> Optional[bool]:
        """The flag in force; None where neither the config nor a known class says."""
        flag: Optional[bool] = self._setting("reduce_zero_label")
        return flag

    def suffix(self, name: str) -> Optional[str]:
        """``img_suffix`` or ``seg_map_suffix`` in force; None if unknown."""
        suffix: Optional[str] = self._setting(name)
        return suffix

    def _setting(self, name: str) -> Any:
        if name in self.config:
            return self.config[name]
        return getattr(self.info, name) if self.info else None

    @property
    def transforms(self) -> list[tuple[KeyPath, dict[str, Any]]]:
        """The pipeline's steps with their keys."""
        steps = self.config.get("pipeline")
        if not isinstance(steps, (list, tuple)):
            return []
        numbered = ((*self.key, "pipeline", i) for i in range(len(steps)))
        return [(key, step) for key, step in zip(numbered, steps) if isinstance(step, dict)]


@dataclass(frozen=True)
class Metric:
    """One metric of an evaluator."""

    key: KeyPath
    split: str
    config: dict[str, Any]

    @property
    def type(self) -> str:
        """The bare class name."""
        return type_name(self.config.get("type", ""))


@dataclass(frozen=True)
class ConfigDocument:
    """A loaded config as plain data, and where it came from.

    Args:
        name: as the user wrote it.
        tree: the merged config, built-in containers only.
        path: the file; None for a config made in Python.
    """

    name: str
    tree: dict[str, Any]
    path: Optional[Path] = None

    def with_tree(self, tree: dict[str, Any]) -> ConfigDocument:
        """Return the same document holding another tree."""
        return replace(self, tree=tree)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Every head of the model, outer before inner."""
        return tuple(_heads(self.tree.get("model"), ("model",)))

    @cached_property
    def class_heads(self) -> tuple[Head, ...]:
        """The heads that predict the dataset's classes."""
        return tuple(head for head in self.heads if head.follows_labels)

    def losses(self, head: Head) -> tuple[Loss, ...]:
        """The losses written in ``head`` itself, without those of nested heads."""
        return tuple(_losses(head))

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """The innermost datasets of all splits, training first."""
        return tuple(
            dataset
            for split in SPLITS
            for dataset in _datasets(
                lookup(self.tree, (f"{split}_dataloader", "dataset")),
                (f"{split}_dataloader", "dataset"),
                split,
            )
        )

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the validation and test evaluators."""
        return tuple(m for split in SPLITS for m in _metrics(self.tree, split))

    def locate(self, key: KeyPath) -> Optional[Location]:
        """Return where ``key`` is written: in this file, or in one it inherits from."""
        if self.path is None:
            return None
        return self._source.locate(key) or Location(str(self.path))

    @cached_property
    def _source(self) -> ConfigSource:
        assert self.path is not None
        return ConfigSource(self.path, resolve_base)


def _heads(value: Any, key: KeyPath) -> Iterator[Head]:
    if isinstance(value, dict):
        if _is_head(value, key):
            yield Head(key, value)
        for name, child in value.items():
            if name not in _NOT_HEADS:
                yield from _heads(child, (*key, name))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _heads(child, (*key, index))


def _is_head(value: dict[str, Any], key: KeyPath) -> bool:
    if "type" not in value:
        return False
    place = next((part for part in reversed(key) if isinstance(part, str)), "")
    named = place.endswith(("head", "heads"))
    return named or ("num_classes" in value and "Head" in type_name(value["type"]))


def _losses(head: Head) -> Iterator[Loss]:
    for name, value in head.config.items():
        if not str(name).startswith("loss"):
            continue
        if isinstance(value, dict):
            yield Loss((*head.key, name), value, head)
        elif isinstance(value, (list, tuple)):
            for index, child in enumerate(value):
                if isinstance(child, dict):
                    yield Loss((*head.key, name, index), child, head)


def _datasets(value: Any, key: KeyPath, split: str) -> Iterator[Dataset]:
    if isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from _datasets(child, (*key, index), split)
    elif isinstance(value, dict):
        inner = _wrapped_key(value)
        if inner is None:
            yield Dataset(key, split, value)
        else:
            yield from _datasets(value[inner], (*key, inner), split)


def _wrapped_key(value: dict[str, Any]) -> Optional[str]:
    # A wrapper of the user's own is recognised by the same two keys.
    keys = (host.DATASET_WRAPPERS.get(type_name(value.get("type", ""))), "dataset", "datasets")
    return next((k for k in keys if k and isinstance(value.get(k), (dict, list))), None)


def _metrics(tree: dict[str, Any], split: str) -> Iterator[Metric]:
    name = f"{split}_evaluator"
    value = tree.get(name)
    pairs: list[tuple[KeyPath, Any]]
    if isinstance(value, dict) and isinstance(value.get("metrics"), (list, tuple)):
        pairs = [((name, "metrics", i), m) for i, m in enumerate(value["metrics"])]
    elif isinstance(value, (list, tuple)):
        pairs = [((name, i), m) for i, m in enumerate(value)]
    else:
        pairs = [((name,), value)]
    for key, config in pairs:
        if isinstance(config, dict) and "type" in config:
            yield Metric(key, split, config)


def resolve_base(entry: str, file: Path) -> Optional[Path]:
    """Return the file that an entry of ``_base_`` in ``file`` means; None if there is none."""
    try:
        path = host.zoo_path(entry) if "::" in entry else Path(normpath(file.parent / entry))
    except FixkitError:
        return None
    return path if path.is_file() else None
