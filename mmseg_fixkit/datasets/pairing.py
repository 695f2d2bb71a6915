"""Names of images and label maps -> the endings that pair them, as the host pairs files."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Callable, Optional

#: What the names of images end with. Label maps as JPEG are read too, though they lose values.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm")

#: ``img_suffix`` and ``seg_map_suffix``; None for one that is still to be found.
Suffixes = tuple[str, str]
Given = tuple[Optional[str], Optional[str]]

#: Names that endings are taken from, and names that they are tried on; all are counted afterwards.
SEEDS = 12
SAMPLE = 120

#: Endings by what they usually hold, best first; what fits none stands between the two.
_BETTER = re.compile(r"train_?ids", re.IGNORECASE)
_WORSE = re.compile(r"colou?r|instance|panoptic|edge|overlay|vis|\.jpe?g$", re.IGNORECASE)

_NUMBER_ONLY = re.compile(r"[\W_]*\d+[\W_]*")


@dataclass(frozen=True)
class FileNames:
    """Images below one folder, sorted; ``complete`` is False where not all were listed."""

    names: tuple[str, ...]
    complete: bool = True

    def has(self, name: str) -> bool:
        """Whether there is this one."""
        place = bisect_left(self.names, name)
        return place < len(self.names) and self.names[place] == name


@dataclass(frozen=True)
class Pairing:
    """How images and label maps go together."""

    suffixes: Suffixes  # of images and of label maps
    pairs: int  # how many
    other: tuple[str, ...] = ()  # images that end with something else, so that nothing reads them
    unlabelled: tuple[str, ...] = ()  # images, or names of a list, without label map or image
    spare: tuple[str, ...] = ()  # label maps with this ending that belong to no image
    complete: bool = True  # False: there are more files than were looked at


#: Whether a file is there, by its name below the folder.
Has = Callable[[str], bool]


def pair(images: FileNames, labels: FileNames, given: Given, has_label: Has) -> Optional[Pairing]:
    """Find the endings that pair the most images with label maps; None where nothing goes together.

    As ``BaseSegDataset.load_data_list`` does without an ``ann_file``: the label map of an image
    is its name, sub-folders included, with ``img_suffix`` replaced by ``seg_map_suffix``.
    ``has_label`` looks for one label map; it is asked only where ``labels`` is not complete.
    """
    seeds = [*_sample(images.names, SEEDS), *_beside(images, _sample(labels.names, SEEDS))]
    sample = [*_sample(images.names, SAMPLE), *seeds]
    there: Has = labels.has if labels.complete else has_label
    scores = {
        ends: sum(there(label) for label in _labels_of(sample, ends))
        for ends in _candidates(seeds, labels, given)
    }
    ends = _best({e: n for e, n in scores.items() if _believable(e, n, len(sample))})
    return None if ends is None else _counted(images, labels, ends, there)


def pair_listed(
    lines: Sequence[str],
    images: FileNames,
    labels: FileNames,
    given: Given,
    has: tuple[Has, Has],
) -> Optional[Pairing]:
    """Find the endings that turn the names of a list into images and label maps.

    As ``BaseSegDataset.load_data_list`` does with an ``ann_file``: a line and ``img_suffix`` are
    an image, the same line and ``seg_map_suffix`` its label map. None where no line has both.
    ``has`` look for one image and for one label map.
    """
    there = tuple(
        names.has if names.complete else look for names, look in zip((images, labels), has)
    )
    sample = _sample([line for line in lines if line], SAMPLE)
    candidates = {
        ends
        for line in _sample(sample, SEEDS)
        for ends in product(_rests(images, line, given[0]), _rests(labels, line, given[1]))
    }

    def both(line: str, ends: Suffixes) -> bool:
        return all(ask(line + end) for ask, end in zip(there, ends))

    scores = {ends: sum(both(line, ends) for line in sample) for ends in candidates}
    ends = _best({e: n for e, n in scores.items() if n})
    if ends is None:
        return None
    lacking = tuple(line for line in lines if not both(line, ends))
    complete = images.complete and labels.complete
    return Pairing(ends, len(lines) - len(lacking), (), lacking, (), complete)


def _sample(names: Sequence[str], count: int) -> Sequence[str]:
    return names[:: max(1, len(names) // count)]


def _beside(images: FileNames, labels: Sequence[str]) -> Iterator[str]:
    """The images that stand where label maps would, so that a few labelled ones are found."""
    for label in labels:
        place = bisect_left(images.names, label)
        yield from images.names[max(0, place - 1) : place + 1]


def _candidates(seeds: Sequence[str], labels: FileNames, given: Given) -> set[Suffixes]:
    found = {ends for name in seeds for ends in _endings(name, labels)}
    if not labels.complete:
        own = {name[name.rindex(".") :] for name in seeds}
        found |= set(product(own, IMAGE_SUFFIXES))
    found |= {(given[0] or s, given[1] or t) for s, t in found if given != (None, None)}
    if given[0] is not None and given[1] is not None:
        found.add((given[0], given[1]))
    return {ends for ends in found if all(g in (None, e) for g, e in zip(given, ends))}


def _endings(name: str, labels: FileNames) -> Iterator[Suffixes]:
    for cut in _cuts(name, labels):
        for label in _starting(labels, name[:cut]):
            if "/" not in label[cut:]:
                yield name[cut:], label[cut:]


def _cuts(name: str, labels: FileNames) -> Iterator[int]:
    """Where a suffix may begin: at dots, ``_`` and ``-``, or where label maps differ."""
    start = name.rfind("/") + 1
    yield from (i for i in range(start + 1, len(name)) if name[i] in "._-")
    place = bisect_left(labels.names, name)
    for near in labels.names[max(0, place - 1) : place + 1]:
        cut = next((i for i, (a, b) in enumerate(zip(name, near)) if a != b), 0)
        if cut > start and name[cut - 1].isalnum():
            yield cut


def _starting(names: FileNames, prefix: str, limit: int = 16) -> Sequence[str]:
    place = bisect_left(names.names, prefix)
    return [n for n in names.names[place : place + limit] if n.startswith(prefix)]


def _rests(names: FileNames, line: str, given: Optional[str]) -> set[str]:
    if given is not None:
        return {given}
    plain = () if names.complete else ("", *IMAGE_SUFFIXES)
    rests = {n[len(line) :] for n in _starting(names, line)}.union(plain)
    return {rest for rest in rests if rest[:1] in ("", ".", "_", "-")} or rests


def _labels_of(images: Sequence[str], ends: Suffixes) -> Iterator[str]:
    image, label = ends
    return (name[: len(name) - len(image)] + label for name in images if name.endswith(image))


def _believable(ends: Suffixes, count: int, asked: int) -> bool:
    """A bare ending needs one pair; a longer one is only a pattern if half of the images have it.

    ``1.jpg`` with ``2.png`` is no pattern: a number on the side of the labels is part of a name.
    """
    if not count or _NUMBER_ONLY.fullmatch(_stem(ends[1])):
        return False
    return not _stem(ends[0]) or 2 * count >= asked


def _stem(ending: str) -> str:
    return ending[: ending.rfind(".")] if "." in ending else ending


def _best(scores: dict[Suffixes, int]) -> Optional[Suffixes]:
    most = max(scores.values(), default=0)
    good = [ends for ends, count in scores.items() if 2 * count >= most]
    return min(good, key=lambda e: (_rank(e[1]), -scores[e], len(e[0]), e), default=None)


def _rank(ending: str) -> int:
    return 0 if _BETTER.search(ending) else 2 if _WORSE.search(ending) else 1


def _counted(images: FileNames, labels: FileNames, ends: Suffixes, there: Has) -> Pairing:
    complete = images.complete and labels.complete
    names = images.names if complete else _sample(images.names, SAMPLE)
    read = [name for name in names if name.endswith(ends[0])]
    wanted = list(_labels_of(read, ends))
    unlabelled = tuple(name for name, label in zip(read, wanted) if not there(label))
    used = set(wanted)
    spare = [n for n in labels.names if n.endswith(ends[1]) and n not in used] if complete else []
    other = tuple(name for name in names if not name.endswith(ends[0]))
    return Pairing(ends, len(read) - len(unlabelled), other, unlabelled, tuple(spare), complete)
