"""Where a dataset has its files -> its label files, as the host lists them.

Files are streamed: a data set may have millions. What is listed follows
``BaseSegDataset.load_data_list`` of mmsegmentation 1.2.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from os.path import join
from typing import Any, Optional

from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.facts import LabelFile
from mmseg_fixkit.label_files.problems import NO_IMAGE, UNUSED
from mmseg_fixkit.label_files.stats import Offender
from mmseg_fixkit.pairing import PICTURES

#: What :func:`mmengine.utils.is_abs` takes for absolute besides what the system does.
_ABSOLUTE = ("http://", "https://", "s3://")

_LOCAL = frozenset({"local", "LocalBackend"})


@dataclass(frozen=True)
class Source:
    """Where the label files of one dataset are.

    Args:
        split: its name.
        images: folder of the images; None where every picture in ``labels`` is a label map.
        labels: folder of the label maps.
        img_suffix: what names of images end with.
        seg_map_suffix: what names of label maps end with instead.
        ann_file: list of names; empty for all images in the folder.
        indices: the first few, the last few, or those with these places, as MMEngine takes them.
        backend_args: of ``mmengine.fileio``; empty for this machine's own files.
        key: of the dataset in the config; for messages.
    """

    split: str
    images: Optional[str]
    labels: str
    img_suffix: str = ""
    seg_map_suffix: str = ""
    ann_file: str = ""
    indices: Any = None
    backend_args: tuple[tuple[str, Any], ...] = ()
    key: str = ""

    @property
    def remote(self) -> bool:
        """Whether MMEngine has to fetch its files."""
        elsewhere = any("://" in path for path in (self.images or "", self.labels))
        return elsewhere or dict(self.backend_args).get("backend", "local") not in _LOCAL

    def same_files(self, other: Source) -> bool:
        """Whether both list the same files."""
        return replace(self, split="", key="") == replace(other, split="", key="")


def files_of(source: Source) -> Iterator[LabelFile]:
    """Yield the label files of a source, whether they are there or not.

    Raises:
        FixkitError: a folder or a list is not there.
    """
    check_source(source)
    if source.images is None:
        for name in _walk(source.labels, source.seg_map_suffix or PICTURES):
            yield LabelFile(source.split, join(source.labels, name))
        return
    names: Iterable[str] = _names(source)
    if source.indices is not None:
        # Without a list the host sorts by the path of the image before it takes some.
        ordered = (
            list(names) if source.ann_file else sorted(names, key=lambda n: n + source.img_suffix)
        )
        names = _chosen(ordered, source.indices, source.key)
    for name in names:
        image = join(source.images, name + source.img_suffix)
        yield LabelFile(source.split, join(source.labels, name + source.seg_map_suffix), image)


def unpaired(source: Source) -> Iterator[tuple[str, Offender]]:
    """Yield what listing alone tells: listed images that are not there, labels without image.

    Labels that no list names are none of these: another split may have them.
    """
    if source.images is None or source.remote:
        return
    if source.ann_file:
        for file in files_of(source):
            if file.image and not os.path.isfile(file.image):
                yield NO_IMAGE, Offender(file.label, text=f"{file.image} is not there")
        return
    for name in _walk(source.labels, source.seg_map_suffix):
        stem = name[: len(name) - len(source.seg_map_suffix)]
        image = join(source.images, stem + source.img_suffix)
        if not os.path.isfile(image):
            yield UNUSED, Offender(join(source.labels, name), text=f"{image} is not there")


def check_source(source: Source) -> None:
    """Look whether the folders and the list of a source are there.

    Raises:
        FixkitError: one is not; says which, and who names it.
    """
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

    Args:
        split: its name.
        key: of the dataset.
        config: of the dataset.
        ends: ``img_suffix`` and ``seg_map_suffix`` in force.
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


def _names(source: Source) -> Iterator[str]:
    """Yield the names of images without their ending, as the host lists them."""
    if source.ann_file:
        yield from _lines(source)
        return
    cut = len(source.img_suffix)
    found = _walk_remote(source) if source.remote else _walk(source.images or "", source.img_suffix)
    # An empty ending cuts the whole name off in the host too: `img[:-0]`.
    yield from (name[:-cut] for name in found)


def _lines(source: Source) -> Iterator[str]:
    if source.remote:
        from mmengine.fileio import list_from_file

        lines = list_from_file(source.ann_file, backend_args=dict(source.backend_args) or None)
        yield from (line.strip() for line in lines)
        return
    with open(source.ann_file, encoding="utf-8") as file:
        yield from (line.strip() for line in file)


def _walk_remote(source: Source) -> Iterator[str]:
    from mmengine.fileio import list_dir_or_file

    yield from list_dir_or_file(
        source.images,
        list_dir=False,
        suffix=source.img_suffix,
        recursive=True,
        backend_args=dict(source.backend_args) or None,
    )


def _walk(folder: str, suffix: Any, below: str = "") -> Iterator[str]:
    """Yield files at any depth, as ``LocalBackend.list_dir_or_file`` of MMEngine lists them.

    Hidden files are left out, hidden folders are not; several endings may be given, in any case.
    """
    several = isinstance(suffix, tuple)
    inner = []
    try:
        entries = os.scandir(join(folder, below) or ".")
    except OSError as error:
        raise FixkitError(f"{join(folder, below)} cannot be read: {error.strerror}") from None
    with entries:
        for entry in entries:
            name = entry.name
            if not name.startswith(".") and entry.is_file():
                if (name.lower() if several else name).endswith(suffix):
                    yield join(below, name)
            elif entry.is_dir():
                inner.append(name)
    for name in inner:
        yield from _walk(folder, suffix, join(below, name))


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
