"""Which old class each new class comes from, and how tensors follow: pure, without torch.

A class layer is linear, so everything here is a list of (old index, factor) for each new index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Union

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.labels import LabelSpace

#: What one new index is made of: old indices with their factors. Empty: nothing, it starts anew.
Take = tuple[tuple[int, float], ...]

#: Old name -> new name or names; or pairs of them, where one old class goes to several.
MappingLike = Union[Mapping[str, Union[str, Sequence[str]]], Iterable[tuple[str, str]], None]

_LIKE = 0.75


@dataclass(frozen=True)
class RowPlan:
    """Where the rows of every new class come from.

    Args:
        old: the classes of the checkpoint, in the order of its rows.
        new: those of the model.
        sources: for each new class the indices of the old classes; none if there is no source.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    sources: tuple[tuple[int, ...], ...]

    @property
    def moves_nothing(self) -> bool:
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


def plan_rows(old: Sequence[str], new: Sequence[str], mapping: MappingLike = None) -> RowPlan:
    """Plan by name; ``mapping`` counts before equal names.

    Args:
        old: the classes of the checkpoint, in the order of its rows.
        new: those of the model.
        mapping: ``old -> new`` for classes under other names. A new class that is named in it
            takes what is named there and nothing else: several old ones are averaged. An old one
            may go to several.

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
    return RowPlan(before, after, tuple(tuple(sorted(set(s))) for s in sources))


def mapping_pairs(mapping: MappingLike) -> tuple[tuple[str, str], ...]:
    """Return a mapping in any of its forms as pairs of old and new."""
    if mapping is None:
        return ()
    if not isinstance(mapping, Mapping):
        return tuple((a, b) for a, b in mapping)
    several = ((a, [b] if isinstance(b, str) else b) for a, b in mapping.items())
    return tuple((a, b) for a, targets in several for b in targets)


def parse_mapping(text: str) -> tuple[tuple[str, str], ...]:
    """Read ``old=new,old=new``.

    Raises:
        FixkitError: an entry is not of that form.
    """
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


def output_takes(plan: RowPlan) -> tuple[Take, ...]:
    """Rows: the average of the sources."""
    return tuple(tuple((i, 1 / len(source)) for i in source) for source in plan.sources)


def input_takes(plan: RowPlan) -> tuple[Take, ...]:
    """Input columns: the sum of the sources, each shared among the new classes that it feeds.

    So what a layer makes of a class that was split is what it made of the whole.
    """
    uses = Counter(i for source in plan.sources for i in source)
    return tuple(tuple((i, 1 / uses[i]) for i in source) for source in plan.sources)


def one_to_two(takes: Sequence[Take]) -> tuple[Take, ...]:
    """Read rows of two classes out of one sigmoid channel z: -z/2 and z/2.

    Their softmax is the sigmoid of z.
    """
    factors = (-0.5, 0.5)
    return tuple(_summed((0, f * factors[i]) for i, f in take) for take in takes)


def two_to_one(takes: Sequence[Take]) -> tuple[Take, ...]:
    """Make one sigmoid channel of two rows: second minus first; nothing if one has no source."""
    first, second = takes
    if not (first and second):
        return ((),)
    return (_summed([*second, *((i, -f) for i, f in first)]),)


def behind(takes: Sequence[Take], channels: int) -> tuple[Take, ...]:
    """Put ``channels`` that stay in front."""
    front = tuple(((i, 1.0),) for i in range(channels))
    return front + tuple(tuple((i + channels, f) for i, f in take) for take in takes)


def with_last(takes: Sequence[Take], index: int) -> tuple[Take, ...]:
    """Append the row ``index`` ("no object"), which stays last."""
    return (*takes, ((index, 1.0),))


def stays(takes: Sequence[Take], size: int) -> bool:
    """Whether an axis of ``size`` is left as it is."""
    return len(takes) == size and all(t == ((i, 1.0),) for i, t in enumerate(takes))


def _summed(parts: Iterable[tuple[int, float]]) -> Take:
    total: Counter[int] = Counter()
    for index, factor in parts:
        total[index] += factor  # type: ignore[assignment]  # a Counter of factors
    return tuple((i, float(f)) for i, f in sorted(total.items()))


def moved(tensor: Any, takes: Mapping[int, Sequence[Take]], fresh: Any) -> Any:
    """Return a tensor whose axes are made of those of another.

    Args:
        tensor: of torch; it is not changed.
        takes: axis -> what each of its new indices is made of.
        fresh: called for a tensor of the new shape, if some index has no source.
    """
    result = tensor
    for dim, axis in takes.items():
        result = _taken(result, dim, axis)
    missing = [(d, j) for d, axis in takes.items() for j, take in enumerate(axis) if not take]
    if missing:
        source = fresh().to(result)
        for dim, index in missing:
            result.select(dim, index).copy_(source.select(dim, index))
    return result.contiguous()


def _taken(tensor: Any, dim: int, takes: Sequence[Take]) -> Any:
    rows = tensor.movedim(dim, 0)
    result = rows[[take[0][0] if take else 0 for take in takes]]  # a copy
    for index, take in enumerate(takes):
        if take and take != ((take[0][0], 1.0),):
            # In 64 bit, so that an average of halves is rounded once.
            result[index] = sum(rows[i].double() * factor for i, factor in take).to(rows.dtype)
    return result.movedim(0, dim)
