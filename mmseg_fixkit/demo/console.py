"""What the demonstration prints: progress to stderr, the outcome to stdout."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from textwrap import indent
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from mmseg_fixkit.core.files import is_file
from mmseg_fixkit.demo.worker import Listener

_INDENT = 6
_WIDTH = 100  # of the table where there is no terminal to ask
_PLAIN_EVERY = 10  # seconds between lines of progress where there is no terminal


class DemoConsole:
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
        self._print(Text(f"[{self._step}/{self._steps}] {text}", style="bold"))

    def note(self, text: str, style: str = "") -> None:
        """Add something to the step."""
        self._print_indented(Text(text, style=style), text)

    def python(self, code: str) -> None:
        """Show a config, coloured on a terminal."""
        self._print_indented(
            Syntax(code, "python", theme="ansi_dark", background_color="default"), code
        )

    def _print_indented(self, content: Any, plain: str) -> None:
        if self._notes.is_terminal:
            self._print(Padding(content, (0, 0, 0, _INDENT)))
        else:
            self._print(Text(indent(plain, " " * _INDENT)))

    def _print(self, content: Any) -> None:
        self._notes.print(content, soft_wrap=not self._notes.is_terminal)

    def result(self, table: Table, files: dict[Path, str], commands: dict[str, str]) -> None:
        """Print what the demonstration came to, which files it wrote, and what to try next."""
        self._result.print()
        self._result.print(table, soft_wrap=False)
        self._print_columns((str(file), content) for file, content in files.items())
        self._result.print("\nTo try next:")
        self._print_columns((f"  {_command()} {c}", f"# {why}") for c, why in commands.items())

    def _print_columns(self, rows: Iterable[tuple[str, str]]) -> None:
        # No table of rich: it would fold paths and commands, which are there to be copied.
        rows = list(rows)
        width = max(len(first) for first, _ in rows)
        for first, second in rows:
            self._result.print(Text(f"{first:{width}}  {second}"))

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
            yield self._plain_progress(iterations)
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
            yield lambda i, loss: progress.update(task, completed=i, loss=f"loss {loss:.3f}")

    def _plain_progress(self, iterations: int) -> Listener:
        """Print a line at the first iteration, at the last, and every few seconds between."""
        due = 0.0

        def listen(iteration: int, loss: float) -> None:
            nonlocal due
            if iteration == iterations or time.monotonic() >= due:
                due = time.monotonic() + _PLAIN_EVERY
                self.note(f"iteration {iteration}/{iterations}  loss {loss:.3f}")

        return listen


def _command() -> str:
    """Return what to type for our command; `make demo` needs no activated environment."""
    own = Path(sys.executable).with_name("mmseg-fix")
    if which(own.name) or not is_file(own):
        return own.name
    return os.path.relpath(own)
