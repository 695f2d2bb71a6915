"""The worst files of a scan, drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Optional

from mmseg_fixkit.diagnostics import Diagnostic
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files import problems as kinds
from mmseg_fixkit.label_files.facts import LabelFile
from mmseg_fixkit.label_files.stats import SAME_FILE, SAME_LABEL, LabelStats
from mmseg_fixkit.reporters.scan_pictures import Picture, Read, overlay
from mmseg_fixkit.reporters.scan_rows import Fault, faults

#: Values at fault that are named of one file.
MOST_VALUES = 5

#: Of these there is nothing to see: the file is an image, or nothing is wrong inside it.
_NOT_DRAWN = frozenset({kinds.NO_LABEL, kinds.NO_IMAGE, kinds.UNUSED, SAME_FILE, SAME_LABEL})

#: Files whose contents are at fault as a whole: nothing in them is marked.
_NOT_MARKED = frozenset({kinds.JPEG, kinds.COLOUR, kinds.GREY, kinds.SIZE, kinds.IGNORED})


@dataclass(frozen=True)
class WorstFile:
    """One file to draw, and the finding that it belongs to."""

    diagnostic: Diagnostic
    fault: Fault

    @property
    def marks(self) -> tuple[int, ...]:
        """The values of the file to mark."""
        if self.fault.problem in _NOT_MARKED:
            return ()
        values = tuple(value for value, _ in self.fault.offender.values)
        return (255,) if self.fault.problem == kinds.BINARY else values


@dataclass(frozen=True)
class Drawing:
    """A file as an image, or why it could not be drawn."""

    image: Optional[Picture]
    why_not: str = ""


def worst_files(
    stats: LabelStats, diagnostics: Sequence[Diagnostic], most: int
) -> tuple[WorstFile, ...]:
    """Choose the files to draw: the worst of each finding, then the next of each, and so on.

    Args:
        stats: of the scan.
        diagnostics: its findings.
        most: how many files in all.
    """
    queues = [
        [WorstFile(d, f) for f in faults(stats, d) if f.problem not in _NOT_DRAWN]
        for d in diagnostics
    ]
    once: dict[str, WorstFile] = {}
    for turn in zip_longest(*queues):
        for file in filter(None, turn):
            once.setdefault(file.fault.offender.file, file)
    order = [d.code for d in diagnostics]
    chosen = list(once.values())[:most]
    return tuple(sorted(chosen, key=lambda file: order.index(file.diagnostic.code)))


def images_of(
    chosen: Sequence[WorstFile], files: Iterable[LabelFile]
) -> Mapping[str, Optional[str]]:
    """Find the images of the files to draw among all files of a scan, by label file."""
    wanted = {each.fault.offender.file for each in chosen}
    return {file.label: file.image for file in files if file.label in wanted} if wanted else {}


def drawings(
    stats: LabelStats,
    chosen: Sequence[WorstFile],
    images: Mapping[str, Optional[str]],
    read: Read,
) -> Iterator[tuple[WorstFile, Drawing]]:
    """Draw each file."""
    for worst in chosen:
        path = worst.fault.offender.file
        try:
            image = overlay(stats, path, images.get(path), bad=worst.marks, read=read)
        except FixkitError as reason:
            yield worst, Drawing(None, str(reason))
        else:
            yield worst, Drawing(image)
