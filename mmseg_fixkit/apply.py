"""A rendered config -> a file: proved by loading it, written atomically."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable

from mmseg_fixkit.atomic import beside
from mmseg_fixkit.diagnostics import format_key
from mmseg_fixkit.dialect import comparable
from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.load import load
from mmseg_fixkit.overlay import Rendered
from mmseg_fixkit.plan import FixPlan
from mmseg_fixkit.tree import differences


def write_proved(
    rendered: Rendered,
    output: Path,
    replan: Callable[[ConfigDocument], FixPlan],
    *,
    overwrite: bool = False,
) -> bool:
    """Write the file if loading it gives what was planned, and planning again gives nothing.

    The proof runs on a temporary file in the same folder, which then takes the place of
    ``output`` in one step.

    Args:
        rendered: what to write.
        output: where.
        replan: plans for a loaded config what the first plan was made for.
        overwrite: whether an existing file may be replaced.

    Returns:
        False where the file is there already with exactly this text.

    Raises:
        FixkitError: the file exists with another text, cannot be written, or the proof fails.
            Nothing is written then.
    """
    if output.is_file() and output.read_bytes() == rendered.text.encode():
        return False
    if output.exists() and not overwrite:
        raise FixkitError(f"{output} exists already; give --overwrite to replace it, or another -o")
    if not output.parent.is_dir():
        raise FixkitError(f"{output} cannot be written: there is no folder {output.parent}")
    try:
        with beside(output, rendered.text.encode()) as temporary:
            _prove(rendered, temporary, output, replan)
            os.replace(temporary, output)
    except OSError as error:
        raise FixkitError(
            f"{output} cannot be written: {error.strerror} in {output.parent}"
        ) from None
    return True


def _prove(
    rendered: Rendered, file: Path, output: Path, replan: Callable[[ConfigDocument], FixPlan]
) -> None:
    loaded = load(file)
    expected = comparable(rendered.expected, loaded.new_style)
    wrong = next(differences(expected, comparable(loaded.tree, loaded.new_style)), None)
    if wrong is not None:
        key, planned, found = wrong
        raise FixkitError(
            f"{output} was not written: loaded again, {format_key(key)} is {found!r}, but the plan "
            f"has {planned!r}. Please report this with the config"
        )
    again = replan(loaded)
    if not again.empty:
        raise FixkitError(
            f"{output} was not written: a second run would still change "
            f"{format_key(again.applied[0].key)}. Please report this with the config"
        )
