"""A folder or a dataset of a config -> its label files, as the host lists them.

Files are streamed: a dataset may have millions. What is listed follows
``BaseSegDataset.load_data_list`` of mmsegmentation 1.2.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import abspath, basename, commonpath, join, normpath
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading, is_local, unreadable
from mmseg_fixkit.datasets.layout import (
    ALL,
    SPELLINGS,
    Folder,
    Layout,
    detect_layout,
    leads_back,
)
from mmseg_fixkit.datasets.pairing import IMAGE_SUFFIXES, pair
from mmseg_fixkit.datasets.problems import NO_IMAGE, UNUSED
from mmseg_fixkit.datasets.stats import BadFile

#: What :func:`mmengine.utils.is_abs` takes for absolute besides what the system does.
_ABSOLUTE = ("http://", "https://", "s3://")


@dataclass(frozen=True)
class Source:
    """Where the label files of one dataset are."""

    split: str
    images: Optional[str]  # folder; None where every image in ``labels`` is a label map
    labels: str  # folder of the label maps
    img_suffix: str = ""  # what names of images end with
    seg_map_suffix: str = ""  # what names of label maps end with instead
    ann_file: str = ""  # list of names; empty for all images in the folder
    #: the first few, the last few, or those with these places, as MMEngine takes them
    indices: Any = None
    #: of ``mmengine.fileio``; empty for this machine's own files
    backend_args: tuple[tuple[str, Any], ...] = ()
    key: str = ""  # of the dataset in the config; for messages

    @property
    def remote(self) -> bool:
        """Whether MMEngine has to fetch its files."""
        arguments = dict(self.backend_args)
        return not all(is_local(path, arguments) for path in (self.images or "", self.labels))

    def same_files(self, other: Source) -> bool:
        """Whether both list the same files."""
        return replace(self, split="", key="") == replace(other, split="", key="")


#: A path that listing cannot read, and why; the host stops at each of them.
Lost = tuple[str, str]


def files_of(source: Source) -> Iterator[LabelFile]:
    """Yield the label files of a source, there or not, then what cannot be listed.

    Raises FixkitError if a folder or list is not there.
    """
    check_source(source)
    lost: list[Lost] = []
    yield from _files_of(source, lost)
    for path, why in lost:
        yield LabelFile(source.split, path, fault=why)


def _files_of(source: Source, lost: list[Lost]) -> Iterator[LabelFile]:
    if source.images is None:
        for name in _walk(source.labels, source.seg_map_suffix or IMAGE_SUFFIXES, lost):
            yield LabelFile(source.split, join(source.labels, name))
        return
    names: Iterable[str] = _names(source, lost)
    if source.indices is not None:
        # Without a list the host sorts by the path of the image before it takes some.
        ordered = (
            list(names) if source.ann_file else sorted(names, key=lambda n: n + source.img_suffix)
        )
        names = _chosen(ordered, source.indices, source.key)
    for name in names:
        image = join(source.images, name + source.img_suffix)
        yield LabelFile(source.split, join(source.labels, name + source.seg_map_suffix), image)


def unpaired(source: Source) -> Iterator[tuple[str, BadFile]]:
    """Yield what listing alone tells: listed images that are not there, labels without image.

    Labels that no list names are none of these: another split may have them.
    """
    if source.images is None or source.remote:
        return
    if source.ann_file:
        for file in files_of(source):
            if file.image and not os.path.isfile(file.image):
                yield NO_IMAGE, BadFile(file.label, text=f"{file.image} is not there")
        return
    for name in _walk(source.labels, source.seg_map_suffix, []):
        stem = name[: len(name) - len(source.seg_map_suffix)]
        image = join(source.images, stem + source.img_suffix)
        if not os.path.isfile(image):
            yield UNUSED, BadFile(join(source.labels, name), text=f"{image} is not there")


def check_source(source: Source) -> None:
    """Raise FixkitError where a folder or the list of a source is not there; says who names it."""
    if source.remote:
        return
    if source.ann_file and not os.path.isfile(source.ann_file):
        # As the host: a folder for a list is no list.
        raise FixkitError(_absent(source, "ann_file", source.ann_file, "file"))
    folders = {"data_prefix.seg_map_path": source.labels}
    if source.images is not None and not source.ann_file:
        folders["data_prefix.img_path"] = source.images
    for name, folder in folders.items():
        if not os.path.isdir(folder or "."):
            raise FixkitError(_absent(source, name, folder, "folder"))


def _absent(source: Source, name: str, path: str, kind: str) -> str:
    where = f"{source.key}.{name}" if source.key else f"the {source.split} split"
    relative = "" if os.path.isabs(path) else f" below {os.getcwd()}"
    return f"{where} is {path!r}, but there is no such {kind}{relative}"


def source_of(split: str, key: str, config: Mapping[str, Any], ends: tuple[str, str]) -> Source:
    """Return where a dataset's config says that its files are, joined as the host joins them.

    ``ends`` are the ``img_suffix`` and ``seg_map_suffix`` in force.
    """
    root = config.get("data_root")
    prefix = config.get("data_prefix", {"img_path": "", "seg_map_path": ""})
    ann_file = _joined(root, config.get("ann_file") or "", optional=True)
    return Source(
        split,
        _joined(root, prefix.get("img_path") or ""),
        _joined(root, prefix.get("seg_map_path") or ""),
        ends[0],
        ends[1],
        "" if ann_file and os.path.isdir(ann_file) else ann_file,
        config.get("indices"),
        tuple(sorted((config.get("backend_args") or {}).items())),
        key,
    )


def _joined(root: Any, path: str, *, optional: bool = False) -> str:
    """Join as ``BaseDataset._join_prefix`` of mmengine 0.10.7 does."""
    if not isinstance(root, str) or not root or (optional and not path):
        return path
    absolute = os.path.isabs(path) or path.startswith(_ABSOLUTE)
    return path if absolute else join(root, path)


def _names(source: Source, lost: list[Lost]) -> Iterator[str]:
    """Yield the names of images without their ending, as the host lists them."""
    if source.ann_file:
        yield from _lines(source, lost)
        return
    cut = len(source.img_suffix)
    if source.remote:
        found = _walk_remote(source)
    else:
        found = _walk(source.images or "", source.img_suffix, lost)
    # An empty ending cuts the whole name off in the host too: `img[:-0]`.
    yield from (name[:-cut] for name in found)


def _lines(source: Source, lost: list[Lost]) -> Iterator[str]:
    if source.remote:
        from mmengine.fileio import list_from_file

        lines = list_from_file(source.ann_file, backend_args=dict(source.backend_args) or None)
        yield from (line.strip() for line in lines)
        return
    try:
        with open(source.ann_file, encoding="utf-8") as file:
            yield from (line.strip() for line in file)
    except (OSError, UnicodeError) as error:
        lost.append((source.ann_file, unreadable(error)))


def _walk_remote(source: Source) -> Iterator[str]:
    from mmengine.fileio import list_dir_or_file

    yield from list_dir_or_file(
        source.images,
        list_dir=False,
        suffix=source.img_suffix,
        recursive=True,
        backend_args=dict(source.backend_args) or None,
    )


def _walk(
    folder: str, suffix: Any, lost: list[Lost], below: str = "", above: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield files at any depth, as ``LocalBackend.list_dir_or_file`` of MMEngine lists them.

    Hidden files are left out, hidden folders are not; several endings may be given, in any case.
    What cannot be read is added to ``lost``; so is a link to a folder that leads round in circles.
    ``above`` are the folders that this one is in.
    """
    inner = []
    here = join(folder, below) if below else folder or "."
    above = (*above, here)
    try:
        with os.scandir(here) as entries:
            for entry in entries:
                try:
                    is_file = not entry.name.startswith(".") and entry.is_file()
                    if not is_file and entry.is_dir():
                        inner.append(entry.name)
                        if leads_back(entry, above):
                            lost.append((entry.path, _CIRCLE))
                            inner.pop()
                except OSError as error:  # a link to itself, for one
                    if _stops_the_host(entry.name, suffix):
                        lost.append((entry.path, unreadable(error)))
                    continue
                if is_file and _ends_with(entry.name, suffix):
                    yield join(below, entry.name)
    except OSError as error:
        lost.append((here, unreadable(error)))
    for name in inner:
        yield from _walk(folder, suffix, lost, join(below, name), above)


_CIRCLE = "it is a link to a folder that it lies in, so training would list files again and again"


def _ends_with(name: str, suffix: Any) -> bool:
    return (name.lower() if isinstance(suffix, tuple) else name).endswith(suffix)


def _stops_the_host(name: str, suffix: Any) -> bool:
    """Whether a file that cannot be looked at matters: the host looks at those of any ending."""
    several = isinstance(suffix, tuple)  # which no host lists
    return not name.startswith(".") and (not several or _ends_with(name, suffix))


def _chosen(names: list[str], indices: Any, key: str) -> Iterable[str]:
    if isinstance(indices, int):
        return names[:indices] if indices >= 0 else names[indices:]
    try:
        return [names[place] for place in indices]
    except (TypeError, IndexError):
        raise FixkitError(
            f"{key}.indices is {indices!r}, but there are {len(names)} images; give how many, or "
            f"places of 0..{len(names) - 1}"
        ) from None


# --- all that is to be scanned --------------------------------------------------------------------


@dataclass(frozen=True)
class LabelOverrides:
    """What the user says of the labels; None leaves what the config says."""

    classes: Optional[tuple[str, ...]] = None
    palette: Optional[tuple[Color, ...]] = None  # a colour for each class
    ignore_index: Optional[int] = None
    reduce_zero_label: Optional[bool] = None  # files hold 0 for "ignored"
    seg_map_suffix: Optional[str] = None  # what names of label maps in a folder end with


@dataclass(frozen=True)
class Part:
    """The label files of one dataset, and how its pipeline reads them."""

    source: Source
    reading: LabelReading


@dataclass(frozen=True)
class Inventory:
    """All that is to be scanned."""

    parts: tuple[Part, ...]  # one for each dataset, or for each split of a folder
    classes: Optional[tuple[str, ...]] = None  # names, where they are known
    palette: Optional[tuple[Color, ...]] = None  # a colour for each class, likewise
    notes: tuple[str, ...] = ()  # what the user should know

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
    def readings(self) -> dict[str, LabelReading]:
        """Split -> how its label files are read."""
        return {part.source.split: part.reading for part in self.parts}


# --- of a folder ----------------------------------------------------------------------------------


def of_folder(
    path: str,
    images: Optional[str] = None,
    splits: Optional[Sequence[str]] = None,
    asked: Optional[LabelOverrides] = None,
) -> Inventory:
    """Return the label files of a folder: pairs where its layout is known, else all its images.

    ``path`` is a dataset, or the folder of its label maps; then ``images`` is that of the images.

    Raises:
        FixkitError: it cannot be read, has no such split, or no label map goes with an image.
    """
    asked = asked or LabelOverrides()
    suffix = asked.seg_map_suffix or ""
    sources, notes = _beside(path, images, suffix) if images else _alone(path, suffix)
    have = [source.split for source in sources]
    for split in splits or ():
        if split not in have:
            raise FixkitError(f"--split is {split!r}, but {path} has {', '.join(have)}")
    ignore = 255 if asked.ignore_index is None else asked.ignore_index
    count = len(asked.classes) if asked.classes else None
    reading = LabelReading(count, ignore, bool(asked.reduce_zero_label))
    parts = tuple(Part(s, reading) for s in sources if s.split in (splits or have))
    return Inventory(parts, asked.classes, asked.palette, notes)


def _beside(path: str, images: str, suffix: str) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    folders = Folder(Path(images)), Folder(Path(path))
    found = pair(folders[0].files(""), folders[1].files(""), (None, suffix or None), folders[1].has)
    if found is None:
        first, other = (next(iter(folder.files("").names), "no image") for folder in folders)
        raise FixkitError(
            f"no label map in {path} ({other}, …) goes with an image in {images} ({first}, …)"
        )
    return (Source(_own_name(path), images, path, *found.suffixes),), ()


def _alone(path: str, suffix: str) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    folder = Folder(Path(path))
    if suffix:
        return (Source(_own_name(path), None, path, "", suffix),), ()
    layout, why = detect_layout(folder)
    if layout is not None:
        return _of_layout(path, layout), (_summary(path, layout),)
    below = {name: _spelt(name) for name in folder.folders("")}
    if below and all(below.values()):
        return tuple(Source(s, None, join(path, name)) for name, s in below.items()), ()
    note = (
        f"{path} is no dataset of a usual layout ({why}), so all images in it are taken for "
        "label maps; where some are images, give the folder of the label maps, or --seg-map-suffix"
    )
    return (Source(_own_name(path), None, path),), (note,) if folder.folders("") else ()


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
        f"{base} is taken for a dataset: images in {first.img_path} (…{first.img_suffix}), label "
        f"maps in {first.seg_map_path} (…{first.seg_map_suffix}){others}"
    )
