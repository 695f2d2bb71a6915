"""Tables and lines laid out by rich, as text: for a terminal, a pipe and a file alike."""

from __future__ import annotations

import io
from typing import Union

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.containers import Lines
from rich.table import Column, Table
from rich.text import Text

from mmseg_fixkit.core.text import printable


def console_for(width: int, color: bool = False) -> Console:
    """Return a console to lay out with: what the environment says of terminals does not count."""
    return Console(
        file=io.StringIO(),
        width=width,
        height=100,  # both given: rich looks at no terminal
        color_system="256" if color else None,
        force_terminal=color,
        force_jupyter=False,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def table(*columns: Column, gap: int = 2, expand: bool = False) -> Table:
    """Return an empty table without lines; it has a head if its columns have."""
    heads = any(str(column.header) for column in columns)
    padding = (0, gap, 0, 0)
    return Table(
        *columns, box=None, show_header=heads, header_style="dim", pad_edge=False, padding=padding,
        expand=expand,
    )  # fmt: skip


def column(
    header: Union[str, Text] = "", *, right: bool = False, most: int = 0, rest: bool = False
) -> Column:
    """Return a column whose cells are one line.

    What is longer than ``most`` cells is cut; with ``rest`` it takes the room that others leave.
    """
    return Column(
        cell(header) if isinstance(header, str) else header,
        vertical="bottom" if header else "top",
        justify="right" if right else "left",
        no_wrap=True,
        overflow="ellipsis",
        max_width=most or None,
        ratio=1 if rest else None,
    )


def cell(text: str, style: str = "") -> Text:
    """Return text that cannot write to the terminal."""
    return Text(printable(text), style)


def lines_of(console: Console, what: RenderableType) -> list[str]:
    """Return the lines of something that rich lays out."""
    with console.capture() as captured:
        console.print(what)
    return [line.rstrip() for line in captured.get().rstrip("\n").split("\n")]


def one_line(console: Console, text: str, style: str = "") -> str:
    """Return text as one line, cut where it is longer."""
    whole = cell(text, style)
    whole.truncate(console.width, overflow="ellipsis")
    return lines_of(console, whole)[0]


def clipped(lines: Lines, width: int, most: int) -> Text:
    """Return the first lines of a wrapped text; an ellipsis stands for the others."""
    shown = list(lines)[:most]
    if len(lines) > most:
        last = shown[-1].plain.rstrip()
        whole_words, _, _ = last.rpartition(" ")
        shown[-1] = Text(last if cell_len(last) <= width - 2 else whole_words or last)
        shown[-1].truncate(width - 2)
        shown[-1].append(" …")
    return Text("\n").join(shown)
