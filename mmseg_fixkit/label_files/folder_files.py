"""A folder -> its label files: pairs where its layout is known, else all its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import basename, join, normpath
from pathlib import Path
from typing import Optional

from mmseg_fixkit.disk import Disk
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.facts import Reading
from mmseg_fixkit.label_files.inventory import Asked, Inventory, Notes, Part
from mmseg_fixkit.label_files.walking import Source
from mmseg_fixkit.layouts import ALL, SPELLINGS, Layout, recognise
from mmseg_fixkit.pairing import pair


def of_folder(
    path: str,
    images: Optional[str] = None,
    splits: Optional[Sequence[str]] = None,
    asked: Optional[Asked] = None,
) -> Inventory:
    """Return the label files of a folder: pairs where its layout is known, else all its pictures.

    Args:
        path: a data set, or the folder of its label maps.
        images: the folder of the images, where ``path`` is that of the label maps.
        splits: which; all where left out.
        asked: what the user says of the labels.

    Raises:
        FixkitError: it cannot be read, has no such split, or no label map goes with an image.
    """
    asked = asked or Asked()
    suffix = asked.seg_map_suffix or ""
    sources, notes = _beside(path, images, suffix) if images else _alone(path, suffix)
    have = [source.split for source in sources]
    for split in splits or ():
        if split not in have:
            raise FixkitError(f"--split is {split!r}, but {path} has {', '.join(have)}")
    ignore = 255 if asked.ignore_index is None else asked.ignore_index
    count = len(asked.classes) if asked.classes else None
    reading = Reading(count, ignore, bool(asked.reduce_zero_label))
    parts = tuple(Part(s, reading) for s in sources if s.split in (splits or have))
    return Inventory(parts, asked.classes, asked.palette, notes)


def _beside(path: str, images: str, suffix: str) -> tuple[tuple[Source, ...], Notes]:
    disks = Disk(Path(images)), Disk(Path(path))
    found = pair(disks[0].files(""), disks[1].files(""), (None, suffix or None), disks[1].has)
    if found is None:
        first, other = (next(iter(disk.files("").names), "no picture") for disk in disks)
        raise FixkitError(
            f"no label map in {path} ({other}, …) goes with an image in {images} ({first}, …)"
        )
    return (Source(_own_name(path), images, path, *found.suffixes),), ()


def _alone(path: str, suffix: str) -> tuple[tuple[Source, ...], Notes]:
    disk = Disk(Path(path))
    if suffix:
        return (Source(_own_name(path), None, path, "", suffix),), ()
    layout, why = recognise(disk)
    if layout is not None:
        return _of_layout(path, layout), (_summary(path, layout),)
    below = {name: _spelt(name) for name in disk.folders("")}
    if below and all(below.values()):
        return tuple(Source(s, None, join(path, name)) for name, s in below.items()), ()
    note = (
        f"{path} is no data set of a usual layout ({why}), so all pictures in it are taken for "
        "label maps; where some are images, give the folder of the label maps, or --seg-map-suffix"
    )
    return (Source(_own_name(path), None, path),), (note,) if disk.folders("") else ()


def _own_name(path: str) -> str:
    return basename(normpath(Path(path).absolute())) or ALL


def _spelt(name: str) -> str:
    return next((s for s, words in SPELLINGS.items() if name.lower() in words), "")


def _of_layout(path: str, layout: Layout) -> tuple[Source, ...]:
    base = join(path, layout.base) if layout.base else path
    return tuple(
        Source(
            split.name,
            join(base, split.img_path),
            join(base, split.seg_map_path),
            split.img_suffix,
            split.seg_map_suffix,
            join(base, split.ann_file) if split.ann_file else "",
        )
        for split in layout.splits
    )


def _summary(path: str, layout: Layout) -> str:
    first = layout.splits[0]
    others = f"; {', '.join(layout.others)} in it would fit as well" if layout.others else ""
    base = join(path, layout.base) if layout.base else path
    return (
        f"{base} is taken for a data set: images in {first.img_path} (…{first.img_suffix}), label "
        f"maps in {first.seg_map_path} (…{first.seg_map_suffix}){others}"
    )
