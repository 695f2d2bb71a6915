"""The tree is copied, recorded and changed; the report says which mutants no test saw."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.helpers.paths import ROOT
from tests.mutants.draw import draw
from tests.mutants.operators import Mutant
from tests.mutants.record import Record, collected, read_record, record
from tests.mutants.worker import Run, Tests

KILLED, TIMED_OUT, SURVIVED, LEFT = "killed", "timed out", "survived", "not tried"
#: pytest stopped before the first test: its end says nothing.
NOT_RUN = "not run"

#: They take long, read every config of the zoo, or train.
_SLOW = ("zoo", "demo", "fuzz", "faults", "mutants", "test_configs.py", "test_training.py")


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    end: str
    tests: int  # that reach its line
    left_out: int  # of those, for lack of time
    killer: str = ""
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """The outcome in a line."""
        by = f" by {self.killer}" if self.killer else f" ({self.tests} tests reach it)"
        place = f"{self.mutant.file}:{self.mutant.line}"
        return f"{self.end:9} {self.seconds:5.1f} s  {place} {self.mutant.operator}{by}"


class Bench:
    """A copy of the tree, in which one mutant after the other is tried."""

    def __init__(self, tree: Path, recorded: Record, sound: dict[str, bool]) -> None:
        self._tree = tree
        self._tests = Tests(tree)
        self._record = recorded
        self._sound = sound  # whether a test that failed passes without a mutant
        self._times = itertools.count(2_000_000_000)

    def tried(self, mutant: Mutant, most: float) -> Outcome:
        """Return what becomes of a mutant within so many seconds of tests."""
        covering = self._record.covering(mutant.file, mutant.line)
        begin = time.monotonic()
        while True:
            known = [test for test in covering if self._sound.get(test, True)]
            chosen = _first(known, self._record.seconds, most)
            run = self._with(mutant, chosen) if chosen else None
            if run is None or run.failed is None or self._passes(run.failed):
                break
        end = _end(run)
        killer = (run and run.failed) or ""
        left_out = len(known) - len(chosen)
        return Outcome(mutant, end, len(known), left_out, killer, time.monotonic() - begin)

    def _with(self, mutant: Mutant, tests: Sequence[str]) -> Run:
        file = self._tree / mutant.file
        source = file.read_text()
        try:
            self._write(file, mutant.source)
            return self._run(tests)
        finally:
            self._write(file, source)

    def _write(self, file: Path, source: str) -> None:
        """Write a source with a time of its own: compiled files are told by it."""
        file.write_text(source)
        moment = next(self._times)
        os.utime(file, (moment, moment))

    def _run(self, tests: Sequence[str]) -> Run:
        return self._tests.run([(test, self._record.seconds.get(test, 1.0)) for test in tests])

    def _passes(self, test: str) -> bool:
        if test not in self._record.seconds:  # a module that cannot be imported any more
            return True
        if test not in self._sound:
            self._sound[test] = self._run([test]).failed is None
        return self._sound[test]


def _end(run: Run | None) -> str:
    if run is None:
        return SURVIVED
    if not run.started:
        return NOT_RUN
    if run.failed is None:
        return SURVIVED
    return TIMED_OUT if run.timed_out else KILLED


def _first(tests: Sequence[str], seconds: dict[str, float], most: float) -> list[str]:
    """Return the first tests that take so long together, and one at least."""
    ends = itertools.accumulate(seconds[test] for test in tests)
    return [
        test for number, (test, end) in enumerate(zip(tests, ends)) if end <= most or not number
    ]


def mutate(arguments: argparse.Namespace) -> int:
    """Record, draw, try; print the report and write it into the folder; 1 if one survived."""
    deadline = time.monotonic() + 60 * arguments.minutes
    folder = arguments.folder.resolve()
    trees = [folder / f"tree-{number}" for number in range(arguments.workers)]
    for tree in trees:
        _copy(tree)
    if not arguments.again:
        shutil.rmtree(folder / "record", ignore_errors=True)
        spread = ["-n", str(arguments.workers), "--dist", "loadfile"]
        skipped = [f"--ignore=tests/{name}" for name in _SLOW]
        record(trees[0], folder / "record", arguments.tests.split(","), [*spread, *skipped])
    recorded = read_record(trees[0], folder / "record", collected(trees[0]))
    print(f"{len(recorded.seconds)} tests are recorded; seed {arguments.seed}", flush=True)
    only = [room for room in arguments.rooms.split(",") if room]
    mutants = draw(trees[0], arguments.mutants, arguments.seed, only)
    outcomes = list(_tried(mutants, trees, recorded, arguments.seconds, deadline))
    report = _report(outcomes, arguments.seed)
    (folder / f"report-{arguments.seed}.txt").write_text(report)
    print(report)
    return int(any(each.end == SURVIVED for each in outcomes))


def _copy(tree: Path) -> None:
    """Copy what git knows or would take; a mutant is never written into the checkout."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout
    shutil.rmtree(tree, ignore_errors=True)
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _tried(
    mutants: Sequence[Mutant], trees: Sequence[Path], recorded: Record, most: float, deadline: float
) -> Iterator[Outcome]:
    free: SimpleQueue[Bench] = SimpleQueue()
    sound: dict[str, bool] = {}
    for tree in trees:
        free.put(Bench(tree, recorded, sound))

    def tried(mutant: Mutant) -> Outcome:
        if time.monotonic() > deadline:
            return Outcome(mutant, LEFT, 0, 0)
        bench = free.get()
        try:
            return bench.tried(mutant, most)
        finally:
            free.put(bench)

    with ThreadPoolExecutor(len(trees)) as pool:
        for number, outcome in enumerate(pool.map(tried, mutants), 1):
            print(f"{number:4} {outcome.line}", flush=True)
            yield outcome


def _report(outcomes: Sequence[Outcome], seed: int) -> str:
    """Return the survivors with their changes, then the counts of each room."""
    survivors = [each for each in outcomes if each.end == SURVIVED]
    shown = "".join(f"\n{each.line}\n{each.mutant.diff}\n" for each in survivors)
    ends = (KILLED, TIMED_OUT, SURVIVED, NOT_RUN, LEFT)
    counts = Counter((each.mutant.file.split("/")[1], each.end) for each in outcomes)
    rows = [
        f"{room:12}" + "".join(f"{counts[room, end]:10}" for end in ends)
        for room in sorted({room for room, _ in counts})
    ]
    total = Counter(each.end for each in outcomes)
    tried = len(outcomes) - total[LEFT] - total[NOT_RUN]
    share = f"{(tried - total[SURVIVED]) / max(1, tried):.1%} of {tried} were killed, seed {seed}"
    head = f"{'':12}" + "".join(f"{end:>10}" for end in ends)
    return "\n".join([shown, head, *rows, share])
