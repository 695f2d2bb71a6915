"""A rendered config -> a file: proved by loading it, then written in one step."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.lazy_import import comparable
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.overlay import Rendered
from mmseg_fixkit.config.plan import FixPlan
from mmseg_fixkit.config.tree import differences
from mmseg_fixkit.core.diagnostics import format_key
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import check_target, holds, temporary_next_to, write_file, writing


def write_proved(
    rendered: Rendered,
    output: Path,
    replan: Callable[[ConfigDocument], FixPlan],
    *,
    overwrite: bool = False,
) -> bool:
    """Write the file if loading it gives what was planned, and planning again gives nothing.

    The proof runs on a temporary file in the folder of ``output``: where that is a link into
    another folder, the folder of the link, which MMEngine resolves ``_base_`` from.

    Returns:
        False where the file is there already with exactly this text.

    Raises:
        FixkitError: the file exists with another text, cannot be written, or the proof fails.
            Nothing is written then.
    """
    content = rendered.text.encode()
    if holds(output, content):
        return False
    check_target(output, overwrite=overwrite)
    with writing(output), temporary_next_to(output, content) as temporary:
        _prove(rendered, temporary, output, replan)
    write_file(output, content, overwrite=overwrite)
    return True


def _prove(
    rendered: Rendered, file: Path, output: Path, replan: Callable[[ConfigDocument], FixPlan]
) -> None:
    loaded = load(file)
    expected = comparable(rendered.expected, loaded.new_style)
    wrong = next(differences(expected, comparable(loaded.loaded, loaded.new_style)), None)
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
