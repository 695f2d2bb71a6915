"""The whole way from a config or a folder to the statistics of its label files.

Chunks of files go to workers; each reads its files, lists their problems and adds them up. What
comes back is small, and is put together here, so that memory does not grow with the number of
files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.load import load
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color, LabelsLike, LabelSpace, label_space
from mmseg_fixkit.core.parallel import Work, can_fork, chunk_size, chunked, cores, results
from mmseg_fixkit.datasets.cache import Cache, Row, default_cache, how_read, key_of, packed
from mmseg_fixkit.datasets.decode import check_backend
from mmseg_fixkit.datasets.duplicates import FileBlock, SplitIndex, find_duplicates
from mmseg_fixkit.datasets.from_config import of_config
from mmseg_fixkit.datasets.label_file import (
    FileStats,
    LabelFile,
    LabelReading,
    examine,
    is_local,
)
from mmseg_fixkit.datasets.listing import Inventory, LabelOverrides, Source, of_folder, unpaired
from mmseg_fixkit.datasets.pairing import IMAGE_SUFFIXES
from mmseg_fixkit.datasets.problems import problems as all_problems
from mmseg_fixkit.datasets.stats import BadFile, LabelStats, SplitStats, ordered_splits

if TYPE_CHECKING:
    from mmengine import Config

#: Called with the number of files that are done.
Progress = Callable[[int], None]

#: What is wrong with a file.
Problems = Callable[[LabelFile, FileStats, LabelReading], Iterable[tuple[str, BadFile]]]


def scan(
    config_or_folder: Union[str, Path, Config],
    labels: Optional[LabelsLike] = None,
    *,
    splits: Optional[Sequence[str]] = None,
    images: Union[str, Path, None] = None,
    palette: Optional[Sequence[Color]] = None,
    ignore_index: Optional[int] = None,
    reduce_zero_label: Optional[bool] = None,
    seg_map_suffix: Optional[str] = None,
    jobs: Optional[int] = None,
    executor: Optional[str] = None,
    cache: bool = True,
    progress: Optional[Progress] = None,
) -> LabelStats:
    """Read all label files of a config or a folder, and count what they hold.

    Args:
        config_or_folder: a config (a path, a zoo name or a ``mmengine.Config``), a dataset of a
            known layout, or a folder of label maps, which needs no OpenMMLab.
        labels: what the classes are; those of the config where left out.
        splits: which; where left out, all whose files are here.
        images: the folder of the images, where a folder of label maps is given.
        palette: a colour for each class, for colour masks.
        ignore_index: the label that is not counted; that of ``labels`` or the config if left out.
        reduce_zero_label: whether files hold 0 for "ignored", likewise.
        seg_map_suffix: what the names of label maps in a folder end with, where others are there.
        jobs: how many workers; where left out, one for each core.
        executor: ``threads``, ``processes`` or ``dask://HOST:PORT``; chosen where left out.
        cache: whether what is known of unchanged files from an earlier scan is used.
        progress: called with the number of files that are done.

    Raises:
        FixkitError: the config or a folder cannot be read, or there are no label files.
    """
    asked = replace(
        label_overrides(labels, palette, ignore_index, reduce_zero_label),
        seg_map_suffix=seg_map_suffix,
    )
    source, inventory = inventory_of(config_or_folder, splits, images, asked)
    return scan_inventory(
        source, inventory, jobs=jobs, executor=executor, cache=cache, progress=progress
    )


def scan_document(
    document: ConfigDocument,
    splits: Optional[Sequence[str]] = None,
    asked: Optional[LabelOverrides] = None,
    **how: Any,
) -> LabelStats:
    """Scan the label files of a loaded config; ``how`` as in :func:`scan_inventory`."""
    return scan_inventory(document.name, of_config(document, splits, asked), **how)


def label_overrides(
    labels: Optional[LabelsLike] = None,
    palette: Optional[Sequence[Color]] = None,
    ignore_index: Optional[int] = None,
    reduce_zero_label: Optional[bool] = None,
) -> LabelOverrides:
    """Return what the user says of the labels; single settings count before a label space's.

    Raises FixkitError as :class:`~mmseg_fixkit.core.labels.LabelSpace` does.
    """
    colors = None if palette is None else tuple(palette)
    if labels is None:
        return LabelOverrides(None, colors, ignore_index, reduce_zero_label)
    space = label_space(labels, colors)
    if not isinstance(labels, LabelSpace):
        return LabelOverrides(space.classes, colors, ignore_index, reduce_zero_label)
    return LabelOverrides(
        space.classes,
        colors or space.palette,
        space.ignore_index if ignore_index is None else ignore_index,
        space.reduce_zero_label if reduce_zero_label is None else reduce_zero_label,
    )


def inventory_of(
    target: Union[str, Path, Config],
    splits: Optional[Sequence[str]] = None,
    images: Union[str, Path, None] = None,
    asked: Optional[LabelOverrides] = None,
) -> tuple[str, Inventory]:
    """Return the name of a config or folder, and its label files; FixkitError as :func:`scan`."""
    if isinstance(target, (str, Path)) and os.path.isdir(os.path.expanduser(target)):
        beside = None if images is None else str(images)
        return str(target), of_folder(os.path.expanduser(target), beside, splits, asked)
    of_folders = {"--images": images, "--seg-map-suffix": asked and asked.seg_map_suffix}
    for option in (name for name, value in of_folders.items() if value):
        raise FixkitError(f"{option} is for a folder of label maps, but {target} is a config")
    if str(target).lower().endswith(IMAGE_SUFFIXES):
        raise FixkitError(f"{target} is one image; give the folder of the label maps")
    document = load(target)
    return document.name, of_config(document, splits, asked)


def scan_inventory(
    source: str,
    inventory: Inventory,
    *,
    jobs: Optional[int] = None,
    executor: Optional[str] = None,
    cache: bool = True,
    progress: Optional[Progress] = None,
) -> LabelStats:
    """Read the label files of an inventory; see :func:`scan`; FixkitError if a split has none."""
    found = scan_files(
        inventory.files,
        inventory.readings,
        jobs=jobs,
        executor=executor,
        cache=cache,
        progress=progress,
    )
    for part in inventory.parts:
        _check_not_empty(part.source, found)
    _add_unpaired(found, [part.source for part in inventory.parts])
    first = inventory.parts[0].reading
    return LabelStats(
        source,
        found,
        inventory.classes,
        inventory.palette,
        first.ignore_index,
        first.reduce_zero_label,
    )


def _check_not_empty(source: Source, found: Mapping[str, SplitStats]) -> None:
    if found.get(source.split, SplitStats()).files:
        return
    if source.images is None:
        raise FixkitError(f"{source.labels} has no image, but its label maps are to be read")
    where = source.ann_file or f"{source.images} (names that end with {source.img_suffix!r})"
    raise FixkitError(
        f"{source.split} has no image: {where} lists none, and training stops with num_samples=0; "
        "check data_prefix and img_suffix"
    )


def _add_unpaired(splits: dict[str, SplitStats], sources: Sequence[Source]) -> None:
    """Add what is not in the files themselves, to the first of the splits that read a place."""
    for place, source in enumerate(sources):
        if not any(source.same_files(other) for other in sources[:place]):
            for name, bad in unpaired(source):
                splits[source.split].problem(name).add(bad)


# --- any number of files ------------------------------------------------------------------------

#: Files that a worker reads in one go: enough that handing them over costs next to nothing.
CHUNK = 64

#: Files below which starting processes does not pay.
_FEW = 2 * CHUNK

#: Files that come over a network are waited for, which cores do not limit.
_REMOTE_JOBS = 16

_Chunk = tuple[LabelFile, ...]


@dataclass
class _Part:
    """What a worker found in a chunk: by split, and what is new for the cache."""

    files: int = 0
    splits: dict[str, SplitStats] = field(default_factory=dict)
    blocks: list[tuple[str, FileBlock]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    """How a worker reads files."""

    readings: Mapping[str, LabelReading]  # by split
    problems: Problems  # says what is wrong with a file
    cache: Optional[Path]  # where files are remembered; None for not at all
    scan: int = field(default_factory=partial(next, count()))  # which scan of this process it is


def scan_files(
    files: Iterable[LabelFile],
    readings: Mapping[str, LabelReading],
    *,
    jobs: Optional[int] = None,
    executor: Optional[str] = None,
    cache: Union[bool, str, Path, None] = None,
    progress: Optional[Progress] = None,
    problems: Problems = all_problems,
) -> dict[str, SplitStats]:
    """Return the statistics of each split.

    ``files``, any number, are taken as they are read. Without an ``executor`` (``threads``,
    ``processes`` or ``dask://host:port``) many files are read by processes, which also stand a
    decoder that crashes. ``cache`` is a file in which to remember what files hold, or True for the
    usual place; ``progress`` is called with the number of files that are done, now and then.

    Raises:
        FixkitError: a decoder or an executor is not there.
    """
    for backend in {reading.backend for reading in readings.values()}:
        check_backend(backend)
    path = _cache_path(cache)
    task = _Task(readings, problems, path)
    work = Work(partial(_scan, task), partial(_crashed, task))
    memory = Cache(path) if path else None
    try:
        parts = _parts(work, iter(files), readings, jobs, executor)
        return _together(parts, memory, progress)
    finally:
        if memory:
            memory.close()
        _close_reader()


def _cache_path(cache: Union[bool, str, Path, None]) -> Optional[Path]:
    if cache is True:
        return default_cache()
    return Path(cache) if cache else None


# --- here ---------------------------------------------------------------------------------------


def _parts(
    work: Work[LabelFile, _Part],
    files: Iterator[LabelFile],
    readings: Mapping[str, LabelReading],
    jobs: Optional[int],
    executor: Optional[str],
) -> Iterator[_Part]:
    first = tuple(islice(files, _FEW))
    remote = any(not is_local("", dict(r.backend_args)) for r in readings.values())
    many = len(first) == _FEW and can_fork() and not remote
    workers = jobs or (max(_REMOTE_JOBS, cores()) if remote else cores())
    if workers < 1:
        raise FixkitError(f"jobs is {workers}, but there has to be one at least")
    kind = executor or ("processes" if many and workers > 1 else "threads")
    size = CHUNK if len(first) == _FEW else chunk_size(len(first), workers, CHUNK)
    return results(work, chunked(chain(first, files), size), workers, kind)


def _together(
    parts: Iterator[_Part], memory: Optional[Cache], progress: Optional[Progress]
) -> dict[str, SplitStats]:
    splits: dict[str, SplitStats] = {}
    seen: dict[str, SplitIndex] = {}
    done = 0
    for part in parts:
        for name, split in part.splits.items():
            splits.setdefault(name, SplitStats()).merge(split)
        for name, block in part.blocks:
            seen.setdefault(name, SplitIndex()).add(block)
        if memory:
            memory.add(part.rows)
        done += part.files
        if progress:
            progress(done)
    splits = ordered_splits(splits)
    found = find_duplicates({name: seen[name] for name in splits if name in seen})
    for name, problems in found.items():
        splits[name].merge(SplitStats(problems=problems))
    return splits


# --- in a worker --------------------------------------------------------------------------------


def _scan(task: _Task, chunk: _Chunk) -> _Part:
    """Return what is in a chunk of files."""
    part = _Part(len(chunk))
    keys = [_key(task, file) for file in chunk] if task.cache else [None] * len(chunk)
    wanted = [key for key in keys if key is not None]
    known = _reader(task, task.cache).find(wanted) if task.cache and wanted else {}
    names: dict[str, tuple[list[str], list[FileStats]]] = {}
    for file, key in zip(chunk, keys):
        stats = known.get(key) if key is not None else None
        if stats is None:
            stats = _examine(task.readings[file.split], file)
            if key is not None and stats.digest:
                part.rows.append((key, packed(key, stats)))
        _add(part, task, file, stats)
        if len(task.readings) > 1:  # one split has nothing to share
            paths, contents = names.setdefault(file.split, ([], []))
            paths.append(file.label)
            contents.append(stats)
    part.blocks = [(split, FileBlock.of(*both)) for split, both in names.items()]
    return part


def _examine(reading: LabelReading, file: LabelFile) -> FileStats:
    arguments = dict(reading.backend_args)
    return examine(file, reading.backend, True, arguments, reading.turns_images)


def _key(task: _Task, file: LabelFile) -> Optional[int]:
    reading = task.readings[file.split]
    if file.fault or not is_local(file.label, dict(reading.backend_args)):
        return None
    return key_of(file, how_read(reading.backend, reading.turns_images))


def _add(part: _Part, task: _Task, file: LabelFile, stats: FileStats) -> None:
    reading = task.readings[file.split]
    if file.split not in part.splits:
        part.splits[file.split] = SplitStats(reading=reading.in_words)
    part.splits[file.split].add(stats, reading, task.problems(file, stats, reading))


def _crashed(task: _Task, file: LabelFile) -> _Part:
    """Return the part of a file that ends the process that reads it."""
    part = _Part(1)
    stats = FileStats(error="decoding it ends the process that does so")
    _add(part, task, file, stats)
    part.blocks = [(file.split, FileBlock.of([file.label], [stats]))]
    return part


_readers = threading.local()


def _reader(task: _Task, path: Path) -> Cache:
    """Return the cache to look things up in: one for each scan, process and thread."""
    owner = os.getpid(), task.scan, path
    if getattr(_readers, "owner", None) != owner:
        _readers.owner, _readers.cache = owner, Cache(path, write=False)
    found: Cache = _readers.cache
    return found


def _close_reader() -> None:
    """Close what this thread has open, where it was a worker itself."""
    if getattr(_readers, "owner", None):
        _readers.cache.close()
        _readers.owner = None
