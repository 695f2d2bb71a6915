"""What the verbs share to print with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Callable, Optional

import click

from mmseg_fixkit.core.text import printable, printable_lines

#: Draws how much is done, and of how much if that is known by then.
Progress = Callable[..., None]

#: What a bar is drawn for, in seconds.
_LONG = 1.0


def has_colors() -> bool:
    """Whether stdout shows colours, and they are wanted (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def markdown(text: str) -> None:
    """Print Markdown: laid out on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(no_color=not has_colors())
    console.width = min(console.width, 100)
    console.print(Markdown(text))


def diff(text: str) -> None:
    """Print a unified diff: coloured on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.console import Console
    from rich.text import Text

    styles = {"+": "green", "-": "red", "@": "cyan"}
    console = Console(highlight=False, no_color=not has_colors())
    for line in text.splitlines():
        console.print(Text(printable(line), style=styles.get(line[:1], "")), soft_wrap=True)


def note(text: str) -> None:
    """Print something beside the result."""
    click.echo(f"note: {printable(text)}", err=True)


def error(text: str, *, lines: bool = False) -> None:
    """Print what is wrong, as one line; ``lines`` of a ``FixkitError``, which may have some."""
    shown = printable_lines(text) if lines else printable(text)
    click.echo(f"mmseg-fix: error: {shown}", err=True)


def lines(text: str) -> None:
    """Print lines of the result."""
    click.echo(printable_lines(text))


@contextmanager
def progress_bar(word: str, count: Callable[[], int] = lambda: 0) -> Iterator[Optional[Progress]]:
    """Yield what draws a progress bar: on a terminal, for work of more than a second.

    It is called with what is done, and with how much there is where ``count`` does not say that.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn(word),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
    began = monotonic()
    tasks: list[Any] = []

    def show(done: int, total: Optional[int] = None) -> None:
        if not tasks and monotonic() - began > _LONG:
            tasks.append(bar.add_task(word, total=count() if total is None else total))
            bar.start()
        if tasks:
            bar.update(tasks[0], completed=done)

    try:
        yield show
    finally:
        if tasks:
            bar.stop()
