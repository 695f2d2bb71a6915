"""The listing of a real folder, for :mod:`mmseg_fixkit.datasets.layout`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from posixpath import join

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.pairing import PICTURES, Names

#: Folders within folders that are looked into; links may lead round in circles.
MAX_DEPTH = 8


@dataclass
class Disk:
    """The listing of a real folder. At most ``limit`` names of a folder are read, each once."""

    root: Path
    limit: int = 100_000
    _read: dict[str, Names] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            next(os.scandir(self.root), None)
        except OSError as error:
            raise FixkitError(f"{self.root} cannot be read: {error.strerror}") from None

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right in ``path``, sorted."""
        return tuple(sorted(e.name for e in self._entries(path) if _is_folder(e)))

    def files(self, path: str) -> Names:
        """Pictures below ``path``; hidden ones are left out, as MMEngine leaves them out."""
        if path not in self._read:
            names = list(islice(self._walk(path), self.limit + 1))
            self._read[path] = Names(tuple(sorted(names)), len(names) <= self.limit)
        return self._read[path]

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return (self.root / path).is_file()

    def lines(self, path: str) -> tuple[str, ...]:
        """The lines of a text file, stripped, as ``BaseSegDataset`` reads them."""
        try:
            text = (self.root / path).read_text("utf-8")
        except (OSError, ValueError):
            return ()
        return tuple(line.strip() for line in text.splitlines())

    def _entries(self, path: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self.root / path) as entries:
                yield from islice(entries, self.limit + 1)
        except OSError:
            return

    def _walk(self, path: str, depth: int = 0) -> Iterator[str]:
        inner = []
        for entry in self._entries(path):
            if _is_folder(entry):
                inner.append(entry.name)
            elif entry.name.lower().endswith(PICTURES) and not entry.name.startswith("."):
                yield entry.name
        for name in inner if depth < MAX_DEPTH else ():
            yield from (join(name, below) for below in self._walk(join(path, name), depth + 1))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
