"""The worst files of a scan, drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Optional, Union

from mmseg_fixkit.cli.output.scan_images import Drawing, Read, overlay
from mmseg_fixkit.cli.output.scan_rows import Fault, faults
from mmseg_fixkit.core.diagnostics import Diagnostic
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets import problems as kinds
from mmseg_fixkit.datasets.label_file import LabelFile
from mmseg_fixkit.datasets.stats import LabelStats

#: Values at fault that are named of one file.
MOST_VALUES = 5

#: Of these there is nothing to see: the file is an image, or nothing is wrong inside it.
_NOT_DRAWN = frozenset(
    {kinds.NO_LABEL, kinds.NO_IMAGE, kinds.UNUSED, kinds.SAME_FILE, kinds.SAME_LABEL}
)

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
        values = tuple(value for value, _ in self.fault.bad_file.values)
        return (255,) if self.fault.problem == kinds.BINARY else values


def worst_files(
    stats: LabelStats, diagnostics: Sequence[Diagnostic], most: int
) -> tuple[WorstFile, ...]:
    """Choose the files to draw: the worst of each finding, then the next of each, and so on."""
    queues = [
        [WorstFile(d, f) for f in faults(stats, d) if f.problem not in _NOT_DRAWN]
        for d in diagnostics
    ]
    once: dict[str, WorstFile] = {}
    for turn in zip_longest(*queues):
        for file in filter(None, turn):
            once.setdefault(file.fault.bad_file.file, file)
    order = [d.code for d in diagnostics]
    chosen = list(once.values())[:most]
    return tuple(sorted(chosen, key=lambda file: order.index(file.diagnostic.code)))


def drawings(
    stats: LabelStats, chosen: Sequence[WorstFile], files: Iterable[LabelFile], read: Read
) -> list[tuple[WorstFile, Union[Drawing, str]]]:
    """Draw each file over its image, which is found among all files; or say why it cannot be."""
    labels = {each.fault.bad_file.file for each in chosen}
    images = {f.label: f.image for f in files if f.label in labels} if labels else {}
    return [(worst, _drawing(stats, worst, images, read)) for worst in chosen]


def _drawing(
    stats: LabelStats, worst: WorstFile, images: Mapping[str, Optional[str]], read: Read
) -> Union[Drawing, str]:
    path = worst.fault.bad_file.file
    try:
        return overlay(stats, path, images.get(path), bad=worst.marks, read=read)
    except FixkitError as reason:
        return f"not drawn: {reason}"
