"""What there is to convert: the label files of each image, found and read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional, Union

from numpy.typing import NDArray

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import exists, is_file
from mmseg_fixkit.core.label_formats import FILE_PATTERN
from mmseg_fixkit.datasets.coco import CocoImage, read_coco, read_image
from mmseg_fixkit.datasets.decode import image_size
from mmseg_fixkit.datasets.label_bits import LabelFileError, Map
from mmseg_fixkit.datasets.multilabel_files import (
    OnValue,
    Size,
    check_size,
    decode,
    filled,
    label_file_names,
    read_bits,
    read_planes,
    side_by_side,
)

PathLike = Union[str, "os.PathLike[str]"]

_IMAGES = (".png", ".bmp", ".tif", ".tiff", ".gif")
_PHOTOS = (".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class SourceFormat:
    """How the labels of a dataset stand in files; see ``convert_labels``."""

    names: tuple[str, ...]
    kind: str
    pattern: str = FILE_PATTERN
    values: Union[str, int] = "auto"
    missing_ok: bool = False


@dataclass(frozen=True)
class Job:
    """The labels of one image."""

    source: Path
    stem: str  # the path of the map below its folder, without the suffix
    coco: Optional[CocoImage] = None
    image: Optional[Path] = None  # to compare sizes with

    @property
    def name(self) -> str:
        """What messages call it."""
        return str(self.source) if self.coco is None else f"{self.source}: {self.coco.name}"


def jobs_of(read: SourceFormat, source: Path) -> Iterator[Job]:
    """Yield the images that have labels below a folder, or in a JSON."""
    if read.kind == "coco":
        coco = read_coco(content_of(source), read.names, str(source))
        for image in coco.images.values():
            yield Job(source, os.path.splitext(image.name)[0], image)
    elif read.kind == "files":
        yield from _grouped(read, source)
    else:
        for file in _files(source):
            yield Job(file, os.path.splitext(file.relative_to(source).as_posix())[0])


def _files(source: Path) -> Iterable[Path]:
    found = (p for p in source.rglob("*") if p.suffix.lower() in _IMAGES and is_file(p))
    return sorted(p for p in found if not p.name.startswith("."))


def _grouped(read: SourceFormat, source: Path) -> Iterator[Job]:
    """Yield a job for each image of which at least one label has a file."""
    names = [_file_name(read, label) for label in range(len(read.names))]
    files = [file.relative_to(source).as_posix() for file in _files(source)]
    found = (name.fullmatch(file) for file in files for name in names)
    stems = {f"{match['folder'] or ''}{match['stem']}" for match in found if match}
    yield from (Job(source / f"{stem}.png", stem) for stem in sorted(stems))


def _file_name(read: SourceFormat, label: int) -> re.Pattern[str]:
    """Return what matches the paths of the files of a label."""
    pattern = read.pattern.format(stem="\0", label=read.names[label], index=label)
    if pattern.count("\0") != 1:
        raise FixkitError(f"file_pattern is {read.pattern!r}, but it needs {{stem}} once")
    before, after = map(re.escape, pattern.split("\0"))
    return re.compile(f"(?P<folder>.*/)?{before}(?P<stem>[^/]+){after}", re.DOTALL)


def with_images(work: Iterable[Job], images: Optional[PathLike]) -> Iterator[Job]:
    """Find each job's image below a folder, if given; raise ``FixkitError`` if one has none."""
    if images is None:
        yield from work
        return
    root = Path(images)
    found = {
        os.path.splitext(file.relative_to(root).as_posix())[0]: file
        for file in sorted(root.rglob("*"))
        if file.suffix.lower() in (*_IMAGES, *_PHOTOS)
    }
    for job in work:
        if job.stem not in found:
            raise FixkitError(f"{job.source} is for {job.stem}, but {root} has no such image")
        yield replace(job, image=found[job.stem])


def _size(image: Optional[Path]) -> Optional[Size]:
    """Return height and width as the host loads an image: turned as its camera says."""
    try:
        return None if image is None else image_size(image).shape()
    except Exception as error:  # Pillow raises what it likes at broken files
        raise LabelFileError(f"{image} cannot be read as an image: {error}") from None


def read_job(
    job: Job, read: SourceFormat, known: Optional[OnValue]
) -> tuple[Map, Optional[OnValue]]:
    """Return the map of an image, and what its planes say "on" with; ``known`` is of others.

    Raises ``LabelFileError`` where its files do not hold what they should.
    """
    count, file, image = len(read.names), str(job.source), _size(job.image)
    if job.coco is not None:
        check_size((job.coco.height, job.coco.width), image, f"{job.coco.name} in {file}")
        return read_image(job.coco, count, file), None
    if read.kind == "files":
        return _read_files(job, read, image, known)
    values = decode(content_of(job.source), file)
    if read.kind == "bits":
        return read_bits(values, count, file, image), None
    planes = side_by_side(values, count, file, image)
    return read_planes(list(planes), [file] * count, read.values, known)


def _read_files(
    job: Job, read: SourceFormat, image: Optional[Size], known: Optional[OnValue]
) -> tuple[Map, Optional[OnValue]]:
    files = label_file_names(job.source.as_posix(), read.names, read.pattern)
    planes = [_plane(Path(name), read.missing_ok) for name in files]
    size = image or next(plane.shape for plane in planes if plane is not None)
    return read_planes(filled(planes, files, size), files, read.values, known)


def _plane(file: Path, missing_ok: bool) -> Optional[NDArray[Any]]:
    if not exists(file):
        if missing_ok:
            return None
        raise LabelFileError(
            f"{file} does not exist; missing_ok says that a label without a file is nowhere"
        )
    return decode(content_of(file), str(file))


def content_of(file: Path) -> bytes:
    """Read a file; raise ``LabelFileError`` where that fails."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise LabelFileError(f"{file} cannot be read: {error.strerror or error}") from None
