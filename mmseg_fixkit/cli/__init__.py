"""The command ``mmseg-fix``: one module a verb, which reads options and calls the library."""

from __future__ import annotations

import sys

import typer

from mmseg_fixkit import __version__
from mmseg_fixkit.cli.check import check

# from mmseg_fixkit.cli.demo import demo
from mmseg_fixkit.cli.patch import patch
from mmseg_fixkit.cli.rule import rule
from mmseg_fixkit.errors import FixkitError

app = typer.Typer(
    name="mmseg-fix",
    help="Finds and repairs class faults in MMSegmentation configs. Exit codes: 0 nothing left to "
    "say, 1 findings remain, 2 wrong use or unreadable input. Configs are Python programs and are "
    "run by MMEngine when they are read; modules named in their custom_imports are not imported.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mmseg-fix {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Options of the command itself."""


for verb in (patch, check, rule):
    app.command(verb.__name__)(verb)


def main() -> None:
    """Run the command; a fault of the input is one message and exit code 2."""
    try:
        app()
    except FixkitError as error:
        typer.echo(f"mmseg-fix: error: {error}", err=True)
        sys.exit(2)
