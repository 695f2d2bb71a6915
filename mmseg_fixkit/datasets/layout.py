"""A data folder -> its layout: which folders, lists and endings hold images and label maps.

All follows from a :class:`FolderView`; :class:`Folder` is that of a real folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, product
from pathlib import Path
from posixpath import join, normpath, relpath
from typing import Optional, Protocol

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import lies_in
from mmseg_fixkit.datasets.pairing import (
    IMAGE_SUFFIXES,
    FileNames,
    Given,
    Pairing,
    pair,
    pair_listed,
)

#: What folders of images and of label maps are called, likelier names first; case is ignored.
IMAGES = ("img_dir", "images", "image", "imgs", "img", "JPEGImages", "leftImg8bit", "rgb")
LABELS = (
    *("ann_dir", "labels", "label", "annotations", "annotation", "anns", "ann", "masks", "mask"),
    *("gtFine", "gt", "ground_truth", "groundtruth", "SegmentationClass", "SegmentationClassAug"),
    *("SegmentationClassPNG", "segmentations", "segmentation", "seg_maps", "seg", "label_maps"),
)

#: How the splits are spelt, the usual word first. A year may follow: train2017.
SPELLINGS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}

#: The name of the one split where nothing parts the files.
ALL = "all"


@dataclass(frozen=True)
class LayoutRow:
    """One usual layout: folders of images and label maps, and the lists that part them, if any."""

    images: str
    labels: str
    lists: tuple[str, ...] = ()


LISTS = (
    *("ImageSets/Segmentation/{split}.txt", "ImageSets/{split}.txt", "splits/{split}.txt"),
    *("split/{split}.txt", "lists/{split}.txt", "{split}.txt"),
)

#: The first row that fits counts.
TABLE = (
    LayoutRow("{images}/{split}", "{labels}/{split}"),
    LayoutRow("{split}/{images}", "{split}/{labels}"),
    LayoutRow("{images}_{split}", "{labels}_{split}"),
    LayoutRow("{split}_{images}", "{split}_{labels}"),
    LayoutRow("{split}", "{split}_{labels}"),
    LayoutRow("{images}", "{labels}", LISTS),
    LayoutRow("{images}", "{labels}"),
)


@dataclass(frozen=True)
class KnownPaths:
    """What is known already; ``{split}`` stands for any spelling of a split."""

    img_dir: Optional[str] = None
    ann_dir: Optional[str] = None
    ann_file: Optional[str] = None
    suffixes: Given = (None, None)


@dataclass(frozen=True)
class Split:
    """The files of one split."""

    name: str
    pairing: Pairing
    img_path: str
    seg_map_path: str
    ann_file: str = ""

    @property
    def img_suffix(self) -> str:
        """What the names of images end with."""
        return self.pairing.suffixes[0]

    @property
    def seg_map_suffix(self) -> str:
        """What the names of label maps end with."""
        return self.pairing.suffixes[1]


@dataclass(frozen=True)
class Layout:
    """What a data folder was recognised as."""

    splits: tuple[Split, ...]  # in the order of training, validation and test
    base: str = ""  # the folder in it that is meant, or empty; splits lie below this
    others: tuple[str, ...] = ()  # more folders in it that fit

    def split(self, name: str) -> Optional[Split]:
        """Return the split of this name."""
        return next((s for s in self.splits if s.name == name), None)

    @property
    def pairs(self) -> int:
        """Of all splits."""
        return sum(split.pairing.pairs for split in self.splits)


class FolderView(Protocol):
    """What is in a folder; paths are relative to it, and ``""`` is the folder itself."""

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right in ``path``."""

    def files(self, path: str) -> FileNames:
        """Images below ``path`` at any depth."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

    def lines(self, path: str) -> tuple[str, ...]:
        """The lines of a text file, as MMEngine's ``list_from_file`` reads them."""


def detect_layout(
    view: FolderView, known: KnownPaths = KnownPaths()
) -> tuple[Optional[Layout], str]:
    """Recognise the layout of a data folder: its own, or that of a folder at most two below it.

    Returns the layout, or None and what stands in the way.
    """
    rows = tuple(_rows(known))
    for bases in _bases(view, known):
        fits = [(base, _layout(view, base, rows, known)) for base in bases]
        found = [(base, layout) for base, layout in fits if layout is not None]
        if found:
            base, best = max(found, key=lambda fit: fit[1].pairs)
            return replace(best, others=tuple(b for b, _ in found if b != base)), ""
    return None, _reason(view, rows)


def _rows(known: KnownPaths) -> Iterator[LayoutRow]:
    """Put what is known into the table; rows that become the same are tried once."""
    lists = None if known.ann_file is None else (known.ann_file,) if known.ann_file else ()
    seen = []
    for row in TABLE:
        if lists is not None and bool(lists) != bool(row.lists):
            continue
        images = row.images if known.img_dir is None else normpath(known.img_dir)
        labels = row.labels if known.ann_dir is None else normpath(known.ann_dir)
        filled = LayoutRow(images, labels, row.lists if lists is None else lists)
        if filled not in seen:
            seen.append(filled)
            yield filled


def _bases(view: FolderView, known: KnownPaths) -> Iterator[tuple[str, ...]]:
    yield ("",)
    if (known.img_dir, known.ann_dir, known.ann_file) == (None, None, None):
        near = view.folders("")[:20]
        yield near
        yield tuple(join(a, b) for a in near for b in view.folders(a)[:20])


def _layout(
    view: FolderView, base: str, rows: Iterable[LayoutRow], known: KnownPaths
) -> Optional[Layout]:
    """Return the first row that finds a training split, else the first that finds anything."""
    found = []
    for row in rows:
        splits = _best_of_each(_splits(view, base, row, known))
        if any(split.name in ("train", ALL) for split in splits):
            return Layout(splits, base)
        found += [Layout(splits, base)] if splits else []
    return found[0] if found else None


def _best_of_each(splits: Iterable[Split]) -> tuple[Split, ...]:
    best: dict[str, Split] = {}
    for split in splits:
        if split.name not in best or split.pairing.pairs > best[split.name].pairing.pairs:
            best[split.name] = split
    return tuple(best[name] for name in (*SPELLINGS, ALL) if name in best)


def _splits(view: FolderView, base: str, row: LayoutRow, known: KnownPaths) -> Iterator[Split]:
    """Try every image folder with every label folder and list of the same split."""
    lists = list(_lists(view, base, row))
    if not lists:
        return
    labels = list(_folders(view, base, row.labels))
    for (images, a), (maps, b), (names, c) in product(
        _folders(view, base, row.images), labels, lists
    ):
        spelt = {split for split in (a, b, c) if split}
        if images != maps and len(spelt) < 2:
            pairing = _pairing(view, (images, maps), names, known)
            if pairing is not None:
                paths = (_inside(path, base) for path in (images, maps, names))
                yield Split(next(iter(spelt), ALL), pairing, *paths)


def _inside(path: str, base: str) -> str:
    return relpath(path, base or ".") if path else ""


def _pairing(
    view: FolderView, folders: tuple[str, str], names: str, known: KnownPaths
) -> Optional[Pairing]:
    images, maps = (view.files(folder) for folder in folders)
    has_image, has_label = (partial(_has, view, folder) for folder in folders)
    if names:
        lines = view.lines(names)
        return pair_listed(lines, images, maps, known.suffixes, (has_image, has_label))
    return pair(images, maps, known.suffixes, has_label)


def _has(view: FolderView, folder: str, name: str) -> bool:
    return view.has(join(folder, name))


def _folders(view: FolderView, base: str, template: str) -> Iterator[tuple[str, str]]:
    """Yield the folders that fit ``template``, with the split that each is spelt for, or ``""``."""
    found = [(base, "")]
    for segment in template.split("/"):
        if segment != ".":
            fits = _pattern(segment).fullmatch
            found = [
                (join(path, name), _split_of(match) or split)
                for path, split in found
                for name in view.folders(path)
                for match in (fits(name),)
                if match
            ]
    yield from sorted(found, key=lambda pair: _preference(pair[0]))


def _preference(path: str) -> tuple[int, str]:
    words = [word.lower() for word in (*IMAGES, *LABELS)]
    parts = path.lower().split("/")
    return min((words.index(part) for part in parts if part in words), default=0), path


def _pattern(segment: str) -> re.Pattern[str]:
    spelt = "|".join(
        f"(?P<{split}>(?:{'|'.join(words)})(?:20\\d\\d)?)" for split, words in SPELLINGS.items()
    )
    text = re.escape(segment)
    for name, words in (
        ("images", "|".join(IMAGES)),
        ("labels", "|".join(LABELS)),
        ("split", spelt),
    ):
        text = text.replace(re.escape(f"{{{name}}}"), f"(?i:{words})", 1)
    return re.compile(text)


def _split_of(match: re.Match[str]) -> str:
    return next((name for name, text in match.groupdict().items() if text), "")


def _lists(view: FolderView, base: str, row: LayoutRow) -> Iterator[tuple[str, str]]:
    """Yield the lists of a row that are there, with their split; one empty entry without lists."""
    if not row.lists:
        yield "", ""
        return
    for template in row.lists:
        found = [
            (path, split if "{split}" in template else "")
            for split, words in SPELLINGS.items()
            for path in (join(base, template.replace("{split}", word)) for word in words)
            if view.has(path)
        ]
        if found:
            yield from dict(found).items()
            return


def _reason(view: FolderView, rows: Iterable[LayoutRow]) -> str:
    for row in rows:
        images, maps = (list(_folders(view, "", part)) for part in (row.images, row.labels))
        for (one, a), (other, b) in product(images, maps):
            if a == b and one != other and view.files(one).names:
                name = view.files(one).names[0]
                first = next(iter(view.files(other).names), "no image")
                return (
                    f"no label map in {other} ({first}, …) goes with an image in {one} ({name}, …)"
                )
    here = ", ".join(view.folders("")[:8])
    return f"the folders in it are {here}" if here else "there is no folder in it"


# --- a real folder ------------------------------------------------------------------------------

#: Folders within folders that are looked into.
MAX_DEPTH = 8


@dataclass
class Folder:
    """The listing of a real folder. At most ``limit`` names of a folder are read, each once."""

    root: Path
    limit: int = 100_000
    _read: dict[str, FileNames] = field(default_factory=dict)
    _cut: bool = False  # whether a folder had more names

    def __post_init__(self) -> None:
        try:
            next(os.scandir(self.root), None)
        except OSError as error:
            raise FixkitError(f"{self.root} cannot be read: {error.strerror}") from None

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right in ``path``, sorted."""
        return tuple(sorted(e.name for e in self._entries(path) if _is_folder(e)))

    def files(self, path: str) -> FileNames:
        """Images below ``path``; hidden ones are left out, as MMEngine leaves them out."""
        if path not in self._read:
            self._cut = False
            names = list(islice(self._walk(path), self.limit + 1))
            complete = len(names) <= self.limit and not self._cut
            self._read[path] = FileNames(tuple(sorted(names)), complete)
        return self._read[path]

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(self.root / path)

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
                yield from islice(entries, self.limit)
                self._cut |= next(entries, None) is not None
        except OSError:
            return

    def _walk(self, path: str, above: tuple[str, ...] = ()) -> Iterator[str]:
        inner = []
        above = (*above, str(self.root / path))
        for entry in self._entries(path):
            if _is_folder(entry):
                inner += [] if leads_back(entry, above) else [entry.name]
            elif entry.name.lower().endswith(IMAGE_SUFFIXES) and not entry.name.startswith("."):
                yield entry.name
        for name in inner if len(above) <= MAX_DEPTH else ():
            yield from (join(name, below) for below in self._walk(join(path, name), above))


def leads_back(entry: os.DirEntry[str], above: Iterable[str]) -> bool:
    """Whether a folder is a link to one of the folders ``above`` it, or to what these are in."""
    return entry.is_symlink() and any(lies_in(folder, entry.path) for folder in above)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
