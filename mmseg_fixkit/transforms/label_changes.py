"""What transforms change in labels, counted over all data-loader workers and ranks.

A transform runs in a worker process, and a worker has no logger. So a transform that changes labels
counts in memory that all workers share, and a hook reads it once an epoch and writes it to the log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Callable, Optional
from weakref import WeakSet

import cv2
import numpy as np
import torch
from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import get_worker_info

from mmseg_fixkit.core.text import counted, with_pixels

#: What each worker counts: of which round, how many files and pixels, and its first file.
_SLOT = np.dtype(
    [("round", "i8"), ("files", "i8"), ("when", "i8"), ("pixels", "i8", (257,)), ("first", "S512")]
)
#: Counts of values that have no place of their own.
OTHERS = 256
_WORKERS = 64  # with a slot each; the slot before them is that of the main process
_EXACT = 1 << 24  # pixels up to which OpenCV's counts, which are single precision, are exact
_SHOWN = 10  # values that a line of the log names

_TITLES = {"train": "training", "val": "validation", "test": "test"}
#: Attributes of datasets and transforms that lead to further ones.
_BELOW = ("dataset", "datasets", "pipeline", "transforms", "subroutines")


@dataclass(frozen=True)
class Taken:
    """What was changed since the last look.

    Args:
        files: label maps in which something changed.
        pixels: place of a value -> how many.
        first: the first of the files.

    """

    files: int = 0
    pixels: tuple[tuple[int, int], ...] = ()
    first: str = ""


def count_pixels(label: np.ndarray) -> dict[int, int]:
    """Return each value of a map of whole numbers, and how many pixels have it."""
    if label.dtype == np.uint8 and 0 < label.size < _EXACT:
        counts = cv2.calcHist([np.ascontiguousarray(label)], [0], None, [256], [0, 256]).ravel()
        found = np.flatnonzero(counts)
        return dict(zip(found.tolist(), counts[found].astype(int).tolist()))
    values, numbers = np.unique(label, return_counts=True)
    return dict(zip(map(int, values), numbers.tolist()))


class LabelChanges:
    """Counts of what one transform changed, in memory that forked and spawned workers share.

    Every worker has a slot of its own, so that none waits for another. A deep copy counts for
    itself: it belongs to another dataset.
    """

    def __init__(self) -> None:
        size = (1 + _WORKERS) * _SLOT.itemsize
        self._shared = torch.zeros(8 + size, dtype=torch.uint8)
        with suppress(RuntimeError):  # no room for shared memory: the main process counts its own
            self._shared.share_memory_()
        self._seen = np.zeros(1 + _WORKERS, _SLOT)
        if _STARTING:
            self.watch()

    def __deepcopy__(self, memo: dict[int, Any]) -> LabelChanges:
        return LabelChanges()

    @property
    def _round(self) -> np.ndarray:
        """0 until a hook watches; from then on, which round it is."""
        return self._shared[:8].numpy().view(np.int64)

    @property
    def _slots(self) -> np.ndarray:
        return self._shared[8:].numpy().view(_SLOT)

    @property
    def watched(self) -> bool:
        """Whether a hook will report what is counted."""
        return bool(self._round[0])

    def watch(self) -> None:
        """Promise to report what is counted from now on."""
        self._round[0] = max(1, self._round[0])

    def add(self, pixels: Mapping[int, int], source: str) -> None:
        """Count a label map in which something changed.

        Args:
            pixels: place of a value (0 to 255, else :data:`OTHERS`) -> how many.
            source: the file.

        """
        worker = get_worker_info()
        slot = self._slots[0 if worker is None else 1 + worker.id % _WORKERS]
        if slot["round"] != self._round[0] or not slot["files"]:
            slot["round"] = self._round[0]
            slot["when"] = time.monotonic_ns()
            slot["first"] = source.encode("utf-8", "replace")[-_SLOT["first"].itemsize :]
        for place, number in pixels.items():
            slot["pixels"][place if 0 <= place < OTHERS else OTHERS] += number
        slot["files"] += 1

    def take(self) -> Taken:
        """Return what was counted since the last call, in this process and its workers."""
        now = self._slots.copy()
        # A worker adds the file last: one that it is at now is taken the next time.
        active = now["files"] != self._seen["files"]
        new, old = now[active], self._seen[active]
        self._seen[active] = new
        self._round[0] += 1
        if not len(new):
            return Taken()
        pixels = (new["pixels"] - old["pixels"]).sum(0)
        return Taken(
            int((new["files"] - old["files"]).sum()),
            tuple((int(place), int(pixels[place])) for place in np.flatnonzero(pixels)),
            bytes(new["first"][new["when"].argmin()]).decode("utf-8", "replace"),
        )


#: Those of runs that have hooks, but no loops yet. The workers of a loop without epochs begin as
#: soon as it is built, which is before any hook is called (mmengine 0.10.7).
_STARTING: WeakSet[LabelChangeLog] = WeakSet()


class LabelChangeLog:
    """Writes what the transforms of a run changed to its log; ``ClassCountHook`` calls it."""

    def __init__(self) -> None:
        _STARTING.add(self)

    def watch(self, runner: Any) -> None:
        """Tell the transforms of all loops that exist that their counts will be reported."""
        _STARTING.discard(self)
        for split in _TITLES:
            for transform in _transforms(_dataset(runner, split)):
                transform.changes.watch()

    def after_iteration(self, runner: Any) -> None:
        """Report once for as many iterations as there are in an epoch, where there are none."""
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop):
            return
        if (runner.iter + 1) % _iterations(loop.dataloader) == 0:
            self.report(runner, "train", f"up to iteration {runner.iter + 1}")

    def after_epoch(self, runner: Any, split: str) -> None:
        """Report what is left to report of a loop."""
        where = "" if split == "test" else f"up to iteration {runner.iter}"
        if split == "train" and isinstance(runner.train_loop, EpochBasedTrainLoop):
            where = f"in epoch {runner.epoch + 1}"
        self.report(runner, split, where)

    def report(self, runner: Any, split: str, where: str) -> None:
        """Gather the counts of all ranks, and write those that are not 0 to the log."""
        for transform in _transforms(_dataset(runner, split)):
            taken = merged(all_gather_object(transform.changes.take()))
            if taken.files and is_main_process():
                text = described(transform, taken, split, where)
                runner.logger.log(transform.change_level, text)


def merged(several: Sequence[Taken]) -> Taken:
    """Return the counts of all ranks together; the first file is that of the first rank."""
    pixels: dict[int, int] = {}
    for taken in several:
        for place, number in taken.pixels:
            pixels[place] = pixels.get(place, 0) + number
    first = next((taken.first for taken in several if taken.files), "")
    files = sum(taken.files for taken in several)
    return Taken(files, tuple(sorted(pixels.items())), first)


def described(transform: Any, taken: Taken, split: str, where: str) -> str:
    """Say which values became what, how often, and where first."""
    said: Callable[[int], str] = transform.described_change
    shown = with_pixels(((said(place), number) for place, number in taken.pixels), _SHOWN)
    place = f"the {_TITLES[split]} dataset{where and ' ' + where}"
    return (
        f"{type(transform).__name__} changed labels of {place}: {shown}; "
        f"in {counted(taken.files, 'file')}, first in {taken.first}"
    )


def _iterations(loader: Any) -> int:
    """Return how many iterations see as many images as the dataset has."""
    images = len(loader.dataset)
    batch = getattr(loader, "batch_size", None) or math.ceil(images / max(1, len(loader)))
    return max(1, math.ceil(images / (batch * get_world_size())))


def _dataset(runner: Any, split: str) -> Optional[Any]:
    loop = getattr(runner, f"_{split}_loop", None)
    return getattr(getattr(loop, "dataloader", None), "dataset", None)


def _transforms(part: Any, seen: Optional[set[int]] = None) -> Iterator[Any]:
    """Yield the transforms below a dataset that count what they change, each once."""
    seen = set() if seen is None else seen
    if part is None or isinstance(part, (str, dict)) or id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, (list, tuple)):
        for one in part:
            yield from _transforms(one, seen)
        return
    if isinstance(getattr(part, "changes", None), LabelChanges):
        yield part
    for name in _BELOW:
        yield from _transforms(getattr(part, name, None), seen)
