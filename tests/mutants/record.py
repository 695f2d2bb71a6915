"""Which tests reach which line, and how long each takes: one run of the suite with coverage.py."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import coverage

from tests.mutants.recorder import FOLDER

PACKAGE = "mmseg_fixkit"

_SETTINGS = """\
[run]
source = {tree}/mmseg_fixkit
data_file = {folder}/data
parallel = true
concurrency = multiprocessing, thread
context = ${{PYTEST_CURRENT_TEST-}}
sigterm = true
"""

_PYTEST = ("-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "tests.mutants.recorder")


def environment(tree: Path) -> dict[str, str]:
    """Return the environment of tests that run in a copy of the tree."""
    settings = {"OMP_NUM_THREADS": "1", "CI": "1", "PYTHONPATH": str(tree)}
    return {n: v for n, v in os.environ.items() if n != "NO_COLOR"} | settings


def record(tree: Path, folder: Path, tests: Sequence[str], arguments: Sequence[str]) -> None:
    """Run tests of the tree; what is recorded is added to what is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "coveragerc"
    settings.write_text(_SETTINGS.format(tree=tree, folder=folder))
    subprocess.run(
        [sys.executable, "-m", "pytest", *_PYTEST, *arguments, *tests],
        cwd=tree,
        env={
            **environment(tree),
            "COVERAGE_PROCESS_START": str(settings),
            FOLDER: str(folder),
        },
        check=False,  # a test that fails kills no mutants
    )


@dataclass(frozen=True)
class Record:
    """What a run of the suite showed."""

    seconds: dict[str, float]  # of each test that passed
    reached: dict[str, dict[int, set[str]]]  # file -> line -> tests
    tree: Path

    def covering(self, file: str, line: int) -> list[str]:
        """Return the tests that a fault in a line may show in.

        Those of the module itself come first, then those of its folder, then those that reach its
        file, and of them the fastest; of a function with many cases, each one comes later than it
        would alone.
        """
        around = list(_around(ast.parse((self.tree / file).read_text()), line))
        functions = [each for each in around if isinstance(each, _FUNCTIONS)]
        near = self._reaching(file, range(1, 10**6))
        if not functions:
            tests = self._users(_given(around[-1])) or near
        elif line < functions[-1].body[0].lineno:  # its decorators and defaults
            last = functions[-1].end_lineno or line
            tests = self._reaching(file, range(functions[-1].body[0].lineno, last + 1))
        else:
            # A `continue` is compiled into the jump of its condition, and has no line then.
            skips = isinstance(around[-1], (ast.Continue, ast.Break, ast.Pass))
            heads = [_head(each) for each in reversed(around[-2:] if skips else around[-1:])]
            tests = next(filter(None, (self._reaching(file, head) for head in heads)), set())
            remembered = {each.name for each in functions if _remembers(each)}
            tests |= self._users(remembered)
        fastest = sorted(tests, key=lambda test: (self.seconds[test], test))
        function = [test.partition("[")[0] for test in fastest]
        turn = {test: function[:i].count(function[i]) for i, test in enumerate(fastest)}
        cost = {test: self.seconds[test] * (turn[test] + 1) for test in fastest}
        return sorted(
            fastest, key=lambda test: (-_kinship(file, test), test not in near, cost[test])
        )

    def _reaching(self, file: str, lines: Iterable[int]) -> set[str]:
        reached = self.reached.get(file, {})
        return set().union(*(reached[line] for line in lines if line in reached))

    def _users(self, names: set[str]) -> set[str]:
        """Return the tests of all lines in which one of the names stands."""
        if not names:
            return set()
        pattern = re.compile(rf"\b(?:{'|'.join(names)})\b")
        return set().union(
            *(
                self._reaching(file, (n for n, text in enumerate(lines, 1) if pattern.search(text)))
                for file, lines in self._texts.items()
            )
        )

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        return {file: (self.tree / file).read_text().splitlines() for file in self.reached}


def _kinship(file: str, test: str) -> int:
    """Return 2 where a test is named after a file, 1 where it is of the same folder, else 0."""
    module, of = Path(file), Path(test.partition("::")[0])
    same_folder = module.parent.relative_to(PACKAGE) == of.parent.relative_to("tests")
    return same_folder + (same_folder and module.stem in of.stem)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _around(tree: ast.AST, line: int) -> Iterator[ast.stmt]:
    """Yield the statements that a line is in, the outermost first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            decorators = getattr(node, "decorator_list", ())
            first = min([node.lineno, *(each.lineno for each in decorators)])
            if first <= line <= (node.end_lineno or first):
                yield node


def _given(statement: ast.stmt) -> set[str]:
    """Return the names that a statement gives a value to."""
    nodes = ast.walk(statement)
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _remembers(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether only the first test that calls a function runs its lines."""
    return any("cache" in ast.unparse(each) for each in function.decorator_list)


def _head(statement: ast.stmt) -> range:
    """Return the lines of a statement without those of its body."""
    body = getattr(statement, "body", ())
    return range(statement.lineno, body[0].lineno if body else (statement.end_lineno or 0) + 1)


def collected(tree: Path) -> set[str]:
    """Return the tests that there are; pytest runs none at all if one is asked for that is not."""
    listed = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*listed, "-o", "addopts=", "tests"],
        cwd=tree,
        env=environment(tree),
        capture_output=True,
        text=True,
        check=False,  # a file that cannot be collected has no tests
    )
    return set(done.stdout.splitlines())


def read_record(tree: Path, folder: Path, tests: set[str]) -> Record:
    """Return what the files of a folder say of a tree and of those tests."""
    seconds = {test: took for test, took in _seconds(folder).items() if test in tests}
    of_file: dict[str, set[str]] = defaultdict(set)
    for test in seconds:
        of_file[test.partition("::")[0]].add(test)
    reached: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sorted(folder.glob("data.*")):
        data = coverage.CoverageData(path)
        data.read()
        for file in data.measured_files():
            lines = reached[_relative(file)]
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    test, _, phase = context.rpartition(" ")
                    # What a fixture of a module made is looked at by all its tests.
                    shared = phase == "(setup)" and of_file[test.partition("::")[0]]
                    lines[line] |= shared or {test} & seconds.keys()
    return Record(seconds, {file: dict(lines) for file, lines in reached.items()}, tree)


def _relative(file: str) -> str:
    return f"{PACKAGE}{file.rpartition(f'/{PACKAGE}')[2]}"


def _seconds(folder: Path) -> dict[str, float]:
    """Return how long each test took, with its set-up, that passed in all phases."""
    rows = [json.loads(row) for p in folder.glob("*.jsonl") for row in p.read_text().splitlines()]
    failed = {test for test, _, outcome, _ in rows if outcome != "passed"}
    seconds: dict[str, float] = defaultdict(float)
    for test, _, _, duration in rows:
        if test not in failed:
            seconds[test] += duration
    return dict(seconds)
