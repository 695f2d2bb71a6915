"""Multi-label files of any format to maps of bits, each read back before it is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Optional, Union

import numpy as np

from mmseg_fixkit.apis.convert_sources import (
    Job,
    PathLike,
    SourceFormat,
    content_of,
    jobs_of,
    read_job,
    with_images,
)
from mmseg_fixkit.core.errors import FixkitError, sentence
from mmseg_fixkit.core.files import exists, is_folder, lies_in, replacing, writing
from mmseg_fixkit.core.label_formats import FILE_PATTERN
from mmseg_fixkit.core.parallel import chunk_size, cores, each
from mmseg_fixkit.core.text import printable
from mmseg_fixkit.datasets.label_bits import LabelFileError, Map, unpack
from mmseg_fixkit.datasets.multilabel_files import (
    VALUES,
    OnValue,
    checked_format,
    checked_labels,
    decode,
    encode,
    label_file_names,
)


@dataclass(frozen=True)
class Done:
    """What came of one image: its source, and why there is no map, or the pixels of each label."""

    source: str
    written: bool = False
    fault: str = ""
    pixels: tuple[int, ...] = ()


@dataclass(frozen=True)
class Converted:
    """What came of a dataset, by image in their order."""

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
        """How many files were there already, with the same content."""
        return len(self.images) - len(self.faults) - self.written

    @property
    def pixels(self) -> dict[str, int]:
        """How many pixels each label has."""
        found = [done.pixels for done in self.images if done.pixels]
        return dict(zip(self.labels, (sum(column) for column in zip(*found))))

    def images_with(self, label: str) -> int:
        """Return how many images have a label."""
        index = self.labels.index(label)
        return sum(1 for done in self.images if done.pixels and done.pixels[index])


def convert_labels(
    source: PathLike,
    label_format: str,
    labels: Union[int, Sequence[str]],
    out: PathLike,
    *,
    file_pattern: str = FILE_PATTERN,
    values: Union[str, int] = "auto",
    missing_ok: bool = False,
    images: Optional[PathLike] = None,
    overwrite: bool = False,
    jobs: Optional[int] = None,
    on_done: Optional[Callable[[int, int], None]] = None,
) -> Converted:
    """Convert the label files below a folder, or those of a COCO JSON, to maps of bits.

    Every map is read back and compared before it takes its place. What is there already with the
    same content is left alone, so that a conversion that was stopped goes on. A file with a fault
    does not stop the others.

    Args:
        source: a folder, or the JSON of ``'coco'``.
        label_format: see ``LoadMultiLabelAnnotations``.
        labels: names in the order of their bits, or how many.
        out: a folder; folders below the source are made again below it.
        file_pattern: of ``'files'``: see ``LoadMultiLabelAnnotations``.
        values: of ``'planes'`` and ``'files'``: see ``LoadMultiLabelAnnotations``.
        missing_ok: likewise, of ``'files'``.
        images: the folder of the images, to compare sizes with; without them, the number of planes
            that stand side by side is not known.
        overwrite: replace files that are there with another content.
        jobs: how many processes; where left out, one a core.
        on_done: called with how many images are done, and of how many.

    Raises:
        FixkitError: an argument makes no sense, or there is nothing to convert.
    """
    names = checked_labels(labels)
    checked_format("bits", len(names))
    kind = checked_format(label_format, len(names))
    read = SourceFormat(names, kind, file_pattern, values, missing_ok)
    _check(read, Path(source), Path(out))
    work = tuple(with_images(jobs_of(read, Path(source)), images))
    if not work:
        raise FixkitError(f"there is no label file of the format {label_format!r} in {source}")
    _check_distinct(work)
    with writing(Path(out)):
        Path(out).mkdir(parents=True, exist_ok=True)
    known = next((m for m in (_meaning(job, read) for job in work) if m is not None), None)
    step = partial(_convert, read, known, Path(source), Path(out), overwrite)
    processes = min(jobs or cores(), len(work))
    size = chunk_size(len(work), processes)
    done = []
    for number, image in enumerate(each(step, work, processes, "processes", _crashed, size), 1):
        done.append(image)
        if on_done is not None:
            on_done(number, len(work))
    return Converted(names, tuple(done))


def _check(read: SourceFormat, source: Path, out: Path) -> None:
    if read.values not in VALUES:
        raise FixkitError(f"values is {read.values!r}, but it has to be one of {VALUES}")
    if not exists(source):
        raise FixkitError(f"{source} does not exist")
    if (read.kind == "coco") == is_folder(source):
        kind = "the JSON file" if read.kind == "coco" else "a folder of label files"
        raise FixkitError(f"{source} is not {kind} that the format {read.kind!r} needs")
    if is_folder(source) and lies_in(out, source):
        raise FixkitError(
            f"{out} lies in {source}, where it would be read again; converted labels go elsewhere"
        )
    label_file_names("folder/stem.png", read.names, read.pattern)


def _check_distinct(work: Iterable[Job]) -> None:
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
    return Done(job.name, fault=printable(f"{job.name} ends the process that reads it"))


def _meaning(job: Job, read: SourceFormat) -> Optional[OnValue]:
    """Return what the planes of an image say "on" with; its faults are reported later."""
    if read.kind not in ("planes", "files"):
        return None
    try:
        return read_job(job, read, None)[1]
    except FixkitError:
        return None


def _convert(
    read: SourceFormat, known: Optional[OnValue], source: Path, out: Path, overwrite: bool, job: Job
) -> Done:
    try:
        packed, _ = read_job(job, read, known)
        written = _put(out / f"{job.stem}.png", packed, source, overwrite)
    except FixkitError as error:
        return Done(job.name, fault=str(error))
    except OSError as error:
        return Done(job.name, fault=printable(f"{job.name}: {sentence(error)}"))
    planes, _ = unpack(packed, len(read.names))
    return Done(job.name, written, pixels=tuple(int(plane.sum()) for plane in planes))


def _put(file: Path, packed: Map, source: Path, overwrite: bool) -> bool:
    """Write one file unless it is there already; return whether it was written."""
    if exists(file):
        if _holds(file, packed):
            return False
        if not overwrite:
            raise LabelFileError(f"{file} exists with another content; --overwrite replaces it")
    if lies_in(file, source):
        raise LabelFileError(f"{file} is a link to a file of {source}, which stays as it is")
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_bytes(encode(packed))
        if not _holds(temporary, packed):
            raise LabelFileError(f"{file} reads back as something else than was written")
    return True


def _holds(file: Path, packed: Map) -> bool:
    try:
        return np.array_equal(decode(content_of(file), str(file)), packed)
    except LabelFileError:
        return False
