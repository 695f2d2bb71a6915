"""Heads, losses, datasets, metrics and pipeline steps of a config tree, and how to find them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.host import DatasetInfo, HeadKind, HeadSpec, type_name
from mmseg_fixkit.config.weights_file import WeightsFile, unwrapped
from mmseg_fixkit.core.diagnostics import KeyPath

SPLITS = ("train", "val", "test")

_SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}

#: The loss of this package that passes two channels to another one, held under ``loss``.
ONE_CHANNEL_LOSS = "OneChannelLoss"

#: Where ``EncoderDecoder`` and its kin keep their heads.
_HEAD_KEYS = ("decode_head", "auxiliary_head")

#: Parts of a model in which a ``num_classes`` is not a class count of the segmentation.
_NOT_HEADS = frozenset(
    {"backbone", "neck", "data_preprocessor", "image_encoder", "text_encoder", "init_cfg"}
)

#: Pipeline steps with their keys.
Steps = tuple[tuple[KeyPath, dict[str, Any]], ...]

#: Steps whose inner ``transforms`` are those of another library.
_FOREIGN = frozenset({"Albu"})


@dataclass(frozen=True)
class Head:
    """A decode or auxiliary head, wherever it is nested."""

    key: KeyPath
    config: dict[str, Any]

    @property
    def type(self) -> str:
        """The bare class name; the key for a part of the model that has no type."""
        return type_name(self.config.get("type", self.key[-1]))

    @cached_property
    def known(self) -> bool:
        """Whether the host has this type of head."""
        return host.knows_head(self.config.get("type", ""))

    @cached_property
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
        return self.placed_in(_HEAD_KEYS)

    def placed_in(self, places: Sequence[str]) -> bool:
        """Whether it stands at one of these keys, or in a list at one."""
        return any(part in places for part in self.key[-2:])

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
        """Whether ``OneChannelLoss`` holds it, which passes it a channel for each class."""
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
    """The innermost dataset of a split, below any wrappers."""

    key: KeyPath
    split: str
    config: dict[str, Any]
    #: pipelines that its samples pass as well: of wrappers, and of test-time augmentation
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
    def own_classes(self) -> tuple[str, ...]:
        """The classes that the host's class declares; none where it declares none."""
        return (self.info.classes if self.info else None) or ()

    @property
    def classes(self) -> Any:
        """The class names in force: written, or declared by the class; None if unknown."""
        # The name of 0.x says what is meant, though the host overlooks it (MSF210).
        return self.metainfo.get("classes", self.own_classes or self.metainfo.get("CLASSES"))

    @property
    def foreign(self) -> bool:
        """Whether the classes in force are not among those that the host's class declares."""
        named = isinstance(self.classes, (list, tuple))
        return bool(self.own_classes) and named and not set(self.classes) <= set(self.own_classes)

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

    @cached_property
    def pipelines(self) -> tuple[Steps, ...]:
        """The steps of each pipeline, in their order and at any depth, with their keys."""
        own = ((*self.key, "pipeline"), self.config.get("pipeline"))
        return tuple(tuple(steps_of(key, steps)) for key, steps in (own, *self.outer))

    @cached_property
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


def find_heads(value: Any, key: KeyPath) -> Iterator[Head]:
    """Yield every head below ``value``, which stands at ``key``, outer before inner."""
    if isinstance(value, dict):
        if _is_head(value, key):
            yield Head(key, value)
        for name, child in value.items():
            if name not in _NOT_HEADS:
                yield from find_heads(child, (*key, name))
    elif isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            yield from find_heads(child, (*key, index))


def _is_head(value: dict[str, Any], key: KeyPath) -> bool:
    place = next((part for part in reversed(key) if isinstance(part, str)), "")
    if "type" not in value:
        return "num_classes" in value and place in ("train_cfg", "test_cfg")
    # Whatever else counts classes (a loss, a decoder, a whole model) is to count the same ones.
    return place.endswith(("head", "heads")) or "num_classes" in value


def find_losses(head: Head) -> Iterator[Loss]:
    """Yield the losses written in ``head`` itself, without those of nested heads."""
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
    if loss.type == ONE_CHANNEL_LOSS and isinstance(inner, dict):
        yield Loss((*loss.key, "loss"), inner, loss.head)


def find_datasets(
    value: Any, key: KeyPath, split: str, outer: tuple[tuple[KeyPath, Any], ...] = ()
) -> Iterator[Dataset]:
    """Yield the innermost datasets below ``value``, through wrappers."""
    if isinstance(value, (list, tuple)):
        for index, child in enumerate(value):
            # What a wrapper does to all of its datasets is looked at once, with the first.
            yield from find_datasets(child, (*key, index), split, outer if index == 0 else ())
    elif isinstance(value, dict):
        inner = _wrapped_key(value)
        if inner is None:
            yield Dataset(key, split, value, outer)
        else:
            own = (((*key, "pipeline"), value.get("pipeline")),)
            yield from find_datasets(value[inner], (*key, inner), split, own + outer)


def with_tta(datasets: Sequence[Dataset], steps: Any) -> Iterator[Dataset]:
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


def find_metrics(tree: dict[str, Any], split: str) -> Iterator[Metric]:
    """Yield the metrics of the evaluator of a split, in each form that MMEngine takes."""
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


def steps_of(key: KeyPath, value: Any) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield the steps of a pipeline, and those inside ``TestTimeAug`` or ``RandomChoice``."""
    for index, step in enumerate(value if isinstance(value, (list, tuple)) else ()):
        here = (*key, index)
        if isinstance(step, dict):
            yield here, step
            if not is_step(step, *_FOREIGN):
                yield from steps_of((*here, "transforms"), step.get("transforms"))
        else:
            yield from steps_of(here, step)


def is_step(step: Any, *names: str) -> bool:
    """Whether ``step`` is a step of one of these types."""
    return isinstance(step, dict) and type_name(step.get("type", "")) in names
