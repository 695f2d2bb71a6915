"""What is to be scanned: the label files of each dataset, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os.path import abspath, commonpath
from typing import Optional

from mmseg_fixkit.label_files.facts import LabelFile, Reading
from mmseg_fixkit.label_files.walking import Source, files_of
from mmseg_fixkit.labels import Color

Notes = tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What the user says of the labels; None leaves what the config says.

    Args:
        classes: their names.
        palette: a colour for each.
        ignore_index: the label that is not counted.
        reduce_zero_label: whether files hold 0 for "ignored".
        seg_map_suffix: what names of label maps in a folder end with.
    """

    classes: Optional[tuple[str, ...]] = None
    palette: Optional[tuple[Color, ...]] = None
    ignore_index: Optional[int] = None
    reduce_zero_label: Optional[bool] = None
    seg_map_suffix: Optional[str] = None


@dataclass(frozen=True)
class Part:
    """The label files of one dataset, and how its pipeline reads them."""

    source: Source
    reading: Reading


@dataclass(frozen=True)
class Inventory:
    """All that is to be scanned.

    Args:
        parts: one for each dataset, or for each split of a folder.
        classes: names, where they are known.
        palette: a colour for each class, likewise.
        notes: what the user should know.
    """

    parts: tuple[Part, ...]
    classes: Optional[tuple[str, ...]] = None
    palette: Optional[tuple[Color, ...]] = None
    notes: Notes = ()

    @property
    def files(self) -> Iterator[LabelFile]:
        """The label files of all parts, one after the other."""
        return (file for part in self.parts for file in files_of(part.source))

    @property
    def root(self) -> str:
        """The folder that all label folders have in common."""
        folders = [abspath(part.source.labels) for part in self.parts]
        return commonpath(folders)

    @property
    def readings(self) -> dict[str, Reading]:
        """Split -> how its label files are read."""
        return {part.source.split: part.reading for part in self.parts}
