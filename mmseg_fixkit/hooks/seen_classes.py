"""Which classes an evaluation met, from the areas that ``IoUMetric`` keeps for each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmseg_fixkit.core.text import counted, first_few

_SHOWN = 8  # names in a message

#: What ``intersect_and_union`` of mmseg 1.2.2 returns for an image: intersection, union,
#: prediction, label; each ``(num_classes,)`` pixels.
_AREAS = 4


@dataclass
class SeenClasses:
    """Adds up areas while an evaluation runs: the metric forgets them when it computes."""

    sums: Optional[Tensor] = None
    taken: int = 0

    def look(self, metrics: Sequence[Any]) -> None:
        """Take the areas of the images that were processed since the last look."""
        results = next((m.results for m in metrics if _has_areas(m)), None)
        if results is None:
            return
        for areas in results[self.taken :]:
            summed = torch.stack([area.double().cpu() for area in areas])
            self.sums = summed if self.sums is None else self.sums + summed
        self.taken = len(results)

    def words(self, names: Optional[Sequence[str]]) -> tuple[str, ...]:
        """Return what is odd, over all processes, and start again. Every process must call it."""
        sums, self.sums, self.taken = self.sums, None, 0
        every = [part for part in all_gather_object(sums) if part is not None]
        if not every or names is None or every[0].shape[1] != len(names):
            return ()
        return tuple(in_words(sum(every).tolist(), names))


def _has_areas(metric: Any) -> bool:
    if not isinstance(metric, BaseMetric) or not metric.results:
        return False
    first = metric.results[0]
    return isinstance(first, tuple) and len(first) == _AREAS and isinstance(first[0], Tensor)


def in_words(areas: Sequence[Sequence[float]], names: Sequence[str]) -> Iterator[str]:
    """Say what areas mean for classes that have no ground truth, or are never predicted.

    Areas are intersection, union, prediction and label, each with an entry a class.
    """
    there, hits, predicted = areas[3], areas[0], areas[2]
    kinds: Mapping[str, list[str]] = {
        "are not in the ground truth and not predicted (nan in the table; the means leave them "
        "out)": [n for n, a, p in zip(names, there, predicted) if not a and not p],
        "are not in the ground truth, but predicted (IoU 0, Acc nan: their 0 pulls the mIoU "
        "down)": [n for n, a, p in zip(names, there, predicted) if not a and p],
        "are in the ground truth, but never predicted (IoU 0)": [
            n for n, a, p in zip(names, there, predicted) if a and not p
        ],
        "are in the ground truth and predicted, but never in the same place (IoU 0)": [
            n for n, a, p, h in zip(names, there, predicted, hits) if a and p and not h
        ],
    }
    for meaning, found in kinds.items():
        if found:
            count = f"{len(found)} of {counted(len(names), 'class')}"
            yield f"{count} {meaning}: {first_few(found, _SHOWN)}"
