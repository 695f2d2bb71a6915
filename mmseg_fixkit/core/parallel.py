"""Runs a function on many items in threads, processes or a cluster: results in order, few at once.

Items are taken from their iterator as results are taken, so that a million never wait in memory.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import listed

if TYPE_CHECKING:  # one config, or one file, is read without it
    from concurrent.futures import Executor

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items that one worker does one after the other.
Chunk = tuple[Item, ...]
Chunks = Iterable[tuple[Item, ...]]

#: Chunks under way for each worker, with the one that it works on.
_AHEAD = 3

_DASK = "dask://"


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """What is to be done with chunks of items.

    Args:
        call: does it; for processes and clusters it has to survive pickling.
        crashed: the result for one item that ends the process that works on it.
    """

    call: Callable[[Chunk[Item]], Result]
    crashed: Callable[[Item], Result]


def cores() -> int:
    """Return how many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_fork() -> bool:
    """Whether processes start with what this one has loaded, whatever its main module is."""
    return hasattr(os, "fork")


def chunk_size(count: int, jobs: int, most: int = 16) -> int:
    """Return how many of ``count`` items go to a worker at once, so that all have their share."""
    return max(1, min(most, count // (4 * jobs)))


def chunked(items: Iterable[Item], size: int) -> Iterator[Chunk[Item]]:
    """Yield items by ``size`` at once, the last of them fewer."""
    left = iter(items)
    while chunk := tuple(islice(left, size)):
        yield chunk


def each(
    call: Callable[[Item], Result],
    items: Iterable[Item],
    jobs: int,
    executor: str,
    crashed: Optional[Callable[[Item], Result]] = None,
    size: int = 1,
) -> Iterator[Result]:
    """Yield the result of each item, in order; one job does them here.

    Args:
        call: what to do; what it raises is raised here.
        items: any number of them.
        jobs: how many workers.
        executor: see :func:`results`.
        crashed: see :class:`Work`; where left out, such an item is an error.
        size: how many items go to a worker at once.

    Raises:
        FixkitError: see :func:`results`; or an item ends the process that works on it.
    """
    if jobs <= 1:
        return map(call, items)
    work: Work[Item, Iterable[Result]] = Work(
        partial(_on_all, call), lambda item: [(crashed or _stop)(item)]
    )
    return chain.from_iterable(results(work, chunked(items, size), jobs, executor))


def _on_all(call: Callable[[Item], Result], chunk: Chunk[Item]) -> list[Result]:
    return [call(item) for item in chunk]


def _stop(item: Any) -> Any:
    raise FixkitError(f"{item} ends the process that works on it")


def results(
    work: Work[Item, Result], chunks: Chunks[Item], jobs: int, executor: str
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
    if executor not in _POOLS:
        known = listed([*_POOLS, f"{_DASK}HOST:PORT"])
        raise FixkitError(f"executor is {executor!r}, but there are {known}")
    if (executor, jobs) == ("threads", 1):
        return map(work.call, chunks)
    return _in_pool(_POOLS[executor], work, chunks, jobs)


def _ahead(
    submit: Callable[[Chunk[Item]], Any], chunks: Chunks[Item], limit: int
) -> Iterator[tuple[Chunk[Item], Any]]:
    """Yield chunks with their futures, ``limit`` of which are under way at once."""
    waiting: deque[tuple[Chunk[Item], Any]] = deque()
    for chunk in chunks:
        waiting.append((chunk, submit(chunk)))
        if len(waiting) >= limit:
            yield waiting.popleft()
    yield from waiting


# --- on this machine ----------------------------------------------------------------------------


def _in_pool(
    open_pool: _Pool, work: Work[Item, Result], chunks: Chunks[Item], jobs: int, ahead: int = _AHEAD
) -> Iterator[Result]:
    """Yield results; where a process ends, the items under way are done one by one.

    With one process at work on one item it is clear which one ended it.
    """
    left = iter(chunks)
    while True:
        with open_pool(jobs) as pool:
            again = yield from _until_broken(pool, work, left, jobs * ahead)
        if not again:
            return
        if jobs * ahead == 1:
            yield from map(work.crashed, again)
        else:
            yield from _in_pool(open_pool, work, ((item,) for item in again), 1, ahead=1)


def _until_broken(
    pool: Executor, work: Work[Item, Result], left: Iterator[Chunk[Item]], limit: int
) -> Generator[Result, None, list[Item]]:
    """Yield results until a process ends; return the items that were under way then."""
    from concurrent.futures import BrokenExecutor, Future

    again: list[Item] = []

    def submit(chunk: Chunk[Item]) -> Future[Result]:
        try:
            return pool.submit(work.call, chunk)
        except BrokenExecutor as error:
            future: Future[Result] = Future()
            future.set_exception(error)
            return future

    while_whole = iter(lambda: None if again else next(left, None), None)
    under_way = _ahead(submit, while_whole, limit)
    for chunk, future in under_way:
        try:
            result = future.result()
        except BrokenExecutor:
            again += chunk  # from here on nothing more is submitted
            again += (item for other, _ in under_way for item in other)
        else:
            yield result
    return again


@contextmanager
def _threads(jobs: int) -> Iterator[Executor]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(jobs)
    try:
        with _single_threaded_opencv():
            yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    """Start processes; where this is left in a hurry, as by Ctrl-C, they are ended at once."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    context = get_context("fork") if can_fork() else None
    ignore_ctrl_c = (signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    with _single_threaded_opencv():
        pool = ProcessPoolExecutor(jobs, context, signal.signal, ignore_ctrl_c)
        try:
            yield pool
        except BaseException:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()
            raise
        pool.shutdown()


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


_Pool = Callable[[int], AbstractContextManager["Executor"]]
_POOLS: dict[str, _Pool] = {"threads": _threads, "processes": _processes}


# --- a cluster ----------------------------------------------------------------------------------


def _on_cluster(work: Work[Item, Result], chunks: Chunks[Item], address: str) -> Iterator[Result]:
    try:
        import distributed
    except ImportError:
        raise FixkitError(
            f"executor is {_DASK}{address}, but dask is not installed: "
            "pip install 'mmseg-fixkit[dask]'"
        ) from None
    with _client(distributed, address) as client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise FixkitError(f"the cluster at {address} has no workers; start some")
        submit = partial(client.submit, work.call, pure=False)
        for chunk, future in _ahead(submit, chunks, threads * _AHEAD):
            yield from _from_cluster(distributed.KilledWorker, work, submit, chunk, future)


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
    killed: type[Exception],
    work: Work[Item, Result],
    submit: Callable[[Chunk[Item]], Any],
    chunk: Chunk[Item],
    future: Any,
) -> Iterator[Result]:
    """Yield the result of a chunk, or those of its items where it ends workers."""
    try:
        yield future.result()
    except killed:
        if len(chunk) == 1:
            yield work.crashed(chunk[0])
            return
        for item in chunk:
            yield from _from_cluster(killed, work, submit, (item,), submit((item,)))
    except ImportError as error:
        raise FixkitError(
            f"the workers of the cluster cannot run mmseg-fixkit ({error}); install it there"
        ) from None
