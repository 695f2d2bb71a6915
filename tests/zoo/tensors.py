"""The tensors of a patched model against those of the model that the host builds unpatched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.models.heads import Head, find_heads, own_modules

Shape = tuple[int, ...]

#: Head type -> names below the head, and on which axes the class count stands: as it is
#: (``"N"``) or behind other channels (``"C+N"``). Anything else has N outputs on axis 0.
_AXES: dict[str, tuple[tuple[str, dict[int, str]], ...]] = {
    "PointHead": (
        (r"fc_seg\.weight", {0: "N", 1: "C+N"}),
        (r"fc_seg\.bias", {0: "N"}),
        (r"fcs\.\d+\.conv\.weight", {1: "C+N"}),
        (r"fcs\.\d+\.conv\.bias", {}),
    ),
    "SegmenterMaskTransformerHead": ((r"cls_emb", {1: "N"}), (r"mask_norm\..*", {0: "N"})),
}
_OUTPUTS = {0: "N"}

#: Head kinds with one output, and one class weight, more: "no object".
WITH_NO_OBJECT = (HeadKind.QUERY, HeadKind.TEXT)


@dataclass(frozen=True)
class Tensors:
    """Shape and dtype of every tensor of a model, by name, and its heads."""

    shapes: dict[str, tuple[Shape, str]]
    heads: tuple[Head, ...]

    @classmethod
    def of(cls, model: Any) -> Tensors:
        state = model.state_dict()
        shapes = {name: (tuple(t.shape), str(t.dtype)) for name, t in state.items()}
        return cls(shapes, find_heads(model))


@dataclass(frozen=True)
class Comparison:
    """How many tensors were compared, how many of them follow the classes, and what is wrong."""

    compared: int
    class_sized: int
    problems: tuple[str, ...]


def compare(old: Tensors, new: Tensors, count: int) -> Comparison:
    """Hold every tensor of ``new`` against ``old`` set to ``count`` classes.

    Args:
        old: what the host builds from the config as it is.
        new: what it builds from the patched one.
        count: the classes that it was patched to.
    """
    expected = dict(old.shapes)
    problems: list[str] = []
    sized = 0
    for head in old.heads:
        layers = _class_tensors(head, old.shapes)
        sized += len(layers)
        if head.spec.class_layers and not layers:
            problems.append(f"{head.path}: {head.type_name} has no class layer")
        for name, axes in layers.items():
            shape, dtype = old.shapes[name]
            problems += _not_of_the_classes(name, head, shape, axes)
            expected[name] = (_resized(shape, axes, count - head.module.num_classes), dtype)
    problems += _differing(expected, new.shapes)
    return Comparison(len(expected), sized, tuple(problems))


def _class_tensors(head: Head, shapes: dict[str, Any]) -> dict[str, dict[int, str]]:
    """Return the tensors that the head table calls class-sized, with the axes of the classes."""
    layers = re.compile("|".join(rf"(?:{p})(?:\..+)?" for p in head.spec.class_layers) or r"(?!)")
    below = f"{head.path}."
    names = [n for n in shapes if n.startswith(below) and layers.fullmatch(n[len(below) :])]
    return {name: _axes(head.type_name, name[len(below) :]) for name in names}


def _axes(head_type: str, name: str) -> dict[int, str]:
    table = _AXES.get(head_type, ())
    return next((axes for pattern, axes in table if re.fullmatch(pattern, name)), _OUTPUTS)


def _not_of_the_classes(name: str, head: Head, shape: Shape, axes: dict[int, str]) -> Iterator[str]:
    outputs = head.module.num_classes + (head.spec.kind in WITH_NO_OBJECT)
    for axis, kind in axes.items():
        fits = shape[axis] == outputs if kind == "N" else shape[axis] > outputs
        if not fits:
            yield f"{name} is {shape} unpatched, but {head.type_name} has {outputs} outputs"


def _resized(shape: Shape, axes: dict[int, str], more: int) -> Shape:
    return tuple(size + more if axis in axes else size for axis, size in enumerate(shape))


def _differing(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    for name in [*expected, *(n for n in found if n not in expected)]:
        if expected.get(name) != found.get(name):
            yield f"{name} is {found.get(name)}, but has to be {expected.get(name)}"


def wrong_counts(old: Tensors, new: Tensors, count: int) -> Iterator[str]:
    """Yield the heads and losses of a patched model that say another number of classes."""
    for head in new.heads:
        kept = next((h for h in old.heads if h.path == head.path), head)
        classes = count if head.follows_dataset else kept.module.num_classes
        yield from _wrong(f"{head.path}.num_classes", head.module.num_classes, classes)
        if head.spec.channels_follow_classes:
            yield from _wrong(f"{head.path}.out_channels", head.module.out_channels, classes)
        if head.follows_dataset:
            yield from _wrong_weights(head, new.heads, classes)


def _wrong_weights(head: Head, heads: tuple[Head, ...], classes: int) -> Iterator[str]:
    length = classes + (head.spec.kind in WITH_NO_OBJECT)
    for path, module in [(head.path, head.module), *own_modules(head, heads)]:
        weights = getattr(module, "class_weight", None)
        if weights is not None:
            yield from _wrong(f"len({path}.class_weight)", len(weights), length)


def _wrong(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what} is {found}, but has to be {expected}"
