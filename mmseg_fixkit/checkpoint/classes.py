"""Where the classes stand in the tensors of a model, and what a plan of rows makes of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from mmseg_fixkit.checkpoint.compare import Resized, Shape
from mmseg_fixkit.checkpoint.rows import (
    RowPlan,
    Take,
    behind,
    input_takes,
    one_to_two,
    output_takes,
    two_to_one,
    with_last,
)
from mmseg_fixkit.host import ClassAxis


@dataclass(frozen=True)
class ClassTensor:
    """A tensor of a model that has the classes on some axis.

    Args:
        head: the path of the head that it belongs to.
        shape: in the model.
        axes: where the classes stand.
        count: the classes of the head.
        no_object: whether one more row, the last, is for "no object".
    """

    head: str
    shape: Shape
    axes: tuple[ClassAxis, ...]
    count: int
    no_object: bool = False

    def resizes(self, found: Shape) -> bool:
        """Whether another class count explains that a tensor has the shape ``found``."""
        axes = {axis.dim: axis for axis in self.axes}
        return len(found) == len(self.shape) and all(
            self.rows(axes[dim], found) > 0 if dim in axes else found[dim] == size
            for dim, size in enumerate(self.shape)
        )

    def rows(self, axis: ClassAxis, shape: Shape) -> int:
        """Return how many classes the axis has in a tensor of ``shape``; 1 may stand for two."""
        return shape[axis.dim] - (self._in_front(axis) if axis.inputs else self.no_object)

    def _in_front(self, axis: ClassAxis) -> int:
        return self.shape[axis.dim] - self.count

    def miscounts(self, found: Shape, plan: RowPlan) -> Iterator[tuple[str, int, int]]:
        """Yield where names and rows disagree: of whom, how many rows, how many names."""
        for axis in self.axes:
            for who, shape, names in (
                ("the checkpoint", found, plan.old),
                ("the model", self.shape, plan.new),
            ):
                rows = self.rows(axis, shape)
                if rows != len(names) and not self._one_channel(axis, shape, names):
                    yield who, rows, len(names)

    def takes(self, found: Shape, plan: RowPlan) -> dict[int, tuple[Take, ...]]:
        """Return what each axis of the new tensor is made of; see :meth:`miscounts` first."""
        return {axis.dim: self._axis_takes(axis, found, plan) for axis in self.axes}

    def _axis_takes(self, axis: ClassAxis, found: Shape, plan: RowPlan) -> tuple[Take, ...]:
        if axis.inputs:
            return behind(input_takes(plan), self._in_front(axis))
        takes = output_takes(plan)
        if self._one_channel(axis, found, plan.old):
            takes = one_to_two(takes)
        if self._one_channel(axis, self.shape, plan.new):
            takes = two_to_one(takes)
        return with_last(takes, len(plan.old)) if self.no_object else takes

    def _one_channel(self, axis: ClassAxis, shape: Shape, names: Sequence[str]) -> bool:
        """Whether one sigmoid channel tells two classes apart."""
        return not axis.inputs and len(names) == 2 and self.rows(axis, shape) == 1


def is_resized(tensor: Optional[ClassTensor], resized: Resized) -> bool:
    """Whether a change of classes explains why a tensor has two shapes."""
    return tensor is not None and tensor.resizes(resized.found)
