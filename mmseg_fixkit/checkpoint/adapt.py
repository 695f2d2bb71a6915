"""A state dict of other classes -> one that fits a model: pure but for the tensors it moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional

from mmseg_fixkit.checkpoint.classes import ClassTensor, is_resized
from mmseg_fixkit.checkpoint.compare import (
    ALLOWED,
    BACKBONES,
    Comparison,
    Resized,
    Shape,
    compare,
    likely_reasons,
)
from mmseg_fixkit.checkpoint.findings import Facts, findings
from mmseg_fixkit.checkpoint.names import several_in_meta
from mmseg_fixkit.checkpoint.report import AdaptReport, resized_table
from mmseg_fixkit.checkpoint.rows import RowPlan, moved, stays
from mmseg_fixkit.errors import CheckpointMismatch
from mmseg_fixkit.several_labels import with_background

#: What several processes and ``torch.compile`` put before every name.
_WRAPPERS = ("module.", "_orig_mod.")

#: Counters that torch adds and old files lack; a model does without.
_UNIMPORTANT = "num_batches_tracked"

#: Heads that may have other classes than the data set: whatever helps in training.
_OF_THEIR_OWN = "auxiliary_head"


@dataclass(frozen=True)
class Needs:
    """What a model needs of a state dict.

    Args:
        shapes: name -> shape of each of its tensors.
        classes: those of them that have the classes on some axis.
        fresh: returns the initial value of a tensor of :attr:`classes`.
        several: whether a pixel may have several labels, so that row 0 is the background.
    """

    shapes: Mapping[str, Shape]
    classes: Mapping[str, ClassTensor]
    fresh: Callable[[str], Any]
    several: bool = False


@dataclass(frozen=True)
class Source:
    """The state dict to adapt, under the model's names.

    Args:
        name: what messages call it.
        tensors: model's name -> tensor.
        meta: what its file says about itself.
    """

    name: str
    tensors: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each tensor."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


def bare_name(name: str) -> str:
    """Return a tensor's name without what wrappers put before it."""
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


def by_model_name(state: Mapping[str, Any]) -> dict[str, str]:
    """Name in the model -> name in the state dict, of its tensors."""
    return {bare_name(name): name for name, value in state.items() if hasattr(value, "shape")}


def class_count(source: Source, needs: Needs) -> Optional[int]:
    """Return how many classes a state dict has, by the shapes of its class layers."""
    shapes = source.shapes
    counts = (
        tensor.rows(axis, shapes[name])
        for name, tensor in sorted(needs.classes.items(), key=lambda item: _order(item[0]))
        if name in shapes and tensor.resizes(shapes[name])
        for axis in tensor.axes[:1]
    )
    count = next(counts, None)
    return 2 if count == 1 else count  # one sigmoid channel tells two apart


def _order(name: str) -> bool:
    return not name.startswith("decode_head")


def named_rows(
    source: Source,
    needs: Needs,
    old: Optional[Sequence[str]],
    new: Optional[Sequence[str]],
) -> tuple[Any, Any]:
    """Return the names of the rows of a file and of a model, for the names of their classes.

    Where a pixel may have several labels, row 0 is the background, which no list of labels names.

    Args:
        source: the file; one that does not tell is taken for one like the model.
        needs: of the model.
        old: names of the file's classes; None where they are not known.
        new: those of the model's.
    """
    told = several_in_meta(source.meta)
    if old and (needs.several if told is None else told):
        rows = class_count(source, needs)
        old = with_background(old) if rows == len(old) + 1 else old
    if new and needs.several and any(t.count == len(new) + 1 for t in needs.classes.values()):
        new = with_background(new)
    return old, new


def adapt(source: Source, needs: Needs, plan: Optional[RowPlan]) -> tuple[dict[str, Any], Any]:
    """Return the tensors that fit the model, and the report.

    Args:
        source: what there is.
        needs: what is needed.
        plan: where the rows of each class come from; None where names are not known. Class-sized
            tensors of another shape then start anew.

    Raises:
        CheckpointMismatch: a tensor differs for another reason than the classes, much of the
            backbone is missing, or class names and rows are not equally many.
    """
    result = _sorted(source, needs)
    _stop_if_wrong(result, source)
    own = tuple(_of_their_own(result, source, needs, plan))
    takes = {} if plan is None else _takes(result, source, needs, plan, own)
    tensors = {name: source.tensors[name] for name in needs.shapes if name in source.tensors}
    for name, axes in takes.items():
        tensors[name] = moved(source.tensors[name], axes, lambda n=name: needs.fresh(n))
    rowless = result.reinitialised if plan is None else ()
    for resized in rowless:
        tensors[resized.name] = needs.fresh(resized.name).to(source.tensors[resized.name])
    return tensors, _report(result, source, needs, plan, tuple(takes), own)


def _sorted(source: Source, needs: Needs) -> Comparison:
    result = compare(
        source.shapes, needs.shapes, lambda r: is_resized(needs.classes.get(r.name), r)
    )
    unimportant = [name for name in result.missing if name.endswith(_UNIMPORTANT)]
    return replace(result, missing=tuple(n for n in result.missing if n not in unimportant))


def _shared_classes(result: Comparison, needs: Needs) -> Iterator[tuple[str, ClassTensor]]:
    there = {*result.loaded, *(r.name for r in result.reinitialised)}
    return ((n, tensor) for n, tensor in needs.classes.items() if n in there and tensor.axes)


def _of_their_own(
    result: Comparison, source: Source, needs: Needs, plan: Optional[RowPlan]
) -> Iterator[str]:
    """Yield auxiliary heads that have other classes than the names, the same on both sides."""
    for name, tensor in _shared_classes(result, needs) if plan else ():
        assert plan is not None
        same = name in result.loaded and tensor.head.startswith(_OF_THEIR_OWN)
        if same and len([*tensor.miscounts(source.shapes[name], plan)]) == 2:
            yield tensor.head


def _takes(
    result: Comparison, source: Source, needs: Needs, plan: RowPlan, own: Iterable[str]
) -> dict[str, Any]:
    shapes = source.shapes
    shared = [(n, t) for n, t in _shared_classes(result, needs) if t.head not in own]
    _stop_if_miscounted(source, plan, [(n, t, shapes[n]) for n, t in shared])
    takes = {name: tensor.takes(shapes[name], plan) for name, tensor in shared}
    return {
        name: axes
        for name, axes in takes.items()
        if not all(stays(axis, shapes[name][dim]) for dim, axis in axes.items())
    }


def _stop_if_miscounted(
    source: Source, plan: RowPlan, tensors: Iterable[tuple[str, ClassTensor, Shape]]
) -> None:
    found = {
        who: f"{name} of {who} has {rows} classes, but {names} are named"
        for name, tensor, shape in reversed(list(tensors))
        for who, rows, names in tensor.miscounts(shape, plan)
    }
    if found:
        raise CheckpointMismatch(
            f"{source.name}: class names and rows do not agree: {'; '.join(found.values())}. "
            "Name the classes in the order of the rows, one for each; a model is set to its "
            "data set by `mmseg-fix patch`"
        )


def _report(
    result: Comparison,
    source: Source,
    needs: Needs,
    plan: Optional[RowPlan],
    moved_names: tuple[str, ...],
    own: tuple[str, ...],
) -> AdaptReport:
    shapes = source.shapes
    resized = {n: Resized(n, shapes[n], needs.shapes[n]) for n in moved_names}
    kept = tuple(r for r in resized.values() if plan and plan.kept)
    new = tuple(r for r in resized.values() if not (plan and plan.kept))
    return AdaptReport(
        source=source.name,
        plan=plan,
        loaded=tuple(name for name in result.loaded if name not in resized),
        kept=kept,
        new=new + (result.reinitialised if plan is None else ()),
        missing=result.missing,
        unexpected=result.unexpected,
        own=tuple(dict.fromkeys(own)),
        diagnostics=findings(Facts(result, any(_shared_classes(result, needs)), plan)),
    )


# A checkpoint that does not fit


def _stop_if_wrong(result: Comparison, source: Source) -> None:
    backbone = max(BACKBONES, key=result.share_missing)
    missing = result.share_missing(backbone)
    if not result.wrong and missing <= ALLOWED:
        return
    parts = [f"{source.name} does not fit the model, and not because of the classes:"]
    if result.wrong:
        parts += [f"of another shape: {len(result.wrong)}", resized_table(result.wrong)]
    if missing > ALLOWED:
        parts += [f"{missing:.0%} of the tensors of {backbone[:-1]} are not in it, such as"]
        parts += _listed([name for name in result.missing if name.startswith(backbone)])
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


def _listed(names: list[str], shown: int = 5) -> list[str]:
    more = [f"  and {len(names) - shown} more"] if len(names) > shown else []
    return [*(f"  {name}" for name in names[:shown]), *more]
