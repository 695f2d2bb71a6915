"""Labels that two splits share: the same file, or another one with the same content.

A label is remembered by two hashes of 64 bit, and by its name in compressed blocks that are only
opened where a hash occurs twice: about 30 bytes in all, so that a million files take 30 MB.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.label_files.facts import Facts
from mmseg_fixkit.label_files.stats import (
    KEPT,
    SAME_FILE,
    SAME_LABEL,
    Offender,
    Problem,
    worst,
)

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Block:
    """Some files of a split, one after the other.

    Args:
        paths: hashes of where they are.
        contents: hashes of what they hold; 0 for those that hold a single value, which are all
            alike: tiles without anything on them.
        names: their paths, compressed.
    """

    paths: Hashes
    contents: Hashes
    names: bytes

    @classmethod
    def of(cls, names: list[str], facts: list[Facts]) -> Block:
        """Return the block of files that were just read."""
        paths = np.array([_hash(name) for name in names], np.uint64)
        contents = np.array([_content(fact) for fact in facts], np.uint64)
        return cls(paths, contents, zlib.compress("\0".join(names).encode("utf-8", _AS_IS), 1))

    def name(self, place: int) -> str:
        """Return the path of one of them."""
        return zlib.decompress(self.names).decode("utf-8", _AS_IS).split("\0")[place]


#: Names of files may be any bytes.
_AS_IS = "surrogateescape"


def _hash(path: str) -> int:
    place = path if "://" in path else os.path.abspath(path)
    return int.from_bytes(blake2b(os.fsencode(place), digest_size=8).digest(), "big")


def _content(facts: Facts) -> int:
    kinds = len(facts.values or facts.colors)
    return facts.digest if kinds > 1 and not facts.error else 0


class Seen:
    """The files of one split in the order in which they came."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []

    def add(self, block: Block) -> None:
        """Add files that follow those that are there."""
        self._blocks.append(block)

    def hashes(self, kind: str) -> Hashes:
        """Return ``paths`` or ``contents`` of all files."""
        parts = [getattr(block, kind) for block in self._blocks]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def name(self, place: int) -> str:
        """Return the path of one of the files."""
        for block in self._blocks:
            if place < len(block.paths):
                return block.name(place)
            place -= len(block.paths)
        raise IndexError(place)


def twins(seen: Mapping[str, Seen]) -> dict[str, dict[str, Problem]]:
    """Return the problems of each split with labels that an earlier one has as well.

    The first :data:`KEPT` of a pair of splits are named; of the others the number is known.

    Args:
        seen: by split, in the order in which they are told.
    """
    found: dict[str, dict[str, Problem]] = {split: {} for split in seen}
    for first, second in combinations(seen, 2):
        for name, problem in _between(seen[first], seen[second], first):
            found[second][name] = found[second].get(name, Problem()) + problem
    return found


def _between(first: Seen, second: Seen, split: str) -> Iterator[tuple[str, Problem]]:
    """Yield what the files of ``second`` have in common with those of ``first``."""
    same = np.isin(second.hashes("paths"), first.hashes("paths"))
    places = np.flatnonzero(same)
    if places.size:
        names = (second.name(place) for place in places[:KEPT])
        yield SAME_FILE, _problem(places, (Offender(n, text=f"also in {split}") for n in names))
    contents = np.where(same, 0, second.hashes("contents"))
    theirs = first.hashes("contents")
    places = np.flatnonzero((contents != 0) & np.isin(contents, theirs))
    if places.size:
        sorter = np.argsort(theirs, kind="stable")
        at = sorter[np.searchsorted(theirs, contents[places[:KEPT]], sorter=sorter)]
        pairs = [(second.name(b), first.name(a)) for b, a in zip(places[:KEPT], at)]
        yield (
            SAME_LABEL,
            _problem(places, (Offender(b, text=f"the same as {a} in {split}") for b, a in pairs)),
        )


def _problem(places: NDArray[np.intp], offenders: Iterable[Offender]) -> Problem:
    return Problem(files=int(places.size), worst=worst(offenders))
