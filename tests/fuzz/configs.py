"""Configs whose values, keys and containers are anything: checked, patched, repaired, written."""

from __future__ import annotations

import copy
import math
import random
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import yaml
from mmengine.config import Config

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.apis.check_files import CheckTarget, check_one, repair_all
from mmseg_fixkit.apis.paddleseg import patch_paddleseg
from mmseg_fixkit.apis.patch import Patch, repair
from mmseg_fixkit.config.lazy_import import comparable
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.text_edits import RUNNER_KEYS
from mmseg_fixkit.config.tree import plain, same, walk
from tests.helpers.paths import ROOT
from tests.zoo.configs import one_of_each_method
from tests.zoo.laws import strays

#: Words of a message that no input may bring up.
_OWN_FAULT = ("lease report", "fault of mmseg-fixkit")

#: Python source -> nothing more is needed to write the value into a config.
_SOURCES = [
    "None", "True", "False", "0", "1", "2", "-1", "19", "255", "256", "10**30", "0.5", "19.0",
    "-0.0", "float('nan')", "float('inf')", "1e300", "''", "'x'", "'19'", "'a, b'", "'\\ud800'",
    "'\\x00'", "b'x'", "[]", "[19]", "['a', 'b']", "[1.0, 2.0]", "[None]", "[[1]]", "[[[]]]",
    "['a', 1]", "[float('nan'), 1]", "()", "(1,)", "('a', 'b')", "((0, 0, 0), (1, 1, 1))", "{}",
    "{'a': 1}", "{1: 2}", "{None: 0}", "{(1, 2): 3}", "{'type': None}", "{'type': 'X'}",
    "{'type': ['FCNHead']}", "{'type': 'CrossEntropyLoss', 'class_weight': 'x'}", "{1, 2}",
    "range(3)", "1j", "type", "len", "int", "object()", "...", "{'type': 'LoadAnnotations'}",
    "{'type': 'OhemCrossEntropy'}", "{'type': 'FCNHead', 'num_classes': 2}", "'mmseg.FCNHead'",
    "[{'type': 'FCNHead', 'num_classes': 2}]", "'weights.npy'", "{'type': 'IoUMetric'}",
    "{'type': 'OHEMPixelSampler', 'thresh': 0.7}", "__import__('numpy').arange(3)",
]  # fmt: skip

#: Names at which configs say something about classes: mutated more often than others.
_TELLING = (
    "model", "train_dataloader", "val_dataloader", "test_dataloader", "val_evaluator",
    "test_evaluator", "custom_hooks", "custom_imports", "default_hooks", "visualizer",
    "tta_pipeline", "tta_model", "load_from",
)  # fmt: skip

#: Keys that rules read, put where they were not.
_KEYS = (
    "num_classes", "out_channels", "class_weight", "ignore_index", "threshold", "sampler",
    "loss_decode", "loss_cls", "type", "metainfo", "classes", "palette", "data_prefix",
    "data_root", "ann_file", "img_suffix", "reduce_zero_label", "pipeline", "dataset", "datasets",
    "transforms", "min_kept", "thres", "use_sigmoid", "avg_non_ignore", "num_things_classes",
    "num_stuff_classes", "num_class", "pos_weight", "labels", "CLASSES", "pad_val", "metrics",
    "imports", "loss", "vocabulary", "_delete_", "_scope_", "backend", "num_queries",
)  # fmt: skip

_NEW_STYLE = """
from mmengine.config import read_base
from mmseg.models import EncoderDecoder, FCNHead, CrossEntropyLoss, ResNetV1c
from mmseg.datasets import BaseSegDataset, LoadAnnotations, PackSegInputs
from mmseg.evaluation import IoUMetric
count = 19
model = dict(
    type=EncoderDecoder, backbone=dict(type=ResNetV1c, depth=50),
    decode_head=dict(
        type=FCNHead, in_channels=64, channels=16, num_classes=count,
        loss_decode=dict(type=CrossEntropyLoss, class_weight=[1.0] * count)))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type=BaseSegDataset, metainfo=dict(classes=('road', 'car', 'sky')),
        pipeline=[dict(type=LoadAnnotations), dict(type=PackSegInputs)]))
val_evaluator = dict(type=IoUMetric, iou_metrics=['mIoU'])
"""


_OLD_STYLE = """# a config
count = 19
weights = [1.0] * count
model = dict(
    type='EncoderDecoder',  # first
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=count,
        loss_decode=dict(type='CrossEntropyLoss', class_weight=weights)),  # behind
    auxiliary_head=[dict(type='FCNHead', num_classes=7), {'type': 'FCNHead', 'num_classes': 8}])
text_ = '''one
two'''
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations')]))
custom_hooks = [dict(type='EMAHook')]
"""

_ENDS: dict[str, tuple[bytes, ...]] = {
    "": (),
    "mac": (b"\r",),
    "windows": (b"\r\n",),
    "mixed": (b"\n", b"\r", b"\r\n"),
    "form feeds": (b"\n", b"\n\f", b"\f\n"),
}

_BYTES = (
    b"", b" ", b"\n", b"\r", b"\r\n", b"\t", b"\f", b"\x00", b"\xff", b"\xef\xbb\xbf", b"#",
    b"\\\n", b"(", b")", b"[", b"]", b"{", b"}", b",", b"=", b":", b"'", b'"', b"'''", b"1", b"*2",
    b"dict()", b"None", b"\xe2\x80\xa8", b"\xc2\x85", "\u00df\u65e5".encode(), b"; x = 1",
    b"# coding: latin-1\n", b"lambda: 0", b"if True:", b"_base_ = 'config.py'\n", b"**{}",
    b"{{fileDirname}}", b"{{$HOME:1}}",
)  # fmt: skip

_PADDLE = """
batch_size: 2
iters: 80
train_dataset:
  type: Dataset
  dataset_root: data
  num_classes: 2
  transforms:
    - {type: ResizeStepScaling, min_scale_factor: 0.5}
    - type: RandomPaddingCrop
    - type: Normalize
val_dataset:
  type: Dataset
  num_classes: 2
  transforms: [{type: AddMultiLabelAuxiliaryCategory}, {type: Normalize}]
optimizer: {type: SGD}
loss:
  types:
    - type: MixedLoss
      losses: [{type: BCELoss}, {type: LovaszHingeLoss}]
      coef: [0.5, 0.5]
  coef: [1]
model: {type: FCN, num_classes: 2}
"""


_IN_YAML = ("&a ", "*a", "!!python/name:os.system ", "\r\n", "\r", "#", "- ", "? ", "<<: ")


def attempt(random: random.Random, folder: Path) -> str:
    """Change a config at random places and use it as people do; everything ends in an answer."""
    ways = [_in_memory, _in_a_file, _in_a_child, _in_new_style, _in_odd_text, _of_paddleseg]
    return random.choices(ways, [12, 4, 4, 2, 5, 5])[0](random, folder)


# --- inputs ---------------------------------------------------------------------------------------


@cache
def _configs() -> tuple[Path, ...]:
    own = (p for p in (ROOT / "configs").rglob("*.py") if "_base_" not in p.parts)
    return (*one_of_each_method().values(), *sorted(own))


@cache
def _tree(path: Path) -> Optional[dict[str, Any]]:
    try:
        document = load(path)
    except FixkitError:
        return None
    return None if document.new_style else document.loaded


def _some_tree(random: random.Random) -> tuple[Path, dict[str, Any]]:
    while True:
        path = random.choice(_configs())
        tree = _tree(path)
        if tree is not None:
            return path, copy.deepcopy(tree)


def _mutated(random: random.Random, tree: dict[str, Any]) -> dict[str, Any]:
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        _mutate(random, tree)
    return tree


def _mutate(random: random.Random, tree: dict[str, Any]) -> None:
    container, key = _place(random, tree)
    how = random.random()
    if how < 0.6:
        container[key] = _value(random)
    elif how < 0.7:
        del container[key]
    elif how < 0.8 and isinstance(container, list):
        container.insert(key, copy.deepcopy(random.choice(container)))
    elif how < 0.9:
        other, place = _place(random, tree)
        taken = copy.deepcopy(other[place])
        other[place] = copy.deepcopy(container[key])
        with suppress(IndexError):
            container[key] = taken
    elif isinstance(container, dict) and container is not tree:
        container[random.choice(_KEYS)] = _value(random)
    else:
        container[key] = random.choice(([container[key]], (container[key],), {"x": container[key]}))


def _place(random: random.Random, tree: dict[str, Any]) -> tuple[Any, Any]:
    """Return a dict or list of the tree, and one of its keys."""
    known = [name for name in _TELLING if name in tree]
    name = random.choice(known if known and random.random() < 0.8 else list(tree))
    places = [(tree, name)]
    for _, value in walk(tree[name]):
        if isinstance(value, dict):
            places += [(value, key) for key in value]
            places += [(value, key) for key in value if key in _KEYS] * 3
        elif isinstance(value, list):
            places += [(value, index) for index in range(len(value))]
    return random.choice(places)


def _value(random: random.Random) -> Any:
    text = random.choice(_SOURCES)
    if random.random() < 0.1:
        text = random.choice(("[{}]", "({},)", "dict(type={})", "[{}, 1]", "{{'a': {}}}")).format(
            text
        )
    try:
        value = eval(text)
    except TypeError:  # a set or dict of what cannot be hashed
        return None
    _TEXTS[id(value)] = (text, value)
    return value


#: The source of values that are more than literals; the value is kept, so that its id is its own.
_TEXTS: dict[int, tuple[str, Any]] = {}


def _source(value: Any) -> str:
    """Return Python source for a value of a config."""
    if type(value) is dict:
        return "{" + ", ".join(f"{_source(k)}: {_source(v)}" for k, v in value.items()) + "}"
    if type(value) in (list, tuple):
        inner = "".join(f"{_source(entry)}, " for entry in value)
        return f"[{inner}]" if type(value) is list else f"({inner})"
    if type(value) is float and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or type(value) in (bool, int, float, str, bytes):
        return repr(value)
    known = _TEXTS.get(id(value))
    return known[0] if known else "object()"


# --- ways -----------------------------------------------------------------------------------------


def _in_memory(random: random.Random, folder: Path) -> str:
    _, tree = _some_tree(random)
    try:
        config = Config(_mutated(random, tree))
    except Exception:  # MMEngine has no such config
        return "no config"
    before = plain(config._cfg_dict)
    kind = _used(random, config, folder)
    assert _alike(plain(config._cfg_dict), before), "the config in memory was changed"
    return f"in memory, {kind}"


def _in_a_file(random: random.Random, folder: Path) -> str:
    _, tree = _some_tree(random)
    _mutated(random, tree)
    text = "".join(f"{name} = {_source(v)}\n" for name, v in tree.items() if _is_name(name))
    return f"file, {_file(random, folder, text)}"


def _in_a_child(random: random.Random, folder: Path) -> str:
    path, tree = _some_tree(random)
    text = f"_base_ = {str(path)!r}\n"
    for _ in range(random.choice((1, 2, 3))):
        text += _override(random, tree)
    return f"child, {_file(random, folder, text)}"


def _override(random: random.Random, tree: dict[str, Any]) -> str:
    """Return a line that gives one key of the base another value."""
    name = random.choice([n for n in _TELLING if n in tree] or list(tree))
    part, path = tree[name], [name]
    while isinstance(part, dict) and part and random.random() < 0.85:
        key = random.choice([k for k in part if isinstance(k, str)] or [""])
        path.append(random.choice(_KEYS) if random.random() < 0.2 else key)
        part = part.get(path[-1])
    value = _source(_value(random))
    for key in reversed(path[1:]):
        value = f"{{{key!r}: {value}}}"
    return f"{name} = {value}\n"


def _in_new_style(random: random.Random, folder: Path) -> str:
    text = _NEW_STYLE
    for _ in range(random.choice((1, 2))):
        name = random.choice(("model", "train_dataloader", "val_evaluator", "model.decode_head"))
        value = _source(_value(random))
        key = random.choice(_KEYS)
        text += f"{name}.update({{{key!r}: {value}}})\n"
    if random.random() < 0.3:
        text += f"custom_hooks = {_source(_value(random))}\n"
    return f"new style, {_file(random, folder, text)}"


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier()


def _file(random: random.Random, folder: Path, text: Union[str, bytes]) -> str:
    text = text.encode() if isinstance(text, str) else text
    path = folder / "config.py"
    path.write_bytes(text)
    kind = _used(random, path, folder)
    assert path.read_bytes() == text, "the config was changed"
    in_place = folder / "in_place.py"
    in_place.write_bytes(text)
    if kind == "patched" and random.random() < 0.5:
        _written_in_place(random, in_place)
    elif random.random() < 0.3:
        _repaired_in_place(random, in_place, text)
    return kind


def _in_odd_text(random: random.Random, folder: Path) -> str:
    """Damage the text of a config: its line ends, its bytes, its lines."""
    text = random.choice((_NEW_STYLE, _OLD_STYLE)).encode()
    ends = _ENDS[random.choice([*_ENDS])]
    text = re.sub(rb"\n", lambda _: random.choice(ends), text) if ends else text
    for _ in range(random.choice((0, 0, 1, 2))):
        start = random.randrange(len(text))
        end = random.choice((start, start + 1, start + random.randrange(40)))
        text = text[:start] + random.choice(_BYTES) + text[end:]
    return f"text, {_file(random, folder, text)}"


def _of_paddleseg(random: random.Random, folder: Path) -> str:
    tree = yaml.safe_load(_PADDLE)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        with suppress(IndexError):
            _mutate(random, tree)
    try:
        text = yaml.safe_dump(tree, default_flow_style=random.choice((None, True, False)))
    except (yaml.YAMLError, AttributeError):
        return "paddleseg, no yaml"
    if random.random() < 0.2:
        place = random.randrange(len(text))
        text = text[:place] + random.choice(_IN_YAML) + text[place:]
    path = folder / "x.yml"
    path.write_bytes(text.encode())
    _answer(lambda: check(path))
    count, multilabel = random.choice((None, 1, 2, 7)), random.choice((None, True, False))
    planned = _answer(lambda: patch_paddleseg(str(path), count, multilabel=multilabel))
    if isinstance(planned, str):
        return "paddleseg, refused"
    planned.diff()
    assert path.read_bytes() == text.encode()
    planned.write(folder / "out.yml")
    assert yaml.safe_load((folder / "out.yml").read_text()) is not None
    again = _answer(lambda: patch_paddleseg(str(folder / "out.yml"), count, multilabel=multilabel))
    assert again.text == planned.text, "a second patch changes something"
    return "paddleseg, patched"


# --- what has to hold -----------------------------------------------------------------------------


def _used(random: random.Random, config: Any, folder: Path) -> str:
    answer = _answer(lambda: check(config))
    if not isinstance(answer, str):
        assert all(d.code and d.message and d.key for d in answer.diagnostics)
    planned = _answer(lambda: _planned(random, config))
    if isinstance(planned, str):
        return "refused"
    assert not list(strays(planned.plan))
    _answer(planned.diff)
    _answer(planned.cfg_options)
    for mode in ("flat", "overlay"):
        if random.random() < (0.3 if isinstance(config, Path) else 0.05):
            _written(planned, folder / f"{mode}.py", mode)
    return "patched"


def _answer(ask: Callable[[], Any]) -> Any:
    """Return what is answered, or the sentence that refuses."""
    try:
        return ask()
    except FixkitError as error:
        text = str(error)
        assert text.strip(), "an error says nothing"
        assert not any(words in text for words in _OWN_FAULT), text
        return text


def _planned(random: random.Random, config: Any) -> Patch:
    if random.random() < 0.3:
        return repair(config, unsafe=random.random() < 0.5)
    labels = random.choice((None, 1, 2, 3, 19, ("a", "b"), ("road", "car", "sky"), ("a",)))
    options: dict[str, Any] = {
        "class_weight": random.choice((None, None, "keep", "none", "1,2", [1.0, 2.0, 3.0])),
        "binary": random.choice((None, None, None, "sigmoid", "softmax")),
        "multilabel": random.random() < 0.2,
        "ignore_index": random.choice((None, None, 0, 255, 254)),
        "reduce_zero_label": random.choice((None, None, True, False)),
        "guards": random.random() < 0.5,
        "load_from": random.choice((None, None, "x.pth")),
        "label_format": random.choice((None, None, None, "planes")),
    }
    if random.random() < 0.3:
        options["data_root"] = random.choice(("data/none", str(ROOT / "tests"), "~/x", ""))
        options["img_dir"] = random.choice((None, "images/{split}"))
        options["ann_dir"] = random.choice((None, "labels/{split}"))
        options["ann_file"] = random.choice((None, "", "splits/{split}.txt"))
    if random.random() < 0.1:
        options["palette"] = [(0, 0, 0), (1, 1, 1)]
    return patch(config, labels, **{k: v for k, v in options.items() if v is not None})


def _written(planned: Patch, file: Path, mode: str) -> None:
    written = _answer(lambda: planned.write(file, mode=mode))
    if isinstance(written, str):
        assert not file.exists(), "a refused file is there"
        return
    new_style = planned.context.document.new_style
    found = _read(file)
    after = comparable(planned.plan.after, new_style)
    # An overlay may give a variable of its base another value.
    for name in after.keys() if mode == "flat" else RUNNER_KEYS & after.keys():
        assert _alike(found.get(name), after[name]), f"{mode}: {name} is not what the plan says"


def _read(file: Path) -> dict[str, Any]:
    config = Config.fromfile(str(file), import_custom_modules=False)
    document = load(config)
    return comparable(document.loaded, document.new_style)


def _written_in_place(random: random.Random, path: Path) -> None:
    text = path.read_bytes()
    planned = _answer(lambda: _planned(random, path))
    if isinstance(planned, str):
        return
    written = _answer(planned.write_in_place)
    if isinstance(written, str):
        assert path.read_bytes() == text, "a refused change was made"
        return
    after = comparable(planned.plan.after, planned.context.document.new_style)
    found = _read(path)
    for name in RUNNER_KEYS & after.keys():
        assert _alike(found.get(name), after[name]), f"in place: {name} is not what the plan says"


def _repaired_in_place(random: random.Random, path: Path, text: bytes) -> None:
    target = CheckTarget(str(path))
    write = random.random() < 0.7
    (result,) = repair_all([target], [check_one(target)], unsafe=random.random() < 0.5, write=write)
    assert result.outcome.report or result.outcome.error or result.outcome.skipped
    assert not any(words in result.outcome.error for words in _OWN_FAULT), result.outcome.error
    if not write or result.outcome.error:
        assert path.read_bytes() == text, "the file was changed unasked"


def _alike(a: Any, b: Any) -> bool:
    """Whether two values are the same; objects that a config makes again are."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, np.ndarray) or type(a) is object:
        return type(a) is type(b)
    return same(a, b)
