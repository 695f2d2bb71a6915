"""A data folder -> its layout: which folders, lists and endings hold images and label maps.

Pure: all follows from a :class:`Listing`; :mod:`mmseg_fixkit.datasets.disk` makes one
of a real folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from posixpath import join, normpath, relpath
from typing import Optional, Protocol

from mmseg_fixkit.datasets.pairing import Given, Names, Pairing, pair, pair_listed

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
class Row:
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
    Row("{images}/{split}", "{labels}/{split}"),
    Row("{split}/{images}", "{split}/{labels}"),
    Row("{images}_{split}", "{labels}_{split}"),
    Row("{split}_{images}", "{split}_{labels}"),
    Row("{split}", "{split}_{labels}"),
    Row("{images}", "{labels}", LISTS),
    Row("{images}", "{labels}"),
)


@dataclass(frozen=True)
class Wanted:
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
    """What a data folder was recognised as.

    Args:
        splits: in the order of training, validation and test.
        base: the folder in it that is meant; empty for itself. Paths of splits lie below this.
        others: more folders in it that fit.
    """

    splits: tuple[Split, ...]
    base: str = ""
    others: tuple[str, ...] = ()

    def split(self, name: str) -> Optional[Split]:
        """Return the split of this name."""
        return next((s for s in self.splits if s.name == name), None)

    @property
    def pairs(self) -> int:
        """Of all splits."""
        return sum(split.pairing.pairs for split in self.splits)


class Listing(Protocol):
    """What is in a folder; paths are relative to it, and ``""`` is the folder itself."""

    def folders(self, path: str) -> tuple[str, ...]:
        """Names of the folders right in ``path``."""

    def files(self, path: str) -> Names:
        """Pictures below ``path`` at any depth."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

    def lines(self, path: str) -> tuple[str, ...]:
        """The lines of a text file, as MMEngine's ``list_from_file`` reads them."""


def recognise(listing: Listing, wanted: Optional[Wanted] = None) -> tuple[Optional[Layout], str]:
    """Recognise the layout of a data folder: its own, or that of a folder at most two below it.

    Args:
        listing: of the folder.
        wanted: folders, lists and endings that are known.

    Returns:
        The layout, or None and what stands in the way.
    """
    known = wanted or Wanted()
    rows = tuple(_rows(known))
    for bases in _bases(listing, known):
        fits = [(base, _layout(listing, base, rows, known)) for base in bases]
        found = [(base, layout) for base, layout in fits if layout is not None]
        if found:
            base, best = max(found, key=lambda fit: fit[1].pairs)
            return replace(best, others=tuple(b for b, _ in found if b != base)), ""
    return None, _reason(listing, rows)


def _rows(wanted: Wanted) -> Iterator[Row]:
    """Put what is known into the table; rows that become the same are tried once."""
    lists = None if wanted.ann_file is None else (wanted.ann_file,) if wanted.ann_file else ()
    seen = []
    for row in TABLE:
        if lists is not None and bool(lists) != bool(row.lists):
            continue
        images = row.images if wanted.img_dir is None else normpath(wanted.img_dir)
        labels = row.labels if wanted.ann_dir is None else normpath(wanted.ann_dir)
        filled = Row(images, labels, row.lists if lists is None else lists)
        if filled not in seen:
            seen.append(filled)
            yield filled


def _bases(listing: Listing, wanted: Wanted) -> Iterator[tuple[str, ...]]:
    yield ("",)
    if (wanted.img_dir, wanted.ann_dir, wanted.ann_file) == (None, None, None):
        near = listing.folders("")[:20]
        yield near
        yield tuple(join(a, b) for a in near for b in listing.folders(a)[:20])


def _layout(listing: Listing, base: str, rows: Iterable[Row], wanted: Wanted) -> Optional[Layout]:
    """Return the first row that finds a training split, else the first that finds anything."""
    found = []
    for row in rows:
        splits = _best_of_each(_splits(listing, base, row, wanted))
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


def _splits(listing: Listing, base: str, row: Row, wanted: Wanted) -> Iterator[Split]:
    """Try every image folder with every label folder and list of the same split."""
    lists = list(_lists(listing, base, row))
    if not lists:
        return
    labels = list(_folders(listing, base, row.labels))
    for (images, a), (maps, b), (names, c) in product(
        _folders(listing, base, row.images), labels, lists
    ):
        said = {split for split in (a, b, c) if split}
        if images != maps and len(said) < 2:
            pairing = _pairing(listing, (images, maps), names, wanted)
            if pairing is not None:
                paths = (_inside(path, base) for path in (images, maps, names))
                yield Split(next(iter(said), ALL), pairing, *paths)


def _inside(path: str, base: str) -> str:
    return relpath(path, base or ".") if path else ""


def _pairing(
    listing: Listing, folders: tuple[str, str], names: str, wanted: Wanted
) -> Optional[Pairing]:
    images, maps = folders
    pictures = (listing.files(images), listing.files(maps))

    def has_image(name: str) -> bool:
        return listing.has(join(images, name))

    def has_label(name: str) -> bool:
        return listing.has(join(maps, name))

    if names:
        lines = listing.lines(names)
        return pair_listed(lines, *pictures, wanted.suffixes, (has_image, has_label))
    return pair(*pictures, wanted.suffixes, has_label)


def _folders(listing: Listing, base: str, template: str) -> Iterator[tuple[str, str]]:
    """Yield the folders that fit ``template``, with the split that each is spelt for, or ``""``."""
    found = [(base, "")]
    for segment in template.split("/"):
        if segment != ".":
            fits = _pattern(segment).fullmatch
            found = [
                (join(path, name), _split_of(match) or split)
                for path, split in found
                for name in listing.folders(path)
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


def _lists(listing: Listing, base: str, row: Row) -> Iterator[tuple[str, str]]:
    """Yield the lists of a row that are there, with their split; one empty entry without lists."""
    if not row.lists:
        yield "", ""
        return
    for template in row.lists:
        found = [
            (path, split if "{split}" in template else "")
            for split, words in SPELLINGS.items()
            for path in (join(base, template.replace("{split}", word)) for word in words)
            if listing.has(path)
        ]
        if found:
            yield from dict(found).items()
            return


def _reason(listing: Listing, rows: Iterable[Row]) -> str:
    for row in rows:
        images, maps = (list(_folders(listing, "", part)) for part in (row.images, row.labels))
        for (one, a), (other, b) in product(images, maps):
            if a == b and one != other and listing.files(one).names:
                name = listing.files(one).names[0]
                first = next(iter(listing.files(other).names), "no picture")
                return (
                    f"no label map in {other} ({first}, …) goes with an image in {one} ({name}, …)"
                )
    here = ", ".join(listing.folders("")[:8])
    return f"the folders in it are {here}" if here else "there is no folder in it"
