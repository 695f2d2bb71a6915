"""``mmseg-fix explain``."""

from __future__ import annotations

import io
import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import exists, is_folder, modified

#: How each part of an explanation looks on a terminal.
_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "evidence": {"fg": "yellow"},
    "word": {"fg": "cyan"},
    "command": {"bold": True},
}
_NARROWEST, _WIDEST = 40, 100


@click.command()
@click.argument("text", metavar="[TEXT | LOG | -]", nargs=-1)
@click.option(
    "--file",
    "log",
    metavar="LOG",
    type=click.Path(path_type=Path),
    help="A log to read, whatever its name looks like.",
)
@click.option(
    "--config",
    metavar="CONFIG",
    help="The config of the run; says which of several causes with the same text it has.",
)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print the explanations.",
)
def explain(
    text: tuple[str, ...], log: Optional[Path], config: Optional[str], output_format: str
) -> None:
    """Say what an error, a log or a table of results means.

    TEXT is an error message, LOG a file with a whole log; - or nothing reads what is piped in.
    Says what happened, why, how to be sure, and what to run next. Several faults come in the order
    of cause. Line breaks, colours, timestamps and prefixes do not matter, nor does size.

    Result tables of an evaluation are read too: what nan and 0.0 in them mean.

    Exit codes: 0 explained, 1 nothing known is in the text, 2 wrong use.
    """
    from mmseg_fixkit.apis.explain.explain import explain as explained_of
    from mmseg_fixkit.cli.output.explain import as_json, explain_text, plain, unknown_text

    with ExitStack() as stack:
        explained = explained_of(_input(text, log, stack), config)
    if output_format == "json":
        from mmseg_fixkit.cli.output.json import json_text

        click.echo(json_text(as_json(explained)), nl=False)
    elif explained:
        click.echo(
            explain_text(explained, _width(), _marked if console.has_colors() else plain), nl=False
        )
    if not explained:
        click.echo(unknown_text(_width()), nl=False, err=True)
    raise SystemExit(0 if explained else 1)


def _input(text: tuple[str, ...], log: Optional[Path], stack: ExitStack) -> BinaryIO:
    """Return what to read; FixkitError if nothing is given, too much, or a file is unreadable."""
    if log is not None:
        if text:
            raise FixkitError("give a text or --file LOG, not both")
        return stack.enter_context(_opened(log))
    if text in ((), ("-",)):
        return _piped(asked=bool(text))
    joined = " ".join(text)
    if len(text) == 1 and _names_a_file(joined):
        return stack.enter_context(_opened(Path(joined)))
    return io.BytesIO(joined.encode("utf-8", "replace"))


def _piped(*, asked: bool) -> BinaryIO:
    if sys.stdin.isatty() and not asked:
        raise FixkitError(
            "there is nothing to explain; give a text or a log, or pipe one in: "
            "`python tools/train.py cfg.py 2>&1 | mmseg-fix explain`"
        )
    return sys.stdin.buffer


def _names_a_file(text: str) -> bool:
    """Whether a single word is a path: it exists, or it looks like the name of a log."""
    if "\n" in text or len(text) > 1000:
        return False
    looks = re.fullmatch(r"\S+\.(?:log|txt|json|out|err)", text) is not None
    return looks or exists(text)


def _opened(path: Path) -> BinaryIO:
    if is_folder(path):
        logs = sorted(path.rglob("*.log"), key=modified)
        there = f"; the newest log in it is {logs[-1]}" if logs else ", and there is no log in it"
        raise FixkitError(f"{path} is a folder{there}")
    try:
        return path.open("rb")
    except OSError as error:
        raise FixkitError(f"{path} cannot be read: {error.strerror}") from None


def _width() -> int:
    columns = shutil.get_terminal_size((_WIDEST, 24)).columns
    return max(_NARROWEST, min(columns, _WIDEST))


def _marked(text: str, kind: str) -> str:
    return click.style(text, **_STYLES[kind])
