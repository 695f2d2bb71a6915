"""Runs a function on many items in threads, processes or a cluster: results in order, few at once.

Items are taken from their iterator as results are taken, so that a million never wait in memory.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from threading import Thread
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, Union

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import listed

if TYPE_CHECKING:  # one config, or one file, is read without it
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess
    from queue import SimpleQueue

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Items that one worker does one after the other.
Chunk = tuple[Item, ...]
Chunks = Iterable[tuple[Item, ...]]

#: What a call gave, and what it raised: results before that count.
_Outcome = tuple[list[Any], Optional[Exception]]

#: Chunks that are done or under way, for each worker, while an earlier one is waited for.
_AHEAD = 3

#: Seconds that each thread has to end after Ctrl-C.
_HURRY = 0.2
#: Seconds that all processes together have to take their temporary files away.
_LEAVE = 1.0

_DASK = "dask://"


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """What is to be done with chunks; for clusters, and processes without fork, it is pickled."""

    call: Callable[[Chunk[Item]], Result]
    crashed: Callable[[Item], Result]  # the result for one item that ends its process


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
    """Yield the result of each item, in order; one job does them here. See :func:`results`.

    What ``call`` raises is raised here. Workers get ``size`` items at once; one that ends its
    process has the result that ``crashed`` gives, or raises ``FixkitError``.
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

    Chunks are taken as results are. The executor is ``threads``, ``processes`` or
    ``dask://host:port``, a cluster with its own count of workers. Raises ``FixkitError`` for any
    other, and where the cluster cannot be reached.
    """
    if executor.startswith(_DASK):
        return _on_cluster(work, chunks, executor[len(_DASK) :])
    if executor not in _POOLS:
        known = listed([*_POOLS, f"{_DASK}HOST:PORT"])
        raise FixkitError(f"executor is {executor!r}, but there are {known}")
    if (executor, jobs) == ("threads", 1):
        return map(work.call, chunks)
    return _in_pool(_POOLS[executor], work, chunks, jobs)


# --- on this machine ----------------------------------------------------------------------------


def _in_pool(
    pool_type: type[_Pool], work: Work[Item, Result], chunks: Chunks[Item], jobs: int
) -> Iterator[Result]:
    """Yield results in order; each worker has one chunk, and some results wait for their turn."""
    left, given, turn = iter(chunks), 0, 0
    done: dict[int, _Outcome] = {}
    with _single_threaded_opencv(), pool_type(work, jobs) as pool:
        while True:
            free = jobs - (given - turn - len(done))
            for chunk in islice(left, min(free, jobs * _AHEAD - (given - turn))):
                pool.submit(given, chunk)
                given += 1
            if given == turn:
                return
            done.update(pool.finished(wait=turn not in done))
            if turn in done:
                results, error = done.pop(turn)
                turn += 1
                yield from results
                if error is not None:
                    raise error


def _outcome(call: Callable[[Any], Any], chunk: Any) -> _Outcome:
    try:
        return [call(chunk)], None
    except Exception as error:
        return [], error


@contextmanager
def _ctrl_c_held_up() -> Iterator[None]:
    """Keep Ctrl-C waiting; what is started meanwhile never gets it, only the first thread does."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT}
        )  # which may raise what came before
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Threads:
    """Threads that share one queue. Its locks are not Python's: Ctrl-C leaves none of them held."""

    def __init__(self, work: Work[Any, Any], jobs: int) -> None:
        from queue import SimpleQueue

        self._call = work.call
        self._todo: SimpleQueue[Optional[tuple[int, Any]]] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, _Outcome]] = SimpleQueue()
        self._threads = [Thread(target=self._work, daemon=True) for _ in range(jobs)]

    def __enter__(self) -> _Threads:
        with _ctrl_c_held_up():
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *rest: object) -> None:
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:  # a network may let one wait for minutes
            thread.join(_HURRY if kind is KeyboardInterrupt else None)

    def submit(self, number: int, chunk: Any) -> None:
        self._todo.put((number, chunk))

    def finished(self, *, wait: bool) -> Iterator[tuple[int, _Outcome]]:
        if wait:
            yield self._done.get()
        while not self._done.empty():
            yield self._done.get()

    def _work(self) -> None:
        for number, chunk in iter(self._todo.get, None):
            self._done.put((number, _outcome(self._call, chunk)))


class _Processes:
    """Processes with a pipe each; one that finds its pipe closed ends, whatever ended this one.

    No thread and no lock is between them and this process: where it is left in a hurry, as by
    Ctrl-C, they are asked to end and then killed, and one that crashes leaves no doubt about which
    chunk did it.
    """

    def __init__(self, work: Work[Any, Any], jobs: int) -> None:
        from multiprocessing import connection, get_context

        self._readable = connection.wait
        self._context: Any = get_context("fork") if can_fork() else get_context()
        self._work, self._jobs = work, jobs
        self._processes: dict[Connection, BaseProcess] = {}
        self._idle: list[Connection] = []
        self._busy: dict[Connection, tuple[int, Any]] = {}

    def __enter__(self) -> _Processes:
        # At exit, multiprocessing waits for all processes; what is registered later comes before.
        atexit.register(self._kill)
        self._idle = [self._started() for _ in range(self._jobs)]
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *rest: object) -> None:
        if kind is not None:
            self._kill()
        atexit.unregister(self._kill)
        for pipe in self._processes:
            pipe.close()
        for process in self._processes.values():
            process.join()

    def _kill(self) -> None:
        with _ctrl_c_held_up():
            for process in self._processes.values():
                process.terminate()
            end = monotonic() + _LEAVE
            for process in self._processes.values():
                process.join(max(0.0, end - monotonic()))
                process.kill()

    def submit(self, number: int, chunk: Any) -> None:
        self._busy[self._sent(chunk)] = (number, chunk)

    def finished(self, *, wait: bool) -> Iterator[tuple[int, _Outcome]]:
        answered = self._readable(list(self._busy), None if wait else 0)
        for pipe in [pipe for pipe in self._busy if pipe in answered]:
            number, chunk = self._busy.pop(pipe)
            yield number, self._received(pipe, chunk)

    def _started(self) -> Connection:
        with _ctrl_c_held_up():
            ours, theirs = self._context.Pipe()
            inherited = [*self._processes, ours] if can_fork() else []
            arguments = (self._work.call, theirs, inherited)
            process = self._context.Process(target=_serve, args=arguments)
            process.start()
            self._processes[ours] = process
            theirs.close()
        connection: Connection = ours
        return connection

    def _sent(self, chunk: Any) -> Connection:
        pipe = self._idle.pop()
        with suppress(OSError):  # it has ended, which is found when its answer is read
            pipe.send(chunk)
        return pipe

    def _received(self, pipe: Connection, chunk: Any) -> _Outcome:
        """Return what a process answers; where it has ended, do the items one by one."""
        try:
            outcome: _Outcome = pipe.recv()
        except (EOFError, OSError):
            self._processes.pop(pipe).join()
            self._idle.append(self._started())
            if len(chunk) == 1:
                return _outcome(self._work.crashed, chunk[0])
            parts = [self._received(self._sent((item,)), (item,)) for item in chunk]
            error = next((error for _, error in parts if error), None)
            return [result for found, _ in parts for result in found], error
        self._idle.append(pipe)
        return outcome


def _serve(call: Callable[[Any], Any], pipe: Connection, others: Iterable[Connection]) -> None:
    """Do chunks until the other end of the pipe is closed, as it is when its process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends the others
    signal.signal(signal.SIGTERM, _leave)
    for other in others:  # what a fork copied would keep the pipes open
        other.close()
    with suppress(EOFError, OSError):
        while True:
            pipe.send(_outcome(call, pipe.recv()))


def _leave(number: int, frame: Optional[FrameType]) -> None:
    """End a process through the blocks that it is in, which take temporary files away."""
    raise SystemExit


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


_Pool = Union[_Threads, _Processes]
_POOLS: dict[str, type[_Pool]] = {"threads": _Threads, "processes": _Processes}


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
        fetch = partial(_from_cluster, distributed.KilledWorker, work, submit)
        under_way: deque[tuple[Chunk[Item], Any]] = deque()
        for chunk in chunks:
            under_way.append((chunk, submit(chunk)))
            if len(under_way) >= threads * _AHEAD:
                yield from fetch(*under_way.popleft())
        for chunk, future in under_way:
            yield from fetch(chunk, future)


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
