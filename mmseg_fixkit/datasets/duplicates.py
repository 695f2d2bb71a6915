"""Labels that two splits share: the same file, or another one with the same content.

A label is remembered by two hashes of 64 bit, and by its name in compressed blocks that are only
opened where a hash occurs twice: about 30 bytes in all, so that a million files take 30 MB.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.datasets.label_file import FileStats
from mmseg_fixkit.datasets.problems import SAME_FILE, SAME_LABEL
from mmseg_fixkit.datasets.stats import MAX_FILES, BadFile, Problem

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class FileBlock:
    """Some files of a split, one after the other."""

    paths: Hashes  # hashes of where they are
    contents: Hashes  # hashes; 0 for files of a single value: tiles without anything on them
    names: bytes  # their paths, compressed

    @classmethod
    def of(cls, names: list[str], stats: list[FileStats]) -> FileBlock:
        """Return the block of files that were just read."""
        paths = np.array([_hash(name) for name in names], np.uint64)
        contents = np.array([_content(each) for each in stats], np.uint64)
        return cls(paths, contents, zlib.compress("\0".join(names).encode("utf-8", _AS_IS), 1))

    def name(self, place: int) -> str:
        """Return the path of one of them."""
        return zlib.decompress(self.names).decode("utf-8", _AS_IS).split("\0")[place]


#: Names of files may be any bytes, and texts of a config any characters.
_AS_IS = "surrogatepass"


def _hash(path: str) -> int:
    place = path if "://" in path else os.path.abspath(path)
    return int.from_bytes(blake2b(place.encode("utf-8", _AS_IS), digest_size=8).digest(), "big")


def _content(stats: FileStats) -> int:
    kinds = len(stats.values or stats.colors)
    return stats.digest if kinds > 1 and not stats.error else 0


class SplitIndex:
    """The files of one split in the order in which they came."""

    def __init__(self) -> None:
        self._blocks: list[FileBlock] = []

    def add(self, block: FileBlock) -> None:
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


def find_duplicates(seen: Mapping[str, SplitIndex]) -> dict[str, dict[str, Problem]]:
    """Return the problems of each split with labels that an earlier one of ``seen`` has as well.

    The first :data:`MAX_FILES` of a pair of splits are named; of the others the number is known.
    """
    found: dict[str, dict[str, Problem]] = {split: {} for split in seen}
    for first, second in combinations(seen, 2):
        for name, problem in _between(seen[first], seen[second], first):
            found[second].setdefault(name, Problem()).merge(problem)
    return found


def _between(first: SplitIndex, second: SplitIndex, split: str) -> Iterator[tuple[str, Problem]]:
    """Yield what the files of ``second`` have in common with those of ``first``."""
    same = np.isin(second.hashes("paths"), first.hashes("paths"))
    places = np.flatnonzero(same)
    if places.size:
        texts = [f"also in {split}"] * MAX_FILES
        yield SAME_FILE, _problem(second, places, texts)
    contents = np.where(same, 0, second.hashes("contents"))
    theirs = first.hashes("contents")
    places = np.flatnonzero((contents != 0) & np.isin(contents, theirs))
    if places.size:
        sorter = np.argsort(theirs, kind="stable")
        at = sorter[np.searchsorted(theirs, contents[places[:MAX_FILES]], sorter=sorter)]
        texts = [f"the same as {first.name(place)} in {split}" for place in at]
        yield SAME_LABEL, _problem(second, places, texts)


def _problem(index: SplitIndex, places: NDArray[np.intp], texts: list[str]) -> Problem:
    named = [BadFile(index.name(at), text=text) for at, text in zip(places, texts)]
    return Problem(int(places.size), worst_files=sorted(named))
