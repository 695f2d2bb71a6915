"""The one way from a state dict of other classes to one that fits a model.

Names and shapes are compared, rows are found by class name, and what cannot be is refused: all
without touching a tensor. What is left are values that the model has to give for new classes, and
rows to gather (:meth:`Adaptation.state_dict`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Optional

from mmseg_fixkit.checkpoint.compare import (
    ALLOWED,
    BACKBONES,
    Comparison,
    Resized,
    Shape,
    compare,
    likely_reasons,
)
from mmseg_fixkit.checkpoint.contents import EMA_PREFIX, bare_name, with_versions, without_prefix
from mmseg_fixkit.checkpoint.names import multilabel_in_meta, names_in_meta, suggestion
from mmseg_fixkit.checkpoint.report import AdaptReport, resized_table
from mmseg_fixkit.checkpoint.rows import (
    AxisSources,
    ClassMapping,
    ClassTensor,
    MappingLike,
    gather_rows,
    map_classes,
)
from mmseg_fixkit.config.multilabel import with_background
from mmseg_fixkit.core.errors import CheckpointMismatch, FixkitError
from mmseg_fixkit.core.text import counted, first_few

#: Counters that torch adds and old files lack; a model does without.
_UNIMPORTANT = "num_batches_tracked"

#: Heads that may have other classes than the dataset: whatever helps in training.
_AUXILIARY = "auxiliary_head"


class Policy(Enum):
    """What is done where names are not known, or rows and tensors are not there."""

    INITIALISE = "the model's own values take their place"
    NAMED = "the same for rows and tensors, but a checkpoint that names no classes is refused"
    COMPLETE = "the checkpoint is refused: nothing is going to be trained"


@dataclass(frozen=True)
class ClassNames:
    """The classes of both sides, in the order of their rows.

    Args:
        old: those of the checkpoint as the user says; None where its ``meta`` has to say them,
            empty where they are not known.
        new: those of the model; None where they are not known.
        mapping: ``old -> new`` for classes under other names.
    """

    old: Optional[Sequence[str]] = None
    new: Optional[Sequence[str]] = None
    mapping: MappingLike = None


@dataclass(frozen=True)
class ModelSpec:
    """What a model asks of a state dict.

    Args:
        shapes: name -> shape of each of its tensors.
        class_tensors: those of them that have the classes on some axis.
        multilabel: whether labels may overlap, so that row 0 is the background.
    """

    shapes: Mapping[str, Shape]
    class_tensors: Mapping[str, ClassTensor]
    multilabel: bool = False

    def row_names(self, classes: Optional[Sequence[str]]) -> Optional[Sequence[str]]:
        """Return the names of its rows: no list of labels that may overlap has the background."""
        if classes and self.multilabel and len(classes) + 1 in self._counts:
            return with_background(classes)
        return classes

    def has_rows_for(self, classes: Sequence[str]) -> bool:
        """Whether a head has a row for each class; others may have classes of their own."""
        return not self._counts or len(self.row_names(classes) or ()) in self._counts

    @property
    def _counts(self) -> set[int]:
        return {tensor.count for tensor in self.class_tensors.values()}


@dataclass(frozen=True)
class Source:
    """What is adapted, under the model's names; see :func:`source_of`.

    Args:
        name: what messages call it.
        tensors: name -> tensor.
        meta: what its file says about itself.
        ema: the ``ema_state_dict`` of ``EMAHook``, whose names of tensors begin with ``module.``.
    """

    name: str
    tensors: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    ema: Optional[Mapping[str, Any]] = None

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each tensor."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}

    def class_count(self, spec: ModelSpec) -> Optional[int]:
        """Return how many classes its class layers have; those of the decode head come first."""
        shapes = self.shapes
        counts = (
            tensor.rows(axis, shapes[name])
            for name, tensor in sorted(spec.class_tensors.items(), key=_decode_head_first)
            if name in shapes and tensor.resizes(shapes[name])
            for axis in tensor.axes[:1]
        )
        count = next(counts, None)
        return 2 if count == 1 else count  # one sigmoid channel tells two apart

    def row_names(
        self, classes: Optional[Sequence[str]], spec: ModelSpec
    ) -> Optional[Sequence[str]]:
        """Return the names of its rows; where it does not tell, it is taken for one like the model.

        As in :meth:`ModelSpec.row_names`, the background is added to labels that may overlap.
        """
        told = multilabel_in_meta(self.meta)
        multilabel = spec.multilabel if told is None else told
        if classes and multilabel and self.class_count(spec) == len(classes) + 1:
            return with_background(classes)
        return classes


def _decode_head_first(item: tuple[str, ClassTensor]) -> bool:
    return not item[0].startswith("decode_head")


def source_of(
    state_dict: Mapping[str, Any],
    name: str,
    meta: Optional[Mapping[str, Any]] = None,
    ema: Optional[Mapping[str, Any]] = None,
    prefix: str = "",
) -> Source:
    """Return a state dict under the names of the model.

    Args:
        state_dict: ``module.`` and ``_orig_mod.`` before its names are taken off.
        name: what messages call it.
        meta: what its file says about itself.
        ema: the ``ema_state_dict`` of ``EMAHook``.
        prefix: what else stands before the names of both.
    """
    state = without_prefix(state_dict, prefix)
    tensors = {bare_name(n): value for n, value in state.items() if hasattr(value, "shape")}
    return Source(
        name=name,
        tensors=with_versions(tensors, state, bare_name),
        meta=meta or {},
        ema=None if ema is None else {_averaged(n, prefix): value for n, value in ema.items()},
    )


def _averaged(name: str, prefix: str) -> str:
    if not name.startswith(EMA_PREFIX):
        return name  # a counter
    return EMA_PREFIX + bare_name(name[len(EMA_PREFIX) :].removeprefix(prefix))


@dataclass(frozen=True)
class Fit:
    """How the tensors of one state dict become those of a model.

    Args:
        source: the state dict.
        names: of the tensors that both have, in the order of the model.
        comparison: of all names and shapes.
        rows: name -> where its rows come from, of tensors that do not stay as they are.
        own: heads with classes of their own, the same on both sides.
        shared_classes: whether a head of the model has class layers that the source has too.
    """

    source: Source
    names: tuple[str, ...]
    comparison: Comparison
    rows: Mapping[str, AxisSources]
    own: tuple[str, ...]
    shared_classes: bool

    @property
    def initialised(self) -> set[str]:
        """Names of tensors with rows that have no source: they start with the model's values."""
        return {
            name
            for name, axes in self.rows.items()
            if not all(source for rows in axes.values() for source in rows)
        }

    def state_dict(self, initial: Mapping[str, Any]) -> dict[str, Any]:
        """Gather the rows.

        Args:
            initial: the model's own values of the tensors in :attr:`initialised`.
        """
        tensors = {name: self.source.tensors[name] for name in self.names}
        for name, axes in self.rows.items():
            tensors[name] = gather_rows(tensors[name], axes, initial.get(name))
        return with_versions(tensors, self.source.tensors)


@dataclass(frozen=True)
class Adaptation:
    """What becomes of a checkpoint; no tensor is moved yet.

    Args:
        weights: how its state dict fits.
        averaged: how the weights in its ``ema_state_dict`` do, if it has one.
        classes: which old class each new one comes from; None where names are not known.
        report: what becomes of what.
    """

    weights: Fit
    averaged: Optional[Fit]
    classes: Optional[ClassMapping]
    report: AdaptReport

    @property
    def initialised(self) -> set[str]:
        """Names of tensors of which :meth:`state_dict` and :meth:`ema` need initial values."""
        return self.weights.initialised | (self.averaged.initialised if self.averaged else set())

    def state_dict(self, initial: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors that the model has; see :meth:`Fit.state_dict`."""
        return self.weights.state_dict(initial)

    def ema(self, initial: Mapping[str, Any]) -> Optional[dict[str, Any]]:
        """Return the ``ema_state_dict``, counters as they are; None where there is none."""
        entry = self.weights.source.ema
        if entry is None or self.averaged is None:
            return None
        counters = {n: value for n, value in entry.items() if not n.startswith(EMA_PREFIX)}
        tensors = self.averaged.state_dict(initial)
        return {**counters, **{f"{EMA_PREFIX}{n}": tensor for n, tensor in tensors.items()}}


def adapt(source: Source, spec: ModelSpec, names: ClassNames, policy: Policy) -> Adaptation:
    """Find out what becomes of every tensor of ``source`` in a model.

    Args:
        source: what there is.
        spec: what is needed.
        names: the classes of both. Where a side is not known, class-sized tensors of another
            shape are initialised again.
        policy: see :class:`Policy`.

    Raises:
        CheckpointMismatch: a tensor differs for another reason than the classes, much of the
            backbone is missing, or class names and rows are not equally many.
        FixkitError: an unknown class in the mapping, names of one side only, or the policy
            refuses what is missing.
    """
    classes = _class_mapping(source, spec, names, policy)
    weights = _fit(source, spec, classes)
    if policy is Policy.COMPLETE:
        _stop_if_incomplete(weights, classes)
    averaged = None if source.ema is None else _fit(_averages(source), spec, classes)
    return Adaptation(weights, averaged, classes, _report(weights, spec, classes))


def _averages(source: Source) -> Source:
    cut = len(EMA_PREFIX)
    tensors = {n[cut:]: v for n, v in (source.ema or {}).items() if n.startswith(EMA_PREFIX)}
    return Source(f"{source.name} (ema_state_dict)", tensors)


# Names


def _class_mapping(
    source: Source, spec: ModelSpec, names: ClassNames, policy: Policy
) -> Optional[ClassMapping]:
    known = names_in_meta(source.meta) if names.old is None else names.old
    old, new = source.row_names(known, spec), spec.row_names(names.new)
    if old and new:
        return map_classes(old, new, names.mapping)
    if policy is Policy.NAMED and not old and spec.class_tensors:
        count = source.class_count(spec)
        what = "" if count is None else f" (it has {count})"
        hint = suggestion(count or 0, "--old-classes")
        raise FixkitError(f"{source.name} does not say what its classes are{what}; {hint}")
    if names.old or names.mapping:  # what was asked for is done, or refused
        side = "model's" if old else "checkpoint's"
        raise FixkitError(
            f"the {side} classes are not known, so rows cannot be kept by name; name them too"
        )
    return None


# Shapes and rows


def _fit(source: Source, spec: ModelSpec, classes: Optional[ClassMapping]) -> Fit:
    shapes = source.shapes
    comparison = _compared(shapes, spec)
    _stop_if_wrong(comparison, source)
    there = {*comparison.loaded, *(r.name for r in comparison.reinitialised)}
    shared = {n: tensor for n, tensor in spec.class_tensors.items() if n in there and tensor.axes}
    own: tuple[str, ...] = ()
    if classes is None:
        rows = {r.name: shared[r.name].no_sources() for r in comparison.reinitialised}
    else:
        own = tuple(dict.fromkeys(_heads_of_own_classes(shared, shapes, classes)))
        named = {n: tensor for n, tensor in shared.items() if tensor.head not in own}
        _stop_if_miscounted(source, classes, named)
        found = {n: tensor.row_sources(shapes[n], classes) for n, tensor in named.items()}
        rows = {n: axes for n, axes in found.items() if axes}
    names = tuple(name for name in spec.shapes if name in shapes)
    return Fit(source, names, comparison, rows, own, shared_classes=bool(shared))


def _compared(shapes: Mapping[str, Shape], spec: ModelSpec) -> Comparison:
    def resizable(resized: Resized) -> bool:
        tensor = spec.class_tensors.get(resized.name)
        return tensor is not None and tensor.resizes(resized.found)

    result = compare(shapes, spec.shapes, resizable)
    missing = tuple(name for name in result.missing if not name.endswith(_UNIMPORTANT))
    return replace(result, missing=missing)


def _heads_of_own_classes(
    shared: Mapping[str, ClassTensor], shapes: Mapping[str, Shape], classes: ClassMapping
) -> Iterator[str]:
    """Yield auxiliary heads that have other classes than the names, the same on both sides."""
    for name, tensor in shared.items():
        same = shapes[name] == tensor.shape and tensor.head.startswith(_AUXILIARY)
        if same and len([*tensor.miscounts(shapes[name], classes)]) == 2:
            yield tensor.head


def _report(fit: Fit, spec: ModelSpec, classes: Optional[ClassMapping]) -> AdaptReport:
    shapes = fit.source.shapes
    resized = tuple(Resized(name, shapes[name], spec.shapes[name]) for name in fit.rows)
    by_name = bool(classes and classes.kept)
    return AdaptReport(
        source=fit.source.name,
        plan=classes,
        loaded=tuple(name for name in fit.comparison.loaded if name not in fit.rows),
        kept=resized if by_name else (),
        new=() if by_name else resized,
        missing=fit.comparison.missing,
        unexpected=fit.comparison.unexpected,
        own=fit.own,
    )


# A checkpoint that does not fit


def _stop_if_miscounted(
    source: Source, classes: ClassMapping, tensors: Mapping[str, ClassTensor]
) -> None:
    shapes = source.shapes
    found = {
        who: f"{name} of {who} has {rows} classes, but {names} are named"
        for name, tensor in reversed([*tensors.items()])
        for who, rows, names in tensor.miscounts(shapes[name], classes)
    }
    if found:
        raise CheckpointMismatch(
            f"{source.name}: class names and rows do not agree: {'; '.join(found.values())}. "
            "Name the classes in the order of the rows, one for each; a model is set to its "
            "dataset by `mmseg-fix patch`"
        )


def _stop_if_incomplete(fit: Fit, classes: Optional[ClassMapping]) -> None:
    name = fit.source.name
    if classes and classes.fresh:
        raise FixkitError(
            f"{name}: it was not trained on {', '.join(classes.fresh)}; its classes are "
            f"{', '.join(classes.old)}. Leave them out, or give mapping={{old: new}} for other "
            "names"
        )
    lacking = [n for n in fit.comparison.missing if not n.startswith(_AUXILIARY)]
    if lacking:
        raise CheckpointMismatch(
            f"{name} lacks {counted(len(lacking), 'tensor')} of the model, such as {lacking[0]}: "
            "it was written by another head, neck or backbone"
        )


def _stop_if_wrong(result: Comparison, source: Source) -> None:
    backbone = max(BACKBONES, key=result.share_missing)
    missing = result.share_missing(backbone)
    if not result.wrong and missing <= ALLOWED:
        return
    parts = [f"{source.name} does not fit the model, and not because of the classes:"]
    if result.wrong:
        parts += [f"of another shape: {len(result.wrong)}", resized_table(result.wrong)]
    if missing > ALLOWED:
        names = [name for name in result.missing if name.startswith(backbone)]
        share = f"{missing:.0%} of the tensors of {backbone[:-1]}"
        parts += [f"{share} are not in it, such as {first_few(names, 5)}"]
    parts += [f"likely reason: {reason}" for reason in _reasons(result, backbone, source)]
    parts += ["Give a checkpoint of this architecture"]
    raise CheckpointMismatch("\n".join(parts))


def _reasons(result: Comparison, backbone: str, source: Source) -> Iterator[str]:
    yield from likely_reasons(result, backbone)
    if any(r.name.startswith(backbone) for r in result.wrong):
        yield f"layers of {backbone[:-1]} differ in size: another depth, width or input size"
    version = str(source.meta.get("mmseg_version", ""))
    if version.startswith("0."):
        yield f"it was written by mmsegmentation {version}; 1.x names some layers otherwise"
