"""The one way from a state dict of other classes to one that fits a model.

Names and shapes are compared, rows are found by class name, and what cannot be is refused: all
before a tensor is touched. Then rows are gathered, those of new classes from the model's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Callable, Optional

from mmseg_fixkit.checkpoint.compare import (
    Comparison,
    Resized,
    Shape,
    compare,
    stop_if_another_model,
)
from mmseg_fixkit.checkpoint.contents import Source, with_versions
from mmseg_fixkit.checkpoint.names import multilabel_in_meta, names_in_meta, suggestion
from mmseg_fixkit.checkpoint.report import AdaptReport
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
from mmseg_fixkit.core.text import counted

#: Heads that may have other classes than the dataset: whatever helps in training.
_AUXILIARY = "auxiliary_head"


class Policy(Enum):
    """What is done where names are not known, or rows and tensors are not there."""

    INITIALISE = "the model's own values take their place"
    NAMED = "the same for rows and tensors, but a checkpoint that names no classes is refused"
    COMPLETE = "the checkpoint is refused: nothing is going to be trained"


@dataclass(frozen=True)
class ClassNames:
    """The classes of both sides, in the order of their rows."""

    #: of the checkpoint; None where its ``meta`` has to tell, empty where they are not known
    old: Optional[Sequence[str]] = None
    new: Optional[Sequence[str]] = None  # of the model; None where they are not known
    mapping: MappingLike = None  # ``old -> new`` for classes under other names


@dataclass(frozen=True)
class ModelSpec:
    """What a model asks of a state dict, and what it has itself."""

    shapes: Mapping[str, Shape]  # of each of its tensors, by name
    class_tensors: Mapping[str, ClassTensor]  # those that have the classes on some axis
    #: gives its own values of class tensors, by their names
    initial_values: Callable[[Collection[str]], Mapping[str, Any]]
    multilabel: bool = False  # labels may overlap: row 0 is the background

    def row_names(self, classes: Optional[Sequence[str]]) -> Optional[Sequence[str]]:
        """Return the names of its rows: a multi-label model has the background in front."""
        if classes and self.multilabel and len(classes) + 1 in self._counts:
            return with_background(classes)
        return classes

    def has_rows_for(self, classes: Sequence[str]) -> bool:
        """Whether a head has a row for each class; others may have classes of their own."""
        return not self._counts or len(self.row_names(classes) or ()) in self._counts

    @property
    def _counts(self) -> set[int]:
        return {tensor.count for tensor in self.class_tensors.values()}

    def class_count_of(self, source: Source) -> Optional[int]:
        """Return how many classes the layers of ``source`` have, first those of the decode head."""
        shapes = source.shapes
        ordered = sorted(
            self.class_tensors.items(), key=lambda item: not item[0].startswith("decode_head")
        )
        counts = (
            tensor.rows(axis, shapes[name])
            for name, tensor in ordered
            if name in shapes and tensor.resizes(shapes[name])
            for axis in tensor.axes[:1]
        )
        count = next(counts, None)
        return 2 if count == 1 else count  # one sigmoid channel is for two classes

    def row_names_of(
        self, source: Source, classes: Optional[Sequence[str]]
    ) -> Optional[Sequence[str]]:
        """Return the names of the rows of ``source``; its ``meta`` says whether it is multi-label.

        Where that states nothing, it is taken for what the model is.
        """
        stated = multilabel_in_meta(source.meta)
        multilabel = self.multilabel if stated is None else stated
        if classes and multilabel and self.class_count_of(source) == len(classes) + 1:
            return with_background(classes)
        return classes


@dataclass(frozen=True)
class Adapted:
    """What fits a model."""

    state_dict: dict[str, Any]  # the tensors that the model has, under its names
    ema: Optional[dict[str, Any]]  # the ``ema_state_dict``, if the source has one
    report: AdaptReport
    comparison: Comparison
    shared_classes: bool  # a head of the model has class layers that the source has too


def adapt(
    source: Source, spec: ModelSpec, names: ClassNames, policy: Policy = Policy.INITIALISE
) -> Adapted:
    """Make the tensors of ``source`` fit a model.

    Where the classes of a side are not known, class-sized tensors of another shape are
    initialised again.

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
    average = source.averaged()
    fits = [weights] if average is None else [weights, _fit(average, spec, classes)]
    initial = spec.initial_values({name for fit in fits for name in fit.initialised})
    state, *averaged = (fit.gathered(initial) for fit in fits)
    ema = source.with_average(averaged[0]) if averaged else None
    report = _report(weights, spec, classes)
    return Adapted(state, ema, report, weights.comparison, weights.shared_classes)


def _class_mapping(
    source: Source, spec: ModelSpec, names: ClassNames, policy: Policy
) -> Optional[ClassMapping]:
    known = names_in_meta(source.meta) if names.old is None else names.old
    old, new = spec.row_names_of(source, known), spec.row_names(names.new)
    if old and new:
        return map_classes(old, new, names.mapping)
    if policy is Policy.NAMED and not old and spec.class_tensors:
        count = spec.class_count_of(source)
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


@dataclass(frozen=True)
class _Fit:
    """How the tensors of one state dict become those of a model."""

    source: Source
    names: tuple[str, ...]  # of the tensors that both have, in the order of the model
    comparison: Comparison
    rows: Mapping[str, AxisSources]  # where rows come from, of tensors that change
    own: tuple[str, ...]  # heads with classes of their own, the same on both sides
    shared_classes: bool

    @property
    def initialised(self) -> set[str]:
        """Names of tensors with rows that have no source: these get the model's values."""
        return {
            name
            for name, axes in self.rows.items()
            if not all(source for rows in axes.values() for source in rows)
        }

    def gathered(self, initial: Mapping[str, Any]) -> dict[str, Any]:
        tensors = {name: self.source.tensors[name] for name in self.names}
        for name, axes in self.rows.items():
            tensors[name] = gather_rows(tensors[name], axes, initial.get(name))
        return with_versions(tensors, self.source.tensors)


def _fit(source: Source, spec: ModelSpec, classes: Optional[ClassMapping]) -> _Fit:
    def resizable(resized: Resized) -> bool:
        tensor = spec.class_tensors.get(resized.name)
        return tensor is not None and tensor.resizes(resized.found)

    shapes = source.shapes
    comparison = compare(shapes, spec.shapes, resizable)
    stop_if_another_model(comparison, source.name, source.meta)
    there = {*comparison.loaded, *(r.name for r in comparison.reinitialised)}
    shared = {n: tensor for n, tensor in spec.class_tensors.items() if n in there and tensor.axes}
    own: tuple[str, ...] = ()
    if classes is None:
        rows = {r.name: shared[r.name].no_sources() for r in comparison.reinitialised}
    else:
        own = _heads_of_own_classes(shared, shapes, classes)
        named = {n: tensor for n, tensor in shared.items() if tensor.head not in own}
        _stop_if_miscounted(source, classes, named)
        found = {n: tensor.row_sources(shapes[n], classes) for n, tensor in named.items()}
        rows = {n: axes for n, axes in found.items() if axes}
    names = tuple(name for name in spec.shapes if name in shapes)
    return _Fit(source, names, comparison, rows, own, shared_classes=bool(shared))


def _heads_of_own_classes(
    shared: Mapping[str, ClassTensor], shapes: Mapping[str, Shape], classes: ClassMapping
) -> tuple[str, ...]:
    """Return auxiliary heads that have other classes than the names, the same on both sides."""
    heads = (
        tensor.head
        for name, tensor in shared.items()
        if tensor.head.startswith(_AUXILIARY)
        and shapes[name] == tensor.shape
        and len([*tensor.miscounts(shapes[name], classes)]) == 2
    )
    return tuple(dict.fromkeys(heads))


def _report(fit: _Fit, spec: ModelSpec, classes: Optional[ClassMapping]) -> AdaptReport:
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


def _stop_if_incomplete(fit: _Fit, classes: Optional[ClassMapping]) -> None:
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
