"""A loaded config as plain data, with the views that rules read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from mmseg_fixkit.steps import Steps, steps_of
from mmseg_fixkit.tree import lookup
from mmseg_fixkit.weights_file import WeightsFile, read_weights, unwrapped

SPLITS = ("train", "val", "test")

_SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}

#: The loss of this package that hands another one two channels, and holds it under ``loss``.
WRAPPER = "OneChannelLoss"

#: Where ``EncoderDecoder`` and its kin keep their heads.
_HEAD_KEYS = ("decode_head", "auxiliary_head")

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
        """The bare class name; the key for a part of the model that has no type."""
        return type_name(self.config.get("type", self.key[-1]))

    @property
    def known(self) -> bool:
        """Whether the host has this type of head."""
        return host.knows_head(self.config.get("type", ""))

    @property
    def spec(self) -> HeadSpec:
        """What the head table says of the type, or the dict of an unknown one."""
        return host.head_spec(self.config.get("type", ""), self.config)

    @property
    def count_keys(self) -> tuple[str, ...]:
        """The keys that hold the class count; ``num_classes`` where none is written."""
        if self.known:
            return ("num_classes",)
        names = [name for name in host.COUNT_KEYS if name in self.config][:1]
        if host.THINGS in self.config or host.STUFF in self.config:
            names += [host.THINGS, host.STUFF]
        return tuple(names) or ("num_classes",)

    @property
    def num_classes(self) -> Optional[int]:
        """The count in force: written, or the host's default."""
        if self.known or "num_classes" in self.config:
            return self.config.get("num_classes", self.spec.default_num_classes)
        return host.written_count(self.config) or self.spec.default_num_classes

    @property
    def placed(self) -> bool:
        """Whether it stands where MMSegmentation itself builds a head."""
        return any(part in _HEAD_KEYS for part in self.key[-2:])

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
    file: Optional[WeightsFile] = None

    @property
    def type(self) -> str:
        """The bare class name."""
        return type_name(self.config.get("type", ""))

    @property
    def wrapped(self) -> bool:
        """Whether ``OneChannelLoss`` holds it, which hands it a channel for each class."""
        return self.key[-1] == "loss"

    @property
    def of_host(self) -> bool:
        """Whether it is a loss of MMSegmentation and not, say, of mmdet."""
        return host.of_host(self.config.get("type", ""))

    @property
    def class_weight(self) -> Any:
        """Numbers, a file name, or None."""
        return self.config.get("class_weight")

    @property
    def weights(self) -> Optional[list[Any]]:
        """The class weights in force, written or from a file; None where they are not known."""
        if self.file is not None:
            return None if self.file.weights is None else list(self.file.weights)
        written = self.class_weight
        return unwrapped(written) if isinstance(written, (list, tuple)) else None


@dataclass(frozen=True)
class Dataset:
    """The innermost dataset of a split, below any wrappers.

    Args:
        key: where it stands.
        split: train, val or test.
        config: its dict.
        outer: pipelines that its samples pass as well: of wrappers, and of test-time augmentation.
    """

    key: KeyPath
    split: str
    config: dict[str, Any]
    outer: tuple[tuple[KeyPath, Any], ...] = ()

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
        own = self.info.classes if self.info else None
        # The name of 0.x says what is meant, though the host overlooks it (MSF210).
        return self.metainfo.get("classes", own or self.metainfo.get("CLASSES"))

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

    @property
    def reduces_zero_label(self) -> bool:
        """Whether label 0 is ignored; the default of a registered type is not for other classes."""
        if self.foreign:
            return bool(self.config.get("reduce_zero_label", False))
        return bool(self.reduce_zero_label)

    def suffix(self, name: str) -> Optional[str]:
        """``img_suffix`` or ``seg_map_suffix`` in force; None if unknown."""
        suffix: Optional[str] = self._setting(name)
        return suffix

    def _setting(self, name: str) -> Any:
        if name in self.config:
            return self.config[name]
        return getattr(self.info, name) if self.info else None

    @property
    def pipelines(self) -> tuple[Steps, ...]:
        """The steps of each pipeline, in their order and at any depth, with their keys."""
        own = ((*self.key, "pipeline"), self.config.get("pipeline"))
        return tuple(tuple(steps_of(key, steps)) for key, steps in (own, *self.outer))

    @property
    def transforms(self) -> list[tuple[KeyPath, dict[str, Any]]]:
        """The steps of all pipelines."""
        return [step for steps in self.pipelines for step in steps]


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
        new_style: whether it inherits with ``read_base`` and imports its types.
    """

    name: str
    tree: dict[str, Any]
    path: Optional[Path] = None
    new_style: bool = False

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
        return tuple(
            replace(loss, file=self.weight_files.get(loss.class_weight))
            if isinstance(loss.class_weight, str)
            else loss
            for loss in _losses(head)
        )

    @cached_property
    def weight_files(self) -> dict[str, WeightsFile]:
        """The files that losses name as ``class_weight``, by that name."""
        found = (loss.class_weight for head in self.heads for loss in _losses(head))
        beside = self.path.parent if self.path else None
        return {name: read_weights(name, beside) for name in found if isinstance(name, str)}

    @property
    def unread_weights(self) -> tuple[str, ...]:
        """Notes on files of class weights that were left closed."""
        return tuple(
            f"class_weight is the file {file.name!r}, which was not opened: {file.unread}, so the "
            "number of weights in it is not checked"
            for file in self.weight_files.values()
            if file.unread
        )

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """The innermost datasets of all splits, training first."""
        found = [
            dataset
            for split in SPLITS
            for dataset in _datasets(
                lookup(self.tree, (f"{split}_dataloader", "dataset")),
                (f"{split}_dataloader", "dataset"),
                split,
            )
        ]
        return tuple(_with_tta(found, self.tree.get("tta_pipeline")))

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
    place = next((part for part in reversed(key) if isinstance(part, str)), "")
    if "type" not in value:
        return "num_classes" in value and place in ("train_cfg", "test_cfg")
    # Whatever else counts classes (a loss, a decoder, a whole model) is to count the same ones.
    return place.endswith(("head", "heads")) or "num_classes" in value


def _losses(head: Head) -> Iterator[Loss]:
    for name, value in head.config.items():
        if not str(name).startswith("loss"):
            continue
        if isinstance(value, dict):
            yield from _with_wrapped(Loss((*head.key, name), value, head))
        elif isinstance(value, (list, tuple)):
            for index, child in enumerate(value):
                if isinstance(child, dict):
                    yield from _with_wrapped(Loss((*head.key, name, index), child, head))


def _with_wrapped(loss: Loss) -> Iterator[Loss]:
    yield loss
    inner = loss.config.get("loss")
    if loss.type == WRAPPER and isinstance(inner, dict):
        yield Loss((*loss.key, "loss"), inner, loss.head)


def _datasets(
    value: Any, key: KeyPath, split: str, outer: tuple[tuple[KeyPath, Any], ...] = ()
) -> Iterator[Dataset]:
    if isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            # What a wrapper does to all of its datasets is looked at once, with the first.
            yield from _datasets(child, (*key, index), split, outer if index == 0 else ())
    elif isinstance(value, dict):
        inner = _wrapped_key(value)
        if inner is None:
            yield Dataset(key, split, value, outer)
        else:
            own = (((*key, "pipeline"), value.get("pipeline")),)
            yield from _datasets(value[inner], (*key, inner), split, own + outer)


def _with_tta(datasets: Sequence[Dataset], steps: Any) -> Iterator[Dataset]:
    """Give ``tta_pipeline`` to the first test dataset: ``tools/test.py --tta`` puts it there."""
    first = next((d for d in datasets if d.split == "test"), None)
    for dataset in datasets:
        if steps and dataset is first:
            yield replace(dataset, outer=(*dataset.outer, (("tta_pipeline",), steps)))
        else:
            yield dataset


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
    elif isinstance(value, dict) and isinstance(value.get("metrics"), dict):
        pairs = [((name, "metrics"), value["metrics"])]
    elif isinstance(value, (list, tuple)):
        pairs = [((name, i), m) for i, m in enumerate(value)]
    else:
        pairs = [((name,), value)]
    for key, config in pairs:
        if isinstance(config, dict) and "type" in config:
            yield Metric(key, split, config)


def resolve_base(entry: str, file: Path) -> Optional[Path]:
    """Return the file that ``file`` inherits from under the name ``entry``; None if there is none.

    Args:
        entry: an entry of ``_base_``, or a module as ``read_base`` imports it: ``..models.pspnet``.
        file: the config that names it.
    """
    try:
        path = _base_path(entry, file)
    except FixkitError:
        return None
    return path if path is not None and path.is_file() else None


def _base_path(entry: str, file: Path) -> Optional[Path]:
    if "::" in entry:
        return host.zoo_path(entry)
    if entry.endswith((".py", ".json", ".yaml", ".yml")):
        return Path(normpath(file.parent / entry))
    level = len(entry) - len(entry.lstrip("."))
    package, *modules = entry[level:].split(".")
    if level:
        return Path(
            normpath(file.parent.joinpath(*[".."] * (level - 1), package, *modules))
        ).with_suffix(".py")
    root = host.package_path(package)
    return root.joinpath(*modules).with_suffix(".py") if root and modules else None
