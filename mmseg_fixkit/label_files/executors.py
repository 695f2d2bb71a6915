"""Runs a function on many items in threads, processes or a cluster: results in order, few at once.

Items are taken from their iterator as results are taken, so that a million never wait in memory.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from typing import Any, Callable, Generic, Optional, TypeVar

from mmseg_fixkit.errors import FixkitError

Result = TypeVar("Result")

#: Files that are read one after the other by one worker.
Chunk = tuple[Any, ...]

#: Chunks that wait for each worker, besides the one that it works on.
_AHEAD = 3

_DASK = "dask://"


@dataclass(frozen=True)
class Work(Generic[Result]):
    """What is to be done with chunks of items.

    Args:
        call: does it; it has to survive pickling for a cluster.
        ended: the result for one item whose reading ends the process that reads it.
    """

    call: Callable[[Chunk], Result]
    ended: Callable[[Any], Result]


def results(
    work: Work[Result], chunks: Iterable[Chunk], jobs: int, executor: str
) -> Iterator[Result]:
    """Yield what becomes of each chunk, in order; one that is split up gives several.

    Args:
        work: what to do.
        chunks: any number of them.
        jobs: how many workers.
        executor: ``threads``, ``processes`` or ``dask://host:port``.

    Raises:
        FixkitError: there is no such executor, or the cluster cannot be reached.
    """
    if executor.startswith(_DASK):
        return _on_cluster(work, chunks, executor[len(_DASK) :])
    if executor not in _LOCAL:
        known = ", ".join(_LOCAL)
        raise FixkitError(f"executor is {executor!r}, but there are {known} and dask://HOST:PORT")
    return _LOCAL[executor](work, chunks, jobs)


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork() -> bool:
    """Whether processes start with what this one has loaded, whatever its main module is."""
    return "fork" in get_all_start_methods()


def _ahead(
    submit: Callable[[Chunk], Any], chunks: Iterable[Chunk], limit: int
) -> Iterator[tuple[Chunk, Any]]:
    """Yield chunks with their futures, ``limit`` of which are under way at once."""
    waiting: deque[tuple[Chunk, Any]] = deque()
    for chunk in chunks:
        waiting.append((chunk, submit(chunk)))
        if len(waiting) >= limit:
            yield waiting.popleft()
    yield from waiting


# --- threads ------------------------------------------------------------------------------------


def _in_threads(work: Work[Result], chunks: Iterable[Chunk], jobs: int) -> Iterator[Result]:
    if jobs == 1:
        yield from map(work.call, chunks)
        return
    pool = ThreadPoolExecutor(jobs)
    try:
        with _single_threaded_opencv():
            for _, future in _ahead(lambda c: pool.submit(work.call, c), chunks, jobs * _AHEAD):
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from starting threads of its own below ours, for as long as they run."""
    cv2 = sys.modules.get("cv2")
    threads = cv2.getNumThreads() if cv2 else 0
    try:
        if cv2:
            cv2.setNumThreads(0)
        yield
    finally:
        if cv2:
            cv2.setNumThreads(threads)


# --- processes ----------------------------------------------------------------------------------

#: What a worker process does; it is there when the process starts, so nothing has to be pickled.
_work: Optional[Work[Any]] = None


def _start_worker(work: Work[Any]) -> None:
    global _work  # noqa: PLW0603 - each worker process has one
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    cv2 = sys.modules.get("cv2")
    if cv2:
        cv2.setNumThreads(0)


def _call(chunk: Chunk) -> Any:
    assert _work is not None
    return _work.call(chunk)


def _in_processes(work: Work[Result], chunks: Iterable[Chunk], jobs: int) -> Iterator[Result]:
    left, failed = iter(chunks), deque[Any]()
    while True:
        yield from _until_broken(work, left, jobs, failed)
        if not failed:
            return
        yield from _one_by_one(work, failed)


def _until_broken(
    work: Work[Result], chunks: Iterator[Chunk], jobs: int, failed: deque[Any]
) -> Iterator[Result]:
    """Yield results until a worker ends; ``failed`` gets the items that were under way then."""
    with _pool(work, jobs) as pool:

        def submit(chunk: Chunk) -> Any:
            try:
                return pool.submit(_call, chunk)
            except BrokenProcessPool:
                return None

        for chunk, future in _ahead(submit, _unless(failed, chunks), jobs * _AHEAD):
            try:
                if future is None:
                    raise BrokenProcessPool
                result = future.result()
            except BrokenProcessPool:
                failed.extend(chunk)
            else:
                yield result


def _unless(failed: deque[Any], chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    while not failed:
        try:
            yield next(chunks)
        except StopIteration:
            return


def _one_by_one(work: Work[Result], items: deque[Any]) -> Iterator[Result]:
    """Yield the result of each item; with one process at work it is clear which one ended it."""
    while items:
        try:
            with _pool(work, 1) as pool:
                while items:
                    result = pool.submit(_call, (items[0],)).result()
                    items.popleft()
                    yield result
        except BrokenProcessPool:
            yield work.ended(items.popleft())


@contextmanager
def _pool(work: Work[Any], jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes; where this is left in a hurry, as by Ctrl-C, they are ended at once."""
    context = get_context("fork") if can_fork() else None
    pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(work,))
    try:
        yield pool
    except BaseException:
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        raise
    pool.shutdown()


_LOCAL: dict[str, Callable[[Work[Any], Iterable[Chunk], int], Iterator[Any]]] = {
    "threads": _in_threads,
    "processes": _in_processes,
}


# --- a cluster ----------------------------------------------------------------------------------


def _on_cluster(work: Work[Result], chunks: Iterable[Chunk], address: str) -> Iterator[Result]:
    try:
        import distributed
    except ImportError:
        raise FixkitError(
            f"executor is dask://{address}, but dask is not installed: "
            "pip install 'mmseg-fixkit[dask]'"
        ) from None
    with _client(distributed, address) as client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise FixkitError(f"the cluster at {address} has no workers; start some")

        def submit(chunk: Chunk) -> Any:
            return client.submit(work.call, chunk, pure=False)

        for chunk, future in _ahead(submit, chunks, threads * _AHEAD):
            yield from _from_cluster(distributed, work, submit, chunk, future)


@contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:
    try:
        client = distributed.Client(f"tcp://{address}", timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise FixkitError(f"no dask scheduler answers at {address}: {error}") from None
    try:
        yield client
    finally:
        client.close()  # which also gives up what is still under way


def _from_cluster(
    distributed: Any, work: Work[Result], submit: Callable[[Chunk], Any], chunk: Chunk, future: Any
) -> Iterator[Result]:
    """Yield the result of a chunk, or those of its items where it ends workers."""
    try:
        yield future.result()
    except distributed.KilledWorker:
        if len(chunk) == 1:
            yield work.ended(chunk[0])
            return
        for item in chunk:
            yield from _from_cluster(distributed, work, submit, (item,), submit((item,)))
    except ImportError as error:
        raise FixkitError(
            f"the workers of the cluster cannot run the scan ({error}); install mmseg-fixkit there"
        ) from None
