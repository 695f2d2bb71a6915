"""What the verbs share to print with."""

from __future__ import annotations

import os
import sys

import click


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
        console.print(Text(line, style=styles.get(line[:1], "")), soft_wrap=True)


def note(text: str) -> None:
    """Say something beside the result."""
    click.echo(f"note: {text}", err=True)


def error(text: str) -> None:
    """Say what went wrong with one of several inputs."""
    click.echo(f"mmseg-fix: error: {text}", err=True)
