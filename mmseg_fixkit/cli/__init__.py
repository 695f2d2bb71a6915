"""The command ``mmseg-fix``: one module a verb, which reads options and calls the library."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import Optional

import click

from mmseg_fixkit import __version__
from mmseg_fixkit.cli import process
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import printable

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

#: Each is a module here, with a command of the same name (``_`` for ``-``), imported when called.
VERBS = (
    "patch",
    "check",
    "scan",
    "weights",
    "adapt",
    "preflight",
    "export",
    "convert-labels",
    "explain",
    "rule",
    "demo",
)


class Verbs(click.Group):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which people need them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Optional[click.Command]:
        """Import the module of a verb; None if there is no such verb."""
        if cmd_name not in VERBS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"{__name__}.{name}"), name)
        return command


@click.group(
    "mmseg-fix",
    cls=Verbs,
    context_settings=CONTEXT,
    epilog="Exit codes: 0 nothing left to say, 1 findings remain, 2 wrong use or unreadable input. "
    "Configs are Python programs: MMEngine runs them when they are read. The modules that their "
    "custom_imports name are not imported by patch and check; adapt builds the model, and imports "
    "them.",
)
@click.version_option(__version__, prog_name="mmseg-fix", message="%(prog)s %(version)s")
def app() -> None:
    """Find and repair class faults in MMSegmentation configs."""


def main() -> None:
    """Run the command; whatever keeps it from its result is one message and exit code 2."""
    # Imports and configs make many objects and few cycles: looking for those as often as Python
    # does by default takes a tenth of a short run.
    gc.set_threshold(100_000, 20, 20)
    sys.exit(process.run(_call))


def _call() -> int:
    """Read the arguments and call the verb; return what click has for an exit code.

    Its own ``main`` would end with 1, the code for findings, where Ctrl-C or a pipe stops it.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise FixkitError("the current folder is gone; change to one that is there") from None
    try:
        with app.make_context("mmseg-fix", sys.argv[1:]) as context:
            app.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        vars(error)["message"] = printable(error.message)
        error.show()
        return error.exit_code
    return 0
