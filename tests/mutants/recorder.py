"""A plugin of pytest: tells coverage.py which test runs, and writes how each of them ended.

Child processes and workers know it by ``PYTEST_CURRENT_TEST``, which pytest sets and they inherit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

#: A folder; each process of pytest writes a file of its own there.
FOLDER = "MUTANTS_OUTCOMES"


def _phase(item: pytest.Item, phase: str) -> Iterator[None]:
    current = coverage.Coverage.current()
    if current is not None:
        current.switch_context(f"{item.nodeid} ({phase})")
    yield
    if current is not None:
        current.switch_context("")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _phase(item, "setup")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _phase(item, "call")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    row = json.dumps([report.nodeid, report.when, report.outcome, report.duration])
    with (Path(os.environ[FOLDER]) / f"{os.getpid()}.jsonl").open("a") as out:
        out.write(row + "\n")
