"""Which classes meet in a file: a matrix that is readable with 150 of them too."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Optional

import numpy as np

from mmseg_fixkit.cli.output.scan_rows import CLASS, color_of, kind_of
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.core.text import printable
from mmseg_fixkit.datasets.stats import LabelStats

#: The rarest of more classes are left out.
_MOST_CLASSES = 160

#: Upper bounds of the shades of the matrix, as shares of the files that have the row's class.
SHADES = (0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

#: With more classes the table below the matrix lists pairs instead.
_TABLE_CLASSES = 24
_TABLE_PAIRS = 60

#: Up to so many classes, cells and letters of the matrix have these sizes.
_CELLS = ((12, 30, 13), (24, 22, 12), (60, 15, 11), (_MOST_CLASSES, 11, 9))
_NAME_LETTERS = 22

#: A sheet of paper takes a matrix of this side.
_PAPER = 800


@dataclass(frozen=True)
class ClassMatrix:
    """The classes of all splits, most frequent first."""

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    files: tuple[tuple[int, ...], ...]  # with both classes; on the diagonal, with the one
    left_out: int  # rarer classes

    @property
    def _sizes(self) -> tuple[int, int]:
        return next((cell, size) for most, cell, size in _CELLS if len(self.names) <= most)

    @property
    def cell(self) -> int:
        """The side of a cell."""
        return self._sizes[0]

    @property
    def letters(self) -> int:
        """The size of letters."""
        return self._sizes[1]

    @property
    def dot(self) -> int:
        """The side of a class's colour beside its name."""
        return round(self.cell * 0.55)

    @property
    def side(self) -> int:
        """The side of the matrix."""
        return len(self.names) * self.cell

    @property
    def is_large(self) -> bool:
        """Whether it has to be made smaller to be printed."""
        return self.side > _PAPER

    @property
    def short_names(self) -> list[str]:
        """The names as they fit the margin."""
        cut = f"{{:.{_NAME_LETTERS - 1}}}…".format
        return [text if len(text) <= _NAME_LETTERS else cut(text) for text in self.names]

    @property
    def margin(self) -> int:
        """The room that names take."""
        return round(max(map(len, self.short_names)) * self.letters * 0.62) + self.cell + 8

    @property
    def legend(self) -> list[str]:
        """What each shade means."""
        most = [f"to {bound * 100:g} %" for bound in SHADES[:-1]]
        return ["never", *most, f"over {SHADES[-2] * 100:g} %"]

    @property
    def json(self) -> str:
        """What the script reads: the counts above the diagonal are in one list."""
        pairs = combinations(range(len(self.names)), 2)
        data = {
            "names": self.names,
            "files": [row[n] for n, row in enumerate(self.files)],
            "together": [self.files[a][b] for a, b in pairs],
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    @property
    def paths(self) -> dict[str, str]:
        """A path for each shade: one for each cell would be ten times as long."""
        files = np.array(self.files)
        shades = 1 + np.searchsorted(SHADES, files / files.diagonal()[:, None])
        shades[files == 0] = 0
        np.fill_diagonal(shades, 0)
        cells = {f"shade-{n}": np.argwhere(shades == n) for n in range(1, len(SHADES) + 1)}
        return {
            "diagonal": "".join(f"M{n} {n}h1v1h-1z" for n in range(len(files))),
            **{k: "".join(f"M{x} {y}h1v1h-1z" for y, x in v) for k, v in cells.items() if len(v)},
        }

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """The classes that meet most often, where the matrix is no table that one reads."""
        if len(self.names) <= _TABLE_CLASSES:
            return []
        found = [
            (self.names[a], self.names[b], self.files[a][b])
            for a, b in combinations(range(len(self.names)), 2)
        ]
        return sorted(found, key=lambda entry: -entry[2])[:_TABLE_PAIRS]


def class_matrix(stats: LabelStats) -> Optional[ClassMatrix]:
    """Return the matrix of classes that meet in a file; None where no two do."""
    alone: Counter[int] = Counter()
    together: Counter[tuple[int, int]] = Counter()
    for split in stats.splits.values():
        alone.update(split.images)
        together.update(split.together)
    ordered = [c for c, files in alone.most_common() if files and kind_of(stats, c) == CLASS]
    shown = ordered[:_MOST_CLASSES]
    if len(shown) < 2 or not together:
        return None
    return ClassMatrix(
        tuple(printable(stats.name(c)) for c in shown),
        tuple(color_of(stats, c) for c in shown),
        tuple(
            tuple(alone[a] if a == b else together[min(a, b), max(a, b)] for b in shown)
            for a in shown
        ),
        len(ordered) - len(shown),
    )
