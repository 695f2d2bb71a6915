"""The whole zoo in a pool of processes, with a log from which an interrupted run goes on."""

from __future__ import annotations

import json
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Callable, Optional, Union

from tests.zoo.modes import MODES
from tests.zoo.steps import Result
from tests.zoo.train import STEPS, Step, Trained

#: Distributions by which a run is known; the fork has other names.
DISTRIBUTIONS = ("mmsegmentation", "mmengine", "mmcv", "mmdet", "torch")

Record = Union[Result, Trained]


@dataclass(frozen=True)
class Job:
    """One piece of work for one process: a config, or a training step."""

    config: str
    counts: tuple[int, ...] = ()
    step: Optional[Step] = None
    modes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"step {self.config}" if self.step else self.config

    def run(self) -> Record:
        from tests.zoo import steps, train

        if self.step:
            return train.train(self.step)
        modes = tuple(mode for mode in steps.MODES if mode.name in self.modes)
        return steps.run(self.config, self.counts, modes)

    def left(self, done: Optional[Record]) -> Optional[Job]:
        """Return what is to be done yet, a new way of writing for instance; None if nothing."""
        if not isinstance(done, Result):
            return None if done else self
        tried = tuple(mode for mode in MODES if mode.of(self.counts))
        missing = tuple(mode.name for mode in done.missing(tried))
        return replace(self, modes=missing) if missing else None

    def ended(self) -> Record:
        problem = ["ends the process that works on it"]
        return (Trained if self.step else Result)(self.config, problems=problem)


def versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = version(f"onedl-{name}") if name != "mmdet" else "not installed"
    return found


@dataclass
class Log:
    """Results as JSON lines, the first of which says what they were made with."""

    file: Path
    head: dict[str, Any]
    done: dict[str, Record] = field(default_factory=dict)

    @classmethod
    def open(cls, file: Path, counts: Sequence[int], resume: bool) -> Log:
        """Start a log; with ``resume``, take what one of the same versions and counts holds."""
        log = cls(file, {"versions": versions(), "counts": list(counts)})
        lines = file.read_text().splitlines() if resume and file.is_file() else []
        if lines and json.loads(lines[0]) == log.head:
            for line in lines[1:]:
                log._take(json.loads(line))
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w") as out:
            out.writelines(f"{line}\n" for line in [json.dumps(log.head), *lines[1:]])
        return log

    def _take(self, entry: dict[str, Any]) -> None:
        name, kind = entry.pop("name"), Trained if "losses" in entry else Result
        record = kind(**entry)
        if not record.problems:
            self.done[name] = record

    def add(self, name: str, record: Record) -> None:
        before = self.done.get(name)
        if isinstance(before, Result) and isinstance(record, Result):
            record = before.plus(record)
        self.done[name] = record
        with self.file.open("a") as out:
            out.write(json.dumps({"name": name, **record.as_json()}) + "\n")


def run_all(jobs: Sequence[Job], log: Log, processes: int, tell: Callable[[str], None]) -> None:
    """Run what the log does not hold yet."""
    asked = (job.left(log.done.get(job.name)) for job in jobs)
    left = [job for job in asked if job is not None]
    if len(left) < len(jobs):
        tell(f"{len(jobs) - len(left)} of {len(jobs)} were done before")
    for number, (job, record) in enumerate(_in_pool(left, processes), 1):
        log.add(job.name, record)
        for problem in record.problems:
            tell(f"{job.name}: {problem}")
        if number % 20 == 0 or number == len(left):
            tell(f"{number} of {len(left)}: {job.name}")


def _in_pool(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Record]]:
    done = 0
    while done < len(jobs):
        try:
            with ProcessPoolExecutor(processes, initializer=_prepare) as pool:
                for record in pool.map(Job.run, jobs[done:]):
                    done += 1
                    yield jobs[done - 1], record
            return
        except BrokenProcessPool:
            # With one process at work it is clear which job ended it; the others go on.
            if processes == 1:
                yield jobs[done], jobs[done].ended()
                done += 1
            processes = 1


def _prepare() -> None:
    from tests.zoo.modes import remember_metafiles

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr
    remember_metafiles()


def jobs_for(configs: Sequence[str], counts: Sequence[int], every: bool) -> list[Job]:
    """Return the work on ``configs``; the training steps are those among them, or all."""
    steps = [step for step in STEPS if every or step.config in configs]
    names = tuple(mode.name for mode in MODES)
    return [
        *(Job(config, tuple(counts), modes=names) for config in configs),
        *(Job(step.config, step=step) for step in steps),
    ]
