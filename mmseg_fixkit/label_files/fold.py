"""Any number of label files -> the statistics of each split, read in parallel.

Chunks of files go to workers; each examines its files, lists their problems and adds them up.
What comes back is small, and is put together here, so that memory does not grow with the number
of files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Callable, Optional, Union

from mmseg_fixkit.core.parallel import Work, can_fork, chunk_size, chunked, cores, results
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.cache import Cache, Row, default_cache, how_read, key_of, packed
from mmseg_fixkit.label_files.decode import check_backend
from mmseg_fixkit.label_files.examine import examine, is_local
from mmseg_fixkit.label_files.facts import Facts, LabelFile, Reading
from mmseg_fixkit.label_files.problems import problems as all_problems
from mmseg_fixkit.label_files.stats import Offender, SplitStats, ordered_splits
from mmseg_fixkit.label_files.tally import Tally
from mmseg_fixkit.label_files.twins import Block, Seen, twins

Problems = Callable[[LabelFile, Facts, Reading], Iterable[tuple[str, Offender]]]
Progress = Callable[[int], None]

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
    tallies: dict[str, Tally] = field(default_factory=dict)
    blocks: list[tuple[str, Block]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Task:
    """How a worker reads files.

    Args:
        readings: by split.
        problems: says what is wrong with a file.
        cache: where facts are remembered; None for not at all.
        scan: which scan of this process it is.
    """

    readings: Mapping[str, Reading]
    problems: Problems
    cache: Optional[Path]
    scan: int = field(default_factory=partial(next, count()))


def scan_files(
    files: Iterable[LabelFile],
    readings: Mapping[str, Reading],
    *,
    jobs: Optional[int] = None,
    executor: Optional[str] = None,
    cache: Union[bool, str, Path, None] = None,
    progress: Optional[Progress] = None,
    problems: Problems = all_problems,
) -> dict[str, SplitStats]:
    """Return the statistics of each split.

    Args:
        files: any number of them; they are taken as they are read.
        readings: split -> how its files are read.
        jobs: how many workers; one for each core where left out.
        executor: ``threads``, ``processes`` or ``dask://host:port``; where left out, processes if
            there are many files, which also stand a decoder that crashes.
        cache: a file in which to remember what files hold; True for the usual place.
        progress: called with the number of files that are done, now and then.
        problems: says what is wrong with a file; see ``label_files/problems.py``.

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
        return _together(parts, readings, memory, progress)
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
    readings: Mapping[str, Reading],
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
    parts: Iterator[_Part],
    readings: Mapping[str, Reading],
    memory: Optional[Cache],
    progress: Optional[Progress],
) -> dict[str, SplitStats]:
    tallies: dict[str, Tally] = {}
    seen: dict[str, Seen] = {}
    done = 0
    for part in parts:
        for split, tally in part.tallies.items():
            tallies.setdefault(split, Tally(readings[split])).absorb(tally)
        for split, block in part.blocks:
            seen.setdefault(split, Seen()).add(block)
        if memory:
            memory.add(part.rows)
        done += part.files
        if progress:
            progress(done)
    splits = {s: tally.stats(_words(readings[s])) for s, tally in tallies.items()}
    return _with_twins(ordered_splits(splits), seen)


def _with_twins(splits: dict[str, SplitStats], seen: dict[str, Seen]) -> dict[str, SplitStats]:
    found = twins({split: seen[split] for split in splits if split in seen})
    return {s: stats + SplitStats(problems=found.get(s, {})) for s, stats in splits.items()}


def _words(reading: Reading) -> str:
    """Return how labels were read, in words."""
    said = [f"imdecode_backend={reading.backend}"]
    if reading.reduce_zero_label:
        said.append("reduce_zero_label=True")
    if reading.ignore_index != 255:
        said.append(f"ignore_index={reading.ignore_index}")
    if reading.label_map:
        said.append(f"label_map of {len(reading.label_map)}")
    return ", ".join(said)


# --- in a worker --------------------------------------------------------------------------------


def _scan(task: _Task, chunk: _Chunk) -> _Part:
    """Return what is in a chunk of files."""
    part = _Part(len(chunk))
    keys = [_key(task, file) for file in chunk] if task.cache else [None] * len(chunk)
    wanted = [key for key in keys if key is not None]
    known = _reader(task, task.cache).find(wanted) if task.cache and wanted else {}
    names: dict[str, tuple[list[str], list[Facts]]] = {}
    for file, key in zip(chunk, keys):
        facts = known.get(key) if key is not None else None
        if facts is None:
            facts = _examine(task.readings[file.split], file)
            if key is not None and facts.digest:
                part.rows.append((key, packed(facts)))
        _add(part, task, file, facts)
        if len(task.readings) > 1:  # one split has nothing to share
            paths, contents = names.setdefault(file.split, ([], []))
            paths.append(file.label)
            contents.append(facts)
    part.blocks = [(split, Block.of(*both)) for split, both in names.items()]
    return part


def _examine(reading: Reading, file: LabelFile) -> Facts:
    arguments = dict(reading.backend_args)
    return examine(file, reading.backend, True, arguments, reading.turns_images)


def _key(task: _Task, file: LabelFile) -> Optional[int]:
    reading = task.readings[file.split]
    if not is_local(file.label, dict(reading.backend_args)):
        return None
    return key_of(file, how_read(reading.backend, reading.turns_images))


def _add(part: _Part, task: _Task, file: LabelFile, facts: Facts) -> None:
    reading = task.readings[file.split]
    if file.split not in part.tallies:
        part.tallies[file.split] = Tally(reading)
    part.tallies[file.split].add(facts, task.problems(file, facts, reading))


def _crashed(task: _Task, file: LabelFile) -> _Part:
    """Return the part of a file that ends the process that reads it."""
    part = _Part(1)
    facts = Facts(error="decoding it ends the process that does so")
    _add(part, task, file, facts)
    part.blocks = [(file.split, Block.of([file.label], [facts]))]
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
