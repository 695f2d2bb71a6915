"""Values of another type than the host takes: listed, and kept from what rules read.

MMSegmentation stops at each of them, when a part is built or used first. Rules may rely on the
types below; what is no plain data (built objects, classes) is left to the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable

from mmseg_fixkit.config import host
from mmseg_fixkit.config.nodes import (
    SPLITS,
    find_datasets,
    find_heads,
    find_losses,
    find_metrics,
    steps_of,
)
from mmseg_fixkit.config.tree import Imported, lookup
from mmseg_fixkit.core.diagnostics import KeyPath, brief, format_key


@dataclass(frozen=True)
class ValueType:
    """What a value has to be."""

    words: str
    fits: Callable[[Any], bool]
    built: bool = False  # the host takes a built object too
    lists_only: bool = False  # the host asks for a list, and stops at a tuple


@dataclass(frozen=True)
class WrongType:
    """A value that is none of what the host takes."""

    key: KeyPath
    found: Any
    expected: str  # in words
    instead: Any = None  # what says the same in the right type; None where nothing does
    known: bool = True  # whether it is wrong: False where only the host can tell

    @property
    def message(self) -> str:
        """The sentence of a finding on it."""
        shown = "None" if self.found is None else brief(self.found)
        return f"{format_key(self.key)} is {shown}, but MMSegmentation needs {self.expected} there"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is(*types: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


#: Data that a config writes; of any other object only the host can tell whether it fits.
_PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, range)


def _is_plain(value: Any) -> bool:
    return value is None or value is ... or isinstance(value, _PLAIN)


def _are_names(value: Any) -> bool:
    # Numbers as names are refused with the label space.
    listed = isinstance(value, (list, tuple))
    return isinstance(value, str) or (listed and all(isinstance(v, (str, int)) for v in value))


def _are_colors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(v, (list, tuple)) for v in value)


def _are_texts(value: Any) -> bool:
    listed = isinstance(value, (list, tuple))
    return not value or isinstance(value, str) or (listed and all(map(_is_text, value)))


def _optional(kind: ValueType) -> ValueType:
    return replace(kind, fits=lambda value: value is None or kind.fits(value))


WHOLE = ValueType("a whole number", _is_whole)
NUMBER = ValueType("a number", _is_number)
TEXT = ValueType("a text", _is_text)
DICT = ValueType("a dict", _is(dict), built=True)
LIST = ValueType("a list", _is(list, tuple), built=True)
PARTS = ValueType("a dict or a list of dicts", _is(dict, list, tuple), built=True)
NAMES = ValueType("a list of names", _are_names)
COLORS = ValueType("a list of colours", _are_colors)
IMPORTS = ValueType("a list of module names", _are_texts, lists_only=True)
EVALUATOR = replace(PARTS, lists_only=True)
LABELS = ValueType(
    "a list of names, or how many there are", lambda v: _are_names(v) or _is_whole(v)
)
WEIGHTS = ValueType("a list of numbers", _is(list, tuple, str), built=True)

_Fields = Mapping[str, ValueType]

_TOP: _Fields = {
    "custom_imports": _optional(DICT),
    "custom_hooks": _optional(LIST),
    "default_hooks": _optional(DICT),
    "tta_pipeline": _optional(LIST),
    "visualizer": _optional(DICT),
    **{f"{split}_dataloader": _optional(DICT) for split in SPLITS},
    **{f"{split}_evaluator": _optional(EVALUATOR) for split in SPLITS},
}

#: Parts of the config that are looked into by their place alone.
_PLACES: Mapping[KeyPath, _Fields] = {
    (): _TOP,
    ("custom_imports",): {"imports": IMPORTS},
    ("model",): {"decode_head": PARTS, "auxiliary_head": _optional(PARTS)},
    ("model", "data_preprocessor"): {"seg_pad_val": _optional(NUMBER)},
    **{(f"{split}_dataloader",): {"dataset": DICT} for split in SPLITS},
}

_COUNTS: _Fields = {name: _optional(WHOLE) for name in (*host.COUNT_KEYS, host.THINGS, host.STUFF)}
_HEAD: _Fields = {
    **_COUNTS,
    "out_channels": _optional(WHOLE),
    "ignore_index": _optional(WHOLE),
    "threshold": _optional(NUMBER),
    "sampler": _optional(DICT),
    "loss_decode": PARTS,
}
_LOSS: _Fields = {
    **_COUNTS,
    "class_weight": _optional(WEIGHTS),
    "ignore_index": _optional(WHOLE),
    "ignore_label": _optional(WHOLE),
    "min_kept": NUMBER,
    "thres": NUMBER,
}
_DATASET: _Fields = {
    "metainfo": _optional(DICT),
    "data_prefix": DICT,
    "data_root": _optional(TEXT),
    "ann_file": _optional(TEXT),
    "img_suffix": TEXT,
    "seg_map_suffix": TEXT,
    "ignore_index": _optional(WHOLE),
    "pipeline": LIST,
}
_METAINFO: _Fields = {
    "classes": _optional(NAMES),
    "CLASSES": _optional(NAMES),
    "palette": _optional(COLORS),
    "PALETTE": _optional(COLORS),
}
_STEP: _Fields = {
    "ignore_index": _optional(WHOLE),
    "seg_pad_val": _optional(NUMBER),
    "seg_fill_in": _optional(WHOLE),
    "num_classes": _optional(WHOLE),
    "labels": _optional(LABELS),
}
_METRIC: _Fields = {"ignore_index": _optional(WHOLE)}


def wrong_types(tree: dict[str, Any]) -> Iterator[WrongType]:
    """Yield every value of a config that rules read and whose type does not fit."""
    for place, fields in _PLACES.items():
        yield from _of(place, lookup(tree, place), fields)
    yield from _of_entries(("custom_hooks",), tree.get("custom_hooks"))
    yield from _of_model(tree)
    for split in SPLITS:
        yield from _of_datasets(tree, split)
        for metric in find_metrics(tree, split):
            yield from _of(metric.key, metric.config, _METRIC)
    yield from _of_steps(("tta_pipeline",), tree.get("tta_pipeline"))


def _of(key: KeyPath, config: Any, fields: _Fields) -> Iterator[WrongType]:
    for name, value in config.items() if isinstance(config, dict) else ():
        kind = fields.get(name)
        if kind is None:
            continue
        if not kind.fits(value) or isinstance(value, Imported):
            yield WrongType((*key, name), value, kind.words, known=_is_known(kind, value))
        elif kind.lists_only and isinstance(value, tuple) and value:
            yield WrongType((*key, name), value, LIST.words, list(value))


def _is_known(kind: ValueType, value: Any) -> bool:
    """Whether it is known here that a value does not fit: not of what is built or imported."""
    return not isinstance(value, Imported) and (_is_plain(value) or not kind.built)


def _of_model(tree: dict[str, Any]) -> Iterator[WrongType]:
    for head in find_heads(tree.get("model"), ("model",)):
        yield from _of(head.key, head.config, _HEAD)
        for loss in find_losses(head):
            yield from _of(loss.key, loss.config, _LOSS)


def _of_datasets(tree: dict[str, Any], split: str) -> Iterator[WrongType]:
    key = (f"{split}_dataloader", "dataset")
    for dataset in find_datasets(lookup(tree, key), key, split):
        yield from _of(dataset.key, dataset.config, _DATASET)
        yield from _of((*dataset.key, "metainfo"), dataset.metainfo, _METAINFO)
        own = ((*dataset.key, "pipeline"), dataset.config.get("pipeline"))
        for place, steps in (own, *dataset.outer):
            yield from _of_steps(place, steps)


def _of_steps(key: KeyPath, steps: Any) -> Iterator[WrongType]:
    yield from _of_entries(key, steps)
    for place, step in steps_of(key, steps):
        yield from _of(place, step, _STEP)


def _of_entries(key: KeyPath, entries: Any) -> Iterator[WrongType]:
    for index, entry in enumerate(entries if isinstance(entries, (list, tuple)) else ()):
        if not DICT.fits(entry) and _is_known(DICT, entry):
            yield WrongType((*key, index), entry, DICT.words)


# --- what rules read ------------------------------------------------------------------------------


def as_lists(value: Any) -> Any:
    """Return a tree in which arrays are lists, which compare as other values do."""
    if isinstance(value, dict):
        return {key: as_lists(child) for key, child in value.items()}
    if type(value) in (list, tuple):
        return type(value)(as_lists(child) for child in value)
    return value.tolist() if _is_array(value) else value


def has_arrays(value: Any) -> bool:
    """Whether an array or a number of NumPy or PyTorch stands in a tree."""
    if isinstance(value, dict):
        return any(map(has_arrays, value.values()))
    if type(value) in (list, tuple):
        return any(map(has_arrays, value))
    return type(value) not in _LEAVES and _is_array(value)


#: Types of nearly all values.
_LEAVES = frozenset({str, int, float, bool, type(None), Imported})


def _is_array(value: Any) -> bool:
    return type(value).__module__ in ("numpy", "torch") and hasattr(value, "tolist")


def without(tree: Any, keys: Iterable[KeyPath]) -> Any:
    """Return a tree without the dict entries at ``keys``; entries of lists keep their places."""
    for key in keys:
        tree = _without(tree, key)
    return tree


def _without(tree: Any, key: KeyPath) -> Any:
    first, *rest = key
    if isinstance(tree, dict) and not rest:
        return {name: value for name, value in tree.items() if name != first}
    if isinstance(tree, dict) and first in tree:
        return {**tree, first: _without(tree[first], tuple(rest))}
    if rest and isinstance(tree, (list, tuple)):
        entries = list(tree)
        entries[int(first)] = _without(entries[int(first)], tuple(rest))
        return type(tree)(entries)
    return tree
