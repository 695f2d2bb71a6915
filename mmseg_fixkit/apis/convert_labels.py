"""Label files from one format to another, in parallel, each read back before it is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.apis.convert_sources import (
    Job,
    Labels,
    PathLike,
    content_of,
    jobs_of,
    read_job,
    with_images,
)
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import lies_in, replacing
from mmseg_fixkit.core.label_formats import FILE_PATTERN
from mmseg_fixkit.core.parallel import chunk_size, cores, each
from mmseg_fixkit.datasets.label_bits import LabelFileError, Map, unpack
from mmseg_fixkit.datasets.multilabel_files import (
    VALUES,
    OnValue,
    checked_format,
    checked_labels,
    decode,
    encode,
    joined,
    label_file_names,
    planes_in,
)

#: What can be written.
TARGETS = ("bits", "planes", "files")


@dataclass(frozen=True)
class Done:
    """What came of one image.

    Args:
        source: the file.
        written: files that were written.
        kept: files that were there already, with the same content.
        fault: why there are none.
        pixels: how many pixels each label has.
    """

    source: str
    written: int = 0
    kept: int = 0
    fault: str = ""
    pixels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Converted:
    """What came of a data set, by image in their order."""

    labels: tuple[str, ...]
    images: tuple[Done, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, a sentence for each image that was not converted."""
        return tuple(done.fault for done in self.images if done.fault)

    @property
    def written(self) -> int:
        """How many files were written."""
        return sum(done.written for done in self.images)

    @property
    def kept(self) -> int:
        """How many files were there already."""
        return sum(done.kept for done in self.images)

    @property
    def pixels(self) -> dict[str, int]:
        """How many pixels each label has."""
        found = [done.pixels for done in self.images if done.pixels]
        return dict(zip(self.labels, (sum(column) for column in zip(*found))))

    def images_with(self, label: str) -> int:
        """Return in how many images a label is."""
        index = self.labels.index(label)
        return sum(1 for done in self.images if done.pixels and done.pixels[index])


def convert_labels(
    source: PathLike,
    label_format: str,
    labels: Union[int, Sequence[str]],
    out: PathLike,
    *,
    to: str = "bits",
    file_pattern: str = FILE_PATTERN,
    out_pattern: str = FILE_PATTERN,
    values: Union[str, int] = "auto",
    missing_ok: bool = False,
    images: Optional[PathLike] = None,
    overwrite: bool = False,
    jobs: Optional[int] = None,
    on_done: Optional[Callable[[int, int], None]] = None,
) -> Converted:
    """Convert the label files below a folder, or those of a COCO JSON.

    Every file is written beside its place first, read back and compared. What is there already
    with the same content is left alone, so that a conversion that was stopped goes on. A file with
    a fault does not stop the others.

    Args:
        source: a folder, or the JSON of ``'coco'``.
        label_format: see ``LoadMultiLabelAnnotations``.
        labels: names in the order of their bits, or how many.
        out: a folder; folders below the source are made again below it.
        to: ``'bits'``, ``'planes'`` or ``'files'``.
        file_pattern: of ``'files'``: see ``LoadMultiLabelAnnotations``.
        out_pattern: likewise, of what is written.
        values: of ``'planes'`` and ``'files'``: see ``LoadMultiLabelAnnotations``.
        missing_ok: likewise, of ``'files'``.
        images: the folder of the images, to compare sizes with; without them, the number of planes
            that stand side by side cannot be told.
        overwrite: replace files that are there with another content.
        jobs: how many processes; where left out, one a core.
        on_done: called with how many images are done, and of how many.

    Raises:
        FixkitError: an argument makes no sense, or there is nothing to convert.
    """
    names = checked_labels(labels)
    read = Labels(names, checked_format(label_format, len(names)), file_pattern, values, missing_ok)
    write = Labels(names, checked_format(to, len(names)), out_pattern)
    _check(read, write, Path(source), Path(out))
    work = tuple(with_images(jobs_of(read, Path(source)), images))
    if not work:
        raise FixkitError(f"there is no label file of the format {label_format!r} in {source}")
    _check_apart(work)
    known = next((m for m in (_meaning(job, read) for job in work) if m is not None), None)
    step = partial(
        _convert,
        read=read,
        write=write,
        known=known,
        source=Path(source),
        out=Path(out),
        overwrite=overwrite,
    )
    processes = min(jobs or cores(), len(work))
    size = chunk_size(len(work), processes)
    done = []
    for number, image in enumerate(each(step, work, processes, "processes", _crashed, size), 1):
        done.append(image)
        if on_done is not None:
            on_done(number, len(work))
    return Converted(names, tuple(done))


def _check(read: Labels, write: Labels, source: Path, out: Path) -> None:
    if write.kind not in TARGETS:
        raise FixkitError(f"to is {write.kind!r}, but {', '.join(TARGETS)} can be written")
    if read.values not in VALUES:
        raise FixkitError(f"values is {read.values!r}, but it has to be one of {VALUES}")
    if not source.exists():
        raise FixkitError(f"{source} does not exist")
    if (read.kind == "coco") == source.is_dir():
        kind = "the JSON file" if read.kind == "coco" else "a folder of label files"
        raise FixkitError(f"{source} is not {kind} that the format {read.kind!r} needs")
    if source.is_dir() and lies_in(out, source):
        raise FixkitError(
            f"{out} lies in {source}, where it would be read again; converted labels go elsewhere"
        )
    for side in (read, write):
        label_file_names("folder/stem.png", side.names, side.pattern)


def _check_apart(work: Iterable[Job]) -> None:
    """Make sure that no two images would be written to one file."""
    places: dict[str, Job] = {}
    for job in work:
        other = places.setdefault(job.stem, job)
        if other is not job:
            raise FixkitError(
                f"{other.name} and {job.name} would both become {job.stem}.png; give them names "
                "that differ in more than the suffix"
            )


def _crashed(job: Job) -> Done:
    return Done(job.name, fault=f"{job.name} ends the process that reads it")


def _meaning(job: Job, read: Labels) -> Optional[OnValue]:
    """Return what the planes of an image say "on" with; its faults are told later."""
    if read.kind not in ("planes", "files"):
        return None
    try:
        return read_job(job, read, None)[1]
    except FixkitError:
        return None


def _convert(
    job: Job,
    *,
    read: Labels,
    write: Labels,
    known: Optional[OnValue],
    source: Path,
    out: Path,
    overwrite: bool,
) -> Done:
    name = job.name
    try:
        packed, _ = read_job(job, read, known)
        contents = _contents(packed, out / f"{job.stem}.png", write)
        written = sum(_put(*content, source, overwrite) for content in contents.items())
    except FixkitError as error:
        return Done(name, fault=str(error))
    except OSError as error:
        return Done(name, fault=f"{name}: {error.strerror or error}")
    planes, _ = unpack(packed, len(read.names))
    pixels = tuple(int(plane.sum()) for plane in planes)
    return Done(name, written, len(contents) - written, pixels=pixels)


def _contents(packed: Map, target: Path, write: Labels) -> dict[Path, NDArray[Any]]:
    """Return what is to be written, by file."""
    if write.kind == "bits":
        return {target: packed}
    planes = planes_in(packed, len(write.names))
    if write.kind == "planes":
        return {target: joined(planes)}
    files = label_file_names(target.as_posix(), write.names, write.pattern)
    return dict(zip(map(Path, files), planes))


def _put(file: Path, values: NDArray[Any], source: Path, overwrite: bool) -> bool:
    """Write one file unless it is there already; return whether it was written."""
    if file.exists():
        if _holds(file, values):
            return False
        if not overwrite:
            raise LabelFileError(f"{file} exists with another content; --overwrite replaces it")
    if lies_in(file, source):
        raise LabelFileError(f"{file} is a link to a file of {source}, which stays as it is")
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(encode(values))
        if not _holds(temporary, values):
            raise LabelFileError(f"{file} reads back as something else than was written")
    return True


def _holds(file: Path, values: NDArray[Any]) -> bool:
    try:
        return np.array_equal(decode(content_of(file), str(file)), values)
    except LabelFileError:
        return False
