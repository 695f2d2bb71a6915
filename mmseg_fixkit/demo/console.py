"""What the demonstration says: progress to stderr, the outcome to stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from textwrap import indent
from typing import Any, Optional

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from mmseg_fixkit.demo.runs import Listener

_INDENT = 6
_WIDTH = 100  # of the table where there is no terminal to ask
_PLAIN_EVERY = 10  # seconds between lines of progress where there is no terminal


class Teller:
    """Numbers the steps and shows what is going on."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._notes = Console(stderr=True, highlight=False)
        self._result = Console(
            highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH
        )

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self._say(Text(f"[{self._step}/{self._steps}] {text}", style="bold"))

    def note(self, text: str, style: str = "") -> None:
        """Add something to the step."""
        if self._notes.is_terminal:
            self._say(Padding(Text(text, style=style), (0, 0, 0, _INDENT)))
        else:
            self._say(Text(indent(text, " " * _INDENT)))

    def error(self, text: str) -> None:
        """Show an error of the host that was to be expected."""
        self.note(f"✗ {text}", "red")

    def success(self, text: str) -> None:
        """Show that something went well."""
        self.note(f"✓ {text}", "green")

    def python(self, code: str) -> None:
        """Show a config, coloured on a terminal."""
        if self._notes.is_terminal:
            syntax = Syntax(code, "python", theme="ansi_dark", background_color="default")
            self._say(Padding(syntax, (0, 0, 0, _INDENT)))
        else:
            self.note(code)

    def _say(self, text: Any) -> None:
        self._notes.print(text, soft_wrap=not self._notes.is_terminal)

    def result(self, table: Table, lines: Iterable[str]) -> None:
        """Print what the demonstration came to."""
        self._result.print()
        self._result.print(table, soft_wrap=False)
        for line in lines:
            self._result.print(Text(line))

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Turn a spinner during work of unknown length; nothing without a terminal."""
        if not self._notes.is_terminal:
            yield
            return
        with self._notes.status(text):
            yield

    @contextmanager
    def training(self, iterations: int) -> Iterator[Listener]:
        """Show how far training is: a bar on a terminal, else a line now and then."""
        if not self._notes.is_terminal:
            yield _PlainProgress(self, iterations)
            return
        columns = (
            TextColumn(f"{' ' * _INDENT}training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._notes) as progress:
            task = progress.add_task("training", total=iterations, loss="")
            yield lambda event: _advance(progress, task, event)


def _advance(progress: Progress, task: Any, event: Mapping[str, Any]) -> None:
    if event["event"] == "iteration":
        progress.update(task, completed=event["iteration"], loss=f"loss {event['loss']:.3f}")


class _PlainProgress:
    """A line at the first iteration, at the last, and every few seconds between."""

    def __init__(self, teller: Teller, iterations: int) -> None:
        self._teller = teller
        self._iterations = iterations
        self._last: Optional[float] = None

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] != "iteration":
            return
        now, iteration = time.monotonic(), event["iteration"]
        waited = self._last is None or now - self._last >= _PLAIN_EVERY
        if waited or iteration == self._iterations:
            self._last = now
            self._teller.note(f"iteration {iteration}/{self._iterations}  loss {event['loss']:.3f}")


def side_by_side(rows: Iterable[tuple[str, str, str]]) -> Table:
    """Lay out what happened before and after the patch."""
    table = Table(box=box.ROUNDED, show_lines=True, expand=True)
    table.add_column("", style="bold", ratio=2)
    table.add_column("before: as the tutorials have it", ratio=5)
    table.add_column("after: mmseg-fix patch", ratio=5)
    for what, before, after in rows:
        table.add_row(what, Text(before, style="red"), Text(after, style="green"))
    return table
