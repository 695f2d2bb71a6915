"""The command ``mmseg-fix``: one module a verb, which reads options and calls the library."""

from __future__ import annotations

import sys

import click

from mmseg_fixkit import __version__
from mmseg_fixkit.cli import console
from mmseg_fixkit.cli.check import check
from mmseg_fixkit.cli.demo import demo
from mmseg_fixkit.cli.patch import patch
from mmseg_fixkit.cli.rule import rule
from mmseg_fixkit.errors import FixkitError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    "mmseg-fix",
    context_settings=CONTEXT,
    epilog="Exit codes: 0 nothing left to say, 1 findings remain, 2 wrong use or unreadable input. "
    "Configs are Python programs: MMEngine runs them when they are read. The modules that their "
    "custom_imports name are not imported by patch and check.",
)
@click.version_option(__version__, prog_name="mmseg-fix", message="%(prog)s %(version)s")
def app() -> None:
    """Find and repair class faults in MMSegmentation configs."""


for verb in (patch, check, rule, demo):
    app.add_command(verb)


def main() -> None:
    """Run the command; a fault of the input is one message and exit code 2."""
    try:
        app(prog_name="mmseg-fix")
    except FixkitError as error:
        console.error(str(error))
        sys.exit(2)
