"""Work in threads and processes: order, what is under way at once, and items that crash."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from queue import SimpleQueue

import pytest

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.parallel import Work, chunk_size, chunked, cores, each, results
from tests.helpers.limits import time_limit

EXECUTORS = ("threads", "processes")


@pytest.fixture(autouse=True)
def _no_test_waits_for_ever() -> Iterator[None]:
    with time_limit(180):
        yield


def test_a_wait_that_has_no_end_is_ended() -> None:
    waiting: SimpleQueue[int] = SimpleQueue()
    with pytest.raises(TimeoutError, match="not done after"), time_limit(0.1):
        waiting.get()


def slowest_first(number: int) -> int:
    time.sleep(max(0, 5 - number) / 100)
    return number * number


def process_of(number: int) -> int:
    return os.getpid()


def half_of(number: int) -> float:
    return 1 / (number - 5)


def crash(number: int) -> int:
    """Do what no ``except`` holds up, for two numbers."""
    if number == 3:
        os._exit(7)
    if number == 10:
        os.kill(os.getpid(), signal.SIGKILL)  # SIGSEGV would print a traceback
    return number


def crashed(number: int) -> int:
    return -number


def sum_of(chunk: tuple[int, ...]) -> int:
    return sum(crash(number) for number in chunk)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("jobs", [1, 3])
def test_results_are_in_order(executor: str, size: int, jobs: int) -> None:
    squares = list(each(slowest_first, iter(range(13)), jobs, executor, size=size))
    assert squares == [number * number for number in range(13)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_one_job_is_done_here_and_without_a_pool(executor: str) -> None:
    assert set(each(process_of, range(3), 1, executor)) == {os.getpid()}


def test_more_than_one_job_is_done_by_other_processes() -> None:
    assert os.getpid() not in set(each(process_of, range(8), 2, "processes"))


@pytest.mark.parametrize("size", [1, 4, 20])
def test_an_item_that_ends_its_process_gets_a_result_and_the_others_go_on(size: int) -> None:
    found = list(each(crash, range(20), 2, "processes", crashed, size))
    assert found == [-n if n in (3, 10) else n for n in range(20)]


def test_chunks_that_end_their_process_are_split_up() -> None:
    work = Work(sum_of, crashed)
    found = list(results(work, [(1, 2), (3, 4), (5, 6)], 1, "processes"))
    assert found[0] == 3
    assert sum(found) == 1 + 2 - 3 + 4 + 5 + 6
    assert -3 in found


def test_a_crash_that_nothing_is_known_for_is_an_error() -> None:
    with pytest.raises(FixkitError, match="3 ends the process that works on it"):
        list(each(crash, range(8), 2, "processes"))


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_exceptions_reach_the_caller_after_what_was_done_before(executor: str, jobs: int) -> None:
    found = each(half_of, range(9), jobs, executor)
    assert [next(found) for _ in range(5)] == [1 / (number - 5) for number in range(5)]
    with pytest.raises(ZeroDivisionError):
        next(found)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_items_are_taken_as_results_are(executor: str, jobs: int) -> None:
    taken = []

    def numbers() -> Iterator[int]:
        for number in range(10**9):
            taken.append(number)
            yield number

    found = each(slowest_first, numbers(), jobs, executor, size=2)
    assert [next(found) for _ in range(4)] == [0, 1, 4, 9]
    assert len(taken) <= 4 + 2 * 3 * jobs
    del found  # which ends the workers


def test_threads_are_waited_for_but_not_after_ctrl_c() -> None:
    done: list[int] = []

    def slow(number: int) -> int:
        time.sleep(1.5 if number else 0)
        done.append(number)
        return number

    found = each(slow, range(3), 2, "threads")
    assert next(found) == 0
    del found  # leaves the others under way
    assert 1 in done
    done.clear()
    found = results(Work(lambda chunk: slow(chunk[0]), slow), [(0,), (1,), (2,)], 2, "threads")
    assert next(found) == 0
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1
    assert done == [0]


ENDLESS = """
import itertools, sys, time
from mmseg_fixkit.core.parallel import each
def work(number):
    time.sleep(number % 3 / 1000)
    return number
try:
    for number in each(work, itertools.count(), 2, sys.argv[1]):
        if number == 20:
            print("works", flush=True)
except KeyboardInterrupt:
    print("stopped")
"""


@contextmanager
def endless_work(executor: str) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has work without end; its workers hold its output open."""
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, executor],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "works\n"
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def interrupt(executor: str, after: float, *, whole_group: bool) -> None:
    with endless_work(executor) as process:
        time.sleep(after)
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        assert process.communicate(timeout=20) == ("stopped\n", "")
        assert process.returncode == 0


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("whole_group", [True, False])  # a terminal interrupts the whole group
def test_ctrl_c_ends_all_workers_at_once(executor: str, whole_group: bool) -> None:
    interrupt(executor, 0.01, whole_group=whole_group)


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(20))
@pytest.mark.parametrize("executor", EXECUTORS)
def test_ctrl_c_ends_all_workers_at_any_moment(executor: str, turn: int) -> None:
    interrupt(executor, random.random() / 10, whole_group=turn % 2 == 0)


def test_workers_end_when_their_process_is_killed() -> None:
    with endless_work("processes") as process:
        process.kill()
        assert process.communicate(timeout=20) == ("", "")  # at the end of all that hold it open


def test_work_that_is_given_up_does_not_hold_up_the_exit() -> None:
    program = (
        "import itertools, time; from mmseg_fixkit.core.parallel import each\n"
        "work = each(lambda n: n and time.sleep(60), itertools.count(), 2, 'processes')\n"
        "print(next(work))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def processes_of(number: int) -> int:
    """Start a process in a worker, as a config may."""
    process = get_context("fork").Process(target=time.sleep, args=(0,))
    process.start()
    process.join()
    return process.exitcode or 0


def test_workers_may_start_processes() -> None:
    assert list(each(processes_of, range(4), 2, "processes")) == [0] * 4


def test_ctrl_c_is_not_held_up_afterwards() -> None:
    assert list(each(abs, range(3), 2, "processes")) == [0, 1, 2]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_pools_are_loaded_when_they_are_needed() -> None:
    program = (
        "import sys; from mmseg_fixkit.core.parallel import each\n"
        "print(list(each(abs, [-1, 2], 1, 'processes')))\n"
        "print({'concurrent.futures', 'multiprocessing'} & set(sys.modules))\n"
        "print(list(each(abs, [-1, 2], 2, 'processes')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[1, 2]\nset()\n[1, 2]\n", "")


def test_unknown_executors_are_refused() -> None:
    with pytest.raises(FixkitError, match="are threads, processes and dask://HOST:PORT"):
        results(Work(sum_of, crashed), [], 1, "gpu")


def test_cores_are_those_that_this_process_may_use() -> None:
    every = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(every)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, every)
    assert cores() == len(every)


@pytest.mark.parametrize(
    ("count", "jobs", "size"), [(0, 2, 1), (7, 2, 1), (80, 2, 10), (1000, 2, 16), (1000, 250, 1)]
)
def test_chunks_give_each_worker_its_share(count: int, jobs: int, size: int) -> None:
    assert chunk_size(count, jobs) == size


def test_chunked() -> None:
    assert list(chunked(iter(range(5)), 2)) == [(0, 1), (2, 3), (4,)]
