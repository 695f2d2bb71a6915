"""What the built model, the datasets and the metrics say of the classes, compared.

Everything here reads objects that exist and yields findings; nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from mmengine.runner import BaseLoop
from torch import nn

from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.multilabel import CLASS_LOSSES, LOSS
from mmseg_fixkit.core.diagnostics import Diagnostic, KeyPath, Severity, finding, parse_key
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.models.heads import Head, find_heads, is_multilabel_model, own_modules
from mmseg_fixkit.rules import find_rule
from mmseg_fixkit.rules.channels import loss_fault
from mmseg_fixkit.rules.loss_weights import WITH_NO_OBJECT

#: Codes whose cause is in the model, so that rebuilding its class layers helps.
MODEL_CODES = frozenset({"MSF101", "MSF102", "MSF104", "MSF601"})

#: Codes that are found in built objects.
BUILT_CODES = MODEL_CODES | {"MSF108", "MSF109", "MSF201", "MSF203", "MSF204", "MSF205"}

_SPLITS = {"train": "training", "val": "validation", "test": "test"}

#: Head kind -> the attribute that the rows of its class layer follow, and how many come on top.
_ROWS = {HeadKind.PER_PIXEL: ("out_channels", 0), HeadKind.QUERY: ("num_classes", 1)}


@dataclass(frozen=True)
class Split:
    """The dataset of one built loop and what counts on it."""

    name: str
    key: KeyPath
    dataset: Any
    metrics: tuple[Any, ...] = ()

    @property
    def title(self) -> str:
        """How messages name it: ``the training dataset BaseSegDataset``."""
        return f"the {_SPLITS[self.name]} dataset {type(self.dataset).__name__}"

    @property
    def declared(self) -> Any:
        """``metainfo['classes']`` as it is, or None."""
        return _classes_of(getattr(self.dataset, "metainfo", None))

    @property
    def classes(self) -> Optional[tuple[str, ...]]:
        """The class names, where they are a list of names."""
        found = self.declared
        return tuple(found) if isinstance(found, (list, tuple)) and found else None


def built_splits(runner: Any) -> tuple[Split, ...]:
    """Return the datasets of the loops that this run has built, training first.

    ``Runner.train`` builds the training and the validation loop before ``before_run``, ``val`` and
    ``test`` their own (mmengine 0.10.7); a loop that is not built is still a dict.
    """
    loops = {name: getattr(runner, f"_{name}_loop") for name in _SPLITS}
    return tuple(_split(name, loop) for name, loop in loops.items() if isinstance(loop, BaseLoop))


def _split(name: str, loop: Any) -> Split:
    key: KeyPath = (f"{name}_dataloader", "dataset")
    dataset = loop.dataloader.dataset
    while True:
        inner = getattr(dataset, "dataset", None)
        several = getattr(dataset, "datasets", None)
        if inner is not None:
            dataset, key = inner, (*key, "dataset")
        elif isinstance(several, (list, tuple)) and several:
            dataset, key = several[0], (*key, "datasets", 0)
        else:
            break
    evaluator = getattr(loop, "evaluator", None)  # training loops, and some of users, have none
    return Split(name, key, dataset, () if evaluator is None else tuple(evaluator.metrics))


def check_classes(model: nn.Module, splits: Sequence[Split]) -> tuple[Diagnostic, ...]:
    """Return everything on which a model, wrapped or not, and the datasets disagree.

    All are compared with the first of the :func:`built_splits` that has class names.
    """
    heads = tuple(h for h in find_heads(model) if h.follows_dataset)
    reference = next((s for s in splits if s.classes), None)
    found = [*_check_declared(splits), *(d for head in heads for d in _check_layer(head))]
    if reference is not None and is_multilabel_model(model):
        found += _check_label_heads(heads, reference)
        found += _check_splits(splits, reference)
    elif reference is not None:
        found += _check_several(reference)
        found += _check_heads(heads, reference)
        found += _check_splits(splits, reference)
    return tuple(found)


def _check_several(split: Split) -> Iterator[Diagnostic]:
    if _count(split) == 1:
        yield _coded(
            "MSF108",
            finding(
                (*split.key, "metainfo", "classes"),
                split.classes,
                "a segmentation needs",
                None,
                shown="two classes or more",
                then="name the background as a class of its own too",
            ),
        )


def _check_heads(heads: tuple[Head, ...], split: Split) -> Iterator[Diagnostic]:
    for head in heads:
        yield from _check_count(head, split)
        for path, module in own_modules(head, heads):
            yield from _check_weights(path, module, head, split)
            if head.one_channel and _count(split) == 2 and _is_loss(path, head):
                yield from _check_loss(path, module, head)


def _check_label_heads(heads: tuple[Head, ...], split: Split) -> Iterator[Diagnostic]:
    """Whether heads and losses are for the labels of ``split`` and the background."""
    channels = _count(split) + 1
    for head in heads:
        found = head.module.num_classes
        if head.spec.owns_num_classes and found != channels:
            shown = (
                f"{counted(_count(split), 'label, which needs', 'labels, which need')} {channels} "
                "channels: one for the background, and one for each label"
            )
            who, then = f"{split.title} has", f"the head is {head.type_name}"
            key = _key(head.path, "num_classes")
            yield _coded("MSF601", finding(key, found, who, channels, shown=shown, then=then))
        for path, module in own_modules(head, heads):
            if _is_loss(path, head):
                yield from _check_label_loss(path, module, channels)


def _check_label_loss(path: str, module: nn.Module, channels: int) -> Iterator[Diagnostic]:
    kind = type(module).__name__
    if kind in CLASS_LOSSES:
        who = "it takes a label for a class index, and a map of label bits needs"
        yield _coded("MSF603", finding(parse_key(f"model.{path}"), kind, who, LOSS))
    weights: Any = module.class_weight if kind == LOSS else None
    if weights is not None and len(weights) not in (channels - 1, channels):
        shown = f"{channels - 1} weights, or {channels} with that of the background first"
        key = _key(path, "class_weight")
        yield _coded("MSF607", finding(key, list(weights), "the labels ask for", None, shown=shown))


def _coded(code: str, diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, code=code, name=find_rule(code).name)


def _count(split: Split) -> int:
    return len(split.classes or ())


def _key(path: str, name: str) -> KeyPath:
    return ("model", *parse_key(path), name)


def _check_count(head: Head, split: Split) -> Iterator[Diagnostic]:
    expected = _count(split)
    found = head.module.num_classes
    if head.spec.owns_num_classes and found != expected:
        yield _coded("MSF101", _wrong_count(head, "num_classes", found, split))
    if head.one_channel and expected > 2:
        yield _coded("MSF104", _wrong_count(head, "out_channels", 1, split))


def _wrong_count(head: Head, name: str, found: int, split: Split) -> Diagnostic:
    return finding(
        _key(head.path, name),
        found,
        f"{split.title} has",
        _count(split),
        shown=counted(_count(split), "class"),
        then=f"the head is {head.type_name}",
    )


def _check_layer(head: Head) -> Iterator[Diagnostic]:
    """Whether the class layer has the rows that the head's own attributes promise."""
    layer = next(iter(head.spec.class_layers), "")
    source, extra = _ROWS.get(head.spec.kind, ("", 0))
    weight = getattr(getattr(head.module, layer, None), "weight", None)
    if weight is None or not source:
        return
    promised = getattr(head.module, source)
    if len(weight) == promised + extra:
        return
    yield _coded(
        "MSF101",
        finding(
            _key(head.path, layer),
            len(weight),
            f"{source} of {head.type_name} asks for",
            promised + extra,
            shown=f"{promised + extra} outputs",
            then="the layer was built for other classes",
        ),
    )


def _is_loss(path: str, head: Head) -> bool:
    """Whether it is a loss of the head's channels, and no part of another loss."""
    return re.fullmatch(rf"{re.escape(head.path)}\.loss_decode(\.\d+)?", path) is not None


def _check_loss(path: str, module: nn.Module, head: Head) -> Iterator[Diagnostic]:
    """Whether a loss can teach one channel; arguments are read from the attributes it keeps."""
    kind = type(module).__name__
    fault = loss_fault(kind, vars(module))
    lovasz = kind == "LovaszLoss"  # does not keep the argument, and stops by itself
    if fault is None or lovasz:
        return
    yield _coded(
        "MSF109",
        finding(
            parse_key(f"model.{path}"),
            kind,
            f"{head.type_name} has",
            None,
            shown=f"one channel: {fault.fault}",
            then="`mmseg-fix patch --binary sigmoid` makes the set-up whole",
        ),
    )


def _check_weights(path: str, module: nn.Module, head: Head, split: Split) -> Iterator[Diagnostic]:
    weights = getattr(module, "class_weight", None)
    one_weight = head.one_channel and _is_loss(path, head)
    if weights is None or isinstance(weights, str) or one_weight:
        return
    no_object = head.spec.kind in WITH_NO_OBJECT
    expected = _count(split) + no_object
    if len(weights) == expected:
        return
    last = f", the last for 'no object' ({counted(_count(split), 'class')})" if no_object else ""
    yield _coded(
        "MSF102",
        finding(
            _key(path, "class_weight"),
            list(weights),
            f"{split.title} asks for",
            expected,
            shown=f"{expected} entries{last}",
            then=f"there are {len(weights)}, in {type(module).__name__} of {head.type_name}",
        ),
    )


def _check_declared(splits: Sequence[Split]) -> Iterator[Diagnostic]:
    for split in splits:
        found, key = split.declared, (*split.key, "metainfo", "classes")
        if isinstance(found, str):
            then = f"write ({found!r},) with a comma for one class"
            yield _coded(
                "MSF203",
                finding(
                    key, found, "MMSegmentation needs", None, shown="a list of names", then=then
                ),
            )
        elif not found:
            yield _coded("MSF201", _no_classes(key, split))


def _no_classes(key: KeyPath, split: Split) -> Diagnostic:
    return finding(
        key,
        None,
        "ClassCountHook needs",
        None,
        shown="class names to compare with",
        then=f"until {split.title} has them, its class count goes unchecked",
        severity=Severity.WARNING,
    )


def _check_splits(splits: Sequence[Split], reference: Split) -> Iterator[Diagnostic]:
    expected = reference.classes
    shown = f"{counted(_count(reference), 'class')}, {expected}"
    for split in splits:
        if split.classes and split.classes != expected:
            yield _coded(
                "MSF201",
                finding(
                    (*split.key, "metainfo", "classes"),
                    split.classes,
                    f"{reference.title} has",
                    expected,
                    shown=shown,
                    then="metrics are counted, and their rows named, by the dataset's own classes",
                ),
            )
        yield from _check_metrics(split)


def _check_metrics(split: Split) -> Iterator[Diagnostic]:
    for index, metric in enumerate(split.metrics):
        found = _classes_of(metric.dataset_meta)
        if found is None or split.classes is None or tuple(found) == split.classes:
            continue
        yield _coded(
            "MSF201",
            finding(
                (f"{split.name}_evaluator", index, "dataset_meta", "classes"),
                tuple(found),
                f"{split.title} has",
                split.classes,
                then=f"{type(metric).__name__} counts and names its rows by the former",
            ),
        )


def _classes_of(meta: Any) -> Any:
    return meta.get("classes") if isinstance(meta, Mapping) else None
