"""The data folder that a patch is asked for: looked at, its layout recognised, told in notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Optional

from mmseg_fixkit.config.context import DataLocation, SplitFiles, own_files
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import exists, expanded, is_folder
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.datasets.layout import (
    ALL,
    SPELLINGS,
    Folder,
    KnownPaths,
    Layout,
    Split,
    detect_layout,
)
from mmseg_fixkit.rules.data_files import below_root, list_item

#: What a split reads where the folder has none of its name.
_INSTEAD = {"train": ("train", ALL), "val": ("val", ALL, "test", "train")}
_INSTEAD["test"] = ("test", *_INSTEAD["val"])


def inspect_data_root(
    document: ConfigDocument, asked: DataLocation, labels: Optional[LabelSpace] = None
) -> tuple[DataLocation, tuple[str, ...]]:
    """Return what was asked for with what the data folder holds, and notes to check it by.

    The config's own folders are kept where nothing is recognised. ``labels`` are the classes that
    the user gives, if any. Raises ``FixkitError`` where the folder is a file or cannot be read.
    """
    location, notes = _inspected(document, asked)
    if labels is not None and asked.data_root is not None:
        notes += _dataset_id_notes(document, labels)
    return location, notes


def _inspected(
    document: ConfigDocument, asked: DataLocation
) -> tuple[DataLocation, tuple[str, ...]]:
    root = _root(document, asked)
    if root is None:
        return asked, ()
    if asked.data_root is not None:
        asked = replace(asked, data_root=root)
    if "://" in root:
        return asked, (f"{root} is not on this machine and was not looked at; {_own_kept(asked)}",)
    folder = Path(root or ".")
    asked = _below(asked, root, folder)
    if not exists(folder):
        note = f"{root} is not here, so its layout was not looked at; {_own_kept(asked)}"
        return asked, () if asked.data_root is None else (note,)
    if not is_folder(folder):
        raise FixkitError(f"{root} is a file, but --data-root is to be a folder")
    if any(_of_two_images(dataset) for dataset in document.datasets):
        return asked, (f"{root} was not looked at: pairs of images are not recognised",)
    return _recognised(document, asked, root, Folder(folder))


def _root(document: ConfigDocument, asked: DataLocation) -> Optional[str]:
    if asked.data_root is not None:
        given = asked.data_root
        return str(expanded(given)) if given.startswith("~") else given
    if (asked.img_dir, asked.ann_dir, asked.ann_file) == (None, None, None):
        return None
    roots = {dataset.config.get("data_root") for dataset in document.datasets}
    root = roots.pop() if len(roots) == 1 else None
    return root if isinstance(root, str) else None


def _below(asked: DataLocation, root: str, folder: Path) -> DataLocation:
    """Take the root out of folders that were given with it, as a shell completes them."""

    def shorter(path: Optional[str]) -> Optional[str]:
        rest = below_root(root, path) if path and root else None
        nested = path is not None and exists(folder / path.split("{")[0])
        return path if rest is None or nested else rest

    return replace(
        asked,
        img_dir=shorter(asked.img_dir),
        ann_dir=shorter(asked.ann_dir),
        ann_file=shorter(asked.ann_file),
    )


def _own_kept(asked: DataLocation) -> str:
    if asked.img_dir and asked.ann_dir:
        return "the folders that you gave are written as they are"
    return "folders, lists and suffixes that you did not give stay as the config has them"


def _of_two_images(dataset: Dataset) -> bool:
    plain = dataset.info.plain_type if dataset.info else ""
    return plain == "BaseCDDataset" or "img_path2" in (dataset.config.get("data_prefix") or {})


def _recognised(
    document: ConfigDocument, asked: DataLocation, root: str, disk: Folder
) -> tuple[DataLocation, tuple[str, ...]]:
    suffixes = (asked.img_suffix, asked.seg_map_suffix)
    layout, reason = detect_layout(
        disk, KnownPaths(asked.img_dir, asked.ann_dir, asked.ann_file, suffixes)
    )
    if layout is None:
        return asked, (_not_recognised(root, asked, reason),)
    if layout.base:
        root = f"{root.rstrip('/')}/{layout.base}"
        asked, disk = replace(asked, data_root=root), Folder(Path(root))
    splits = {role: _files_of(split) for role in SPELLINGS for split in _read_by(layout, role)}
    given = (asked.img_dir, asked.ann_dir, asked.ann_file) != (None, None, None)
    kept = frozenset() if given else frozenset(_kept(document, disk))
    notes = (_summary(root, layout), *_missing(document, layout), *_details(root, layout))
    return replace(asked, splits=splits, keep=kept), notes


def _read_by(layout: Layout, role: str) -> Iterator[Split]:
    splits = (layout.split(name) for name in _INSTEAD[role])
    first = next((split for split in splits if split is not None), None)
    if first is not None:
        yield first


def _files_of(split: Split) -> SplitFiles:
    folders = (split.img_path, split.seg_map_path, split.ann_file)
    return SplitFiles(*folders, split.img_suffix, split.seg_map_suffix)


def _kept(document: ConfigDocument, disk: Folder) -> Iterator[tuple[str, str, str]]:
    """The files of datasets that share their split with others, where they are all there.

    What one split was recognised as cannot stand for several datasets: ``train`` and ``aug`` of
    PASCAL VOC stay what they are.
    """
    for dataset in document.datasets:
        images, labels, names = own_files(dataset)
        there = all(is_folder(disk.root / path) for path in (images, labels))
        if list_item(dataset.key) and there and (not names or disk.has(names)):
            yield images, labels, names


def _not_recognised(root: str, asked: DataLocation, reason: str) -> str:
    given = asked.img_dir and asked.ann_dir
    todo = "check --img-dir and --ann-dir" if given else "give --img-dir and --ann-dir"
    return (
        f"the layout of {root} is not recognised: {reason}; usual are images/train + labels/train, "
        f"train/images + train/masks, and images + labels with splits/train.txt; {todo} "
        f"(--img-dir 'images/{{split}}'); {_own_kept(asked)}"
    )


def _summary(root: str, layout: Layout) -> str:
    first = layout.splits[0]
    splits = ", ".join(f"{_name(split)}{_amount(split)}" for split in layout.splits)
    endings = Counter(split.pairing.suffixes for split in layout.splits)
    ends = "; ".join(
        f"images end with {image!r}, label maps with {label!r}" for image, label in endings
    )
    names = f", listed in {_shape(first, first.ann_file)}" if first.ann_file else ""
    shape = f"{_shape(first, first.img_path)} + {_shape(first, first.seg_map_path)}{names}"
    return f"{root} looks like {shape}: {splits}; {ends}"


def _name(split: Split) -> str:
    return "" if split.name == ALL else f"{split.name} "


def _amount(split: Split) -> str:
    pairing = split.pairing
    pairs = counted(pairing.pairs, "pair")
    return pairs if pairing.complete or split.ann_file else f"many files ({pairs} looked at)"


def _shape(split: Split, path: str) -> str:
    """Write a path with ``{split}`` where the split is spelt."""
    words = sorted(SPELLINGS.get(split.name, ()), key=len, reverse=True)
    parts = path.split("/")
    for i, part in reversed(list(enumerate(parts))):
        word = next((w for w in words if w in part.lower()), None)
        if word:
            place = part.lower().index(word)
            parts[i] = f"{part[:place]}{{split}}{part[place + len(word) :]}"
            break
    return "/".join(parts)


def _missing(document: ConfigDocument, layout: Layout) -> Iterator[str]:
    """Say what a split reads that the folder does not have."""
    have = {split.name for split in layout.splits}
    if layout.split("train") is None and ALL not in have:
        yield "there is no training split in it: the training dataset keeps its own folders"
    if "val" in have or not any(dataset.split == "val" for dataset in document.datasets):
        return
    instead = next(_read_by(layout, "val"), None)
    if instead is None:
        return
    if instead.name == "test":
        yield "there is no validation split in it: validation reads the test files"
    else:
        yield (
            "there is no validation split in it: validation reads the training files, so its "
            "scores say nothing about other images; put some of them into a split of their own "
            "(lists such as splits/train.txt and splits/val.txt do)"
        )


def _details(root: str, layout: Layout) -> Iterator[str]:
    for split in layout.splits:
        yield from _files_left(split)
    if any(split.seg_map_suffix.endswith("_gtFine_labelIds.png") for split in layout.splits):
        yield (
            "the label maps end with _gtFine_labelIds.png, which hold the 34 ids of Cityscapes and "
            "not its 19 classes: run tools/dataset_converters/cityscapes.py of MMSegmentation, "
            "which writes _gtFine_labelTrainIds.png beside them"
        )
    if layout.others:
        above = root.rstrip("/").removesuffix(layout.base)
        others = ", ".join(f"{above}{other}" for other in layout.others)
        yield f"{others} would fit as well; give one as --data-root to choose it"


def _files_left(split: Split) -> Iterator[str]:
    """Name the files that are not read, and those that stop the run."""
    pairing = split.pairing
    where, what = (split.ann_file, "name") if split.ann_file else (split.img_path, "image")
    lost = "without its image or label map" if split.ann_file else "without label map"
    if pairing.unlabelled:
        yield f"{where}: {_some(pairing.unlabelled, what)} {lost}; the run stops when it loads one"
    if pairing.other:
        end = repr(split.img_suffix)
        yield f"{where}: {_some(pairing.other, 'image')} not read: only {end} is"
    if pairing.spare:
        yield f"{split.seg_map_path}: {_some(pairing.spare, 'label map')} without image, not read"


def _some(names: tuple[str, ...], what: str) -> str:
    first = names[0] or "an empty line"
    return f"{counted(len(names), what)} ({first}{', …' if len(names) > 1 else ''})"


def _dataset_id_notes(document: ConfigDocument, labels: LabelSpace) -> tuple[str, ...]:
    """Say so where a dataset type stays because the classes are some of its own.

    Its label files hold its own ids then. Own files with classes of the same names do not.
    """
    for dataset in document.datasets[:1]:
        own = dataset.own_classes
        if own and labels.classes != own and set(labels.classes) <= set(own):
            first = labels.classes[0]
            return (
                f"your classes are some of {dataset.type}'s, so its type stays and the label maps "
                f"are read by its ids ({first} is {own.index(first)}); for files that hold 0 to "
                f"{labels.num_classes - 1} give another name to one class at least",
            )
    return ()
