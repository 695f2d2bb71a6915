"""Which class goes where, and how the tensors follow: pure, without torch.

A class layer is linear, so everything here is a list of (old index, factor) for each new index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Optional, Union

from mmseg_fixkit.checkpoint.compare import Shape
from mmseg_fixkit.config.host import ClassAxis
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace

#: What one new index is made of: old indices with their factors. Empty: of nothing, it is new.
RowSource = tuple[tuple[int, float], ...]

#: Axis of a tensor -> what each of its new indices is made of.
AxisSources = Mapping[int, tuple[RowSource, ...]]

#: Old name -> new name or names; or pairs of them, where one old class goes to several.
MappingLike = Union[Mapping[str, Union[str, Sequence[str]]], Iterable[tuple[str, str]], None]

_LIKE = 0.75


@dataclass(frozen=True)
class ClassMapping:
    """Which old classes every new class comes from."""

    old: tuple[str, ...]  # of the checkpoint, in the order of its rows
    new: tuple[str, ...]  # of the model
    sources: tuple[tuple[int, ...], ...]  # for each new class the indices of old ones

    @property
    def is_identity(self) -> bool:
        """Whether every row stays where it is, whatever the classes are called."""
        return self.sources == tuple((i,) for i in range(len(self.old)))

    @property
    def kept(self) -> tuple[str, ...]:
        """New classes that have rows."""
        return tuple(name for name, source in zip(self.new, self.sources) if source)

    @property
    def fresh(self) -> tuple[str, ...]:
        """New classes without rows."""
        return tuple(name for name, source in zip(self.new, self.sources) if not source)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Old classes that no new class uses."""
        used = {i for source in self.sources for i in source}
        return tuple(name for i, name in enumerate(self.old) if i not in used)

    def source_names(self, index: int) -> tuple[str, ...]:
        """Return the names of the old classes that a new class comes from."""
        return tuple(self.old[i] for i in self.sources[index])

    def likely_renames(self) -> tuple[tuple[str, str], ...]:
        """Return pairs of a dropped and a new class whose names are alike."""
        left = {_folded(name): name for name in self.dropped}
        found = ((_nearest(_folded(name), left), name) for name in self.fresh)
        return tuple((left[near[0]], name) for near, name in found if near)


def map_classes(
    old: Sequence[str], new: Sequence[str], mapping: MappingLike = None
) -> ClassMapping:
    """Find the old classes of each new one by name; ``mapping`` counts before equal names.

    It is ``old -> new``. A new class that is named in it takes what is named there and nothing
    else: several old ones are averaged. An old one may go to several.

    Raises:
        FixkitError: a name is given twice or not at all, or the mapping names an unknown class.
    """
    before, after = LabelSpace(tuple(old)).classes, LabelSpace(tuple(new)).classes
    pairs = mapping_pairs(mapping)
    _check_known([a for a, _ in pairs], before, "the checkpoint's classes")
    _check_known([b for _, b in pairs], after, "the new classes")
    given: dict[str, list[int]] = {}
    for source, target in pairs:
        given.setdefault(target, []).append(before.index(source))
    own = {name: [i] for i, name in enumerate(before)}
    sources = (given.get(name, own.get(name, [])) for name in after)
    return ClassMapping(before, after, tuple(tuple(sorted(set(s))) for s in sources))


def mapping_pairs(mapping: MappingLike) -> tuple[tuple[str, str], ...]:
    """Return a mapping in any of its forms as pairs of old and new."""
    if mapping is None:
        return ()
    if not isinstance(mapping, Mapping):
        return tuple((a, b) for a, b in mapping)
    several = ((a, [b] if isinstance(b, str) else b) for a, b in mapping.items())
    return tuple((a, b) for a, targets in several for b in targets)


def parse_mapping(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``old=new,old=new``; FixkitError for an entry of another form."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    pairs = [tuple(part.strip() for part in entry.split("=")) for entry in entries]
    odd = [entry for entry, pair in zip(entries, pairs) if len(pair) != 2 or not all(pair)]
    if odd or not entries:
        raise FixkitError(f"--map: {(odd or [text])[0]!r} is not of the form old=new")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _check_known(names: Iterable[str], known: Sequence[str], who: str) -> None:
    for name in names:
        if name not in known:
            near = _nearest(name, known, count=3)
            hint = f"; near it are {', '.join(near)}" if near else f": {', '.join(known)}"
            raise FixkitError(f"the mapping names {name!r}, which is not among {who}{hint}")


def _nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    return get_close_matches(name, list(known), count, _LIKE)


def _folded(name: str) -> str:
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


# How tensors follow


def output_sources(classes: ClassMapping) -> tuple[RowSource, ...]:
    """Rows: the average of the sources."""
    return tuple(tuple((i, 1 / len(source)) for i in source) for source in classes.sources)


def input_sources(classes: ClassMapping) -> tuple[RowSource, ...]:
    """Input columns: the sum of the sources, each shared among the new classes that it feeds.

    So what a layer makes of a class that was split is what it made of the whole.
    """
    uses = Counter(i for source in classes.sources for i in source)
    return tuple(tuple((i, 1 / uses[i]) for i in source) for source in classes.sources)


def one_to_two(rows: Sequence[RowSource]) -> tuple[RowSource, ...]:
    """Read rows of two classes out of one sigmoid channel z: -z/2 and z/2.

    Their softmax is the sigmoid of z.
    """
    factors = (-0.5, 0.5)
    return tuple(_summed((0, f * factors[i]) for i, f in source) for source in rows)


def two_to_one(rows: Sequence[RowSource]) -> tuple[RowSource, ...]:
    """Make one sigmoid channel of two rows: second minus first; nothing if one has no source."""
    first, second = rows
    if not (first and second):
        return ((),)
    return (_summed([*second, *((i, -f) for i, f in first)]),)


def shift(rows: Sequence[RowSource], channels: int) -> tuple[RowSource, ...]:
    """Put ``channels`` that stay in front."""
    front = tuple(((i, 1.0),) for i in range(channels))
    return front + tuple(tuple((i + channels, f) for i, f in source) for source in rows)


def with_last(rows: Sequence[RowSource], index: int) -> tuple[RowSource, ...]:
    """Append the row ``index`` ("no object"), which stays last."""
    return (*rows, ((index, 1.0),))


def is_identity(rows: Sequence[RowSource], size: int) -> bool:
    """Whether an axis of ``size`` is left as it is."""
    return len(rows) == size and all(source == ((i, 1.0),) for i, source in enumerate(rows))


def _summed(parts: Iterable[tuple[int, float]]) -> RowSource:
    total: Counter[int] = Counter()
    for index, factor in parts:
        total[index] += factor  # type: ignore[assignment]  # a Counter of factors
    return tuple((i, float(f)) for i, f in sorted(total.items()))


def gather_rows(
    tensor: Any, sources: Mapping[int, Sequence[RowSource]], initial: Optional[Any] = None
) -> Any:
    """Return a new tensor of torch, with axes made as ``sources`` (by axis, for each index) say.

    Indices without a source are those of ``initial``, a tensor of the new shape.
    """
    result = tensor
    for dim, rows in sources.items():
        result = _gathered(result, dim, rows)
    new = [(dim, i) for dim, rows in sources.items() for i, source in enumerate(rows) if not source]
    if new:
        assert initial is not None
        values = initial.to(result)
        for dim, index in new:
            result.select(dim, index).copy_(values.select(dim, index))
    return result.contiguous()


def _gathered(tensor: Any, dim: int, sources: Sequence[RowSource]) -> Any:
    rows = tensor.movedim(dim, 0)
    result = rows[[source[0][0] if source else 0 for source in sources]]  # a copy
    for index, source in enumerate(sources):
        if source and source != ((source[0][0], 1.0),):
            # In 64 bit, so that an average of halves is rounded once.
            result[index] = sum(rows[i].double() * f for i, f in source).to(rows.dtype)
    return result.movedim(0, dim)


# Where the classes stand in a tensor


@dataclass(frozen=True)
class ClassTensor:
    """A tensor of a model that has the classes on some axis."""

    head: str  # the path of the head that it belongs to
    shape: Shape
    axes: tuple[ClassAxis, ...]  # where the classes stand
    count: int  # the classes of the head
    no_object: bool = False  # one more row, the last, is for "no object"

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

    def miscounts(self, found: Shape, classes: ClassMapping) -> Iterator[tuple[str, int, int]]:
        """Yield where names and rows disagree: of whom, how many rows, how many names."""
        for axis in self.axes:
            for who, shape, names in (
                ("the checkpoint", found, classes.old),
                ("the model", self.shape, classes.new),
            ):
                rows = self.rows(axis, shape)
                if rows != len(names) and not self._one_channel(axis, shape, names):
                    yield who, rows, len(names)

    def row_sources(self, found: Shape, classes: ClassMapping) -> AxisSources:
        """Return what each axis of the new tensor is made of; see :meth:`miscounts` first.

        Empty where the tensor stays as it is.
        """
        sources = {axis.dim: self._axis_sources(axis, found, classes) for axis in self.axes}
        same = all(is_identity(rows, found[dim]) for dim, rows in sources.items())
        return {} if same else sources

    def no_sources(self) -> AxisSources:
        """Return the same where every row is new."""
        return {axis.dim: ((),) * self.shape[axis.dim] for axis in self.axes}

    def _axis_sources(
        self, axis: ClassAxis, found: Shape, classes: ClassMapping
    ) -> tuple[RowSource, ...]:
        if axis.inputs:
            return shift(input_sources(classes), self._in_front(axis))
        rows = output_sources(classes)
        if self._one_channel(axis, found, classes.old):
            rows = one_to_two(rows)
        if self._one_channel(axis, self.shape, classes.new):
            rows = two_to_one(rows)
        return with_last(rows, len(classes.old)) if self.no_object else rows

    def _one_channel(self, axis: ClassAxis, shape: Shape, names: Sequence[str]) -> bool:
        """Whether one sigmoid channel is for two classes."""
        return not axis.inputs and len(names) == 2 and self.rows(axis, shape) == 1
