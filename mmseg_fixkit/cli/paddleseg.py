"""``mmseg-fix patch`` of a PaddleSeg config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import counted

#: What means something for PaddleSeg too, or is as it is where nothing is said.
_TAKEN = {"multilabel", "guards"}


def patch_if_paddleseg(
    config: str,
    labels: Optional[Sequence[str]],
    others: Mapping[str, Any],
    *,
    output: Optional[Path],
    in_place: bool,
    diff: bool,
    overwrite: bool,
) -> None:
    """Patch ``config`` and end the program, if it is one of PaddleSeg.

    Args:
        config: the file.
        labels: names of the classes or labels.
        others: the other options, of which a PaddleSeg config takes only ``multilabel``.
        output: the file to write.
        in_place: whether to write to ``config``.
        diff: whether to show the change only.
        overwrite: whether ``output`` may be replaced.

    Raises:
        FixkitError: see ``patch_paddleseg``; or an option means nothing for PaddleSeg.
    """
    from mmseg_fixkit.apis.paddleseg import patch_paddleseg
    from mmseg_fixkit.cli.output.text import patch_text
    from mmseg_fixkit.config.paddleseg import is_paddleseg

    if not is_paddleseg(config):
        return
    _check(others)
    # "No" is what an absent flag says, so that only "yes" is a wish.
    several = True if others.get("multilabel") else None
    planned = patch_paddleseg(config, None if labels is None else len(labels), multilabel=several)
    for text in planned.notes:
        console.note(text)
    if diff:
        console.diff(planned.diff())
        raise SystemExit(1 if planned.diff() or planned.left else 0)
    source = Path(config)
    target = source if in_place else output or source.with_name(f"{source.stem}_fixed.yml")
    if not planned.applied:
        closing = f"{config}: nothing to do."
    elif planned.write(target, overwrite=overwrite or in_place):
        changes = counted(len(planned.applied), "change")
        closing = f"wrote {target}: {changes}, proved by loading it again."
    else:
        closing = f"{target} is up to date."
    click.echo(f"{patch_text(planned, planned.left)}{closing}")
    raise SystemExit(1 if planned.left else 0)


def _check(others: Mapping[str, Any]) -> None:
    said = {name for name, value in others.items() if value not in (None, False)}
    odd = sorted(said - _TAKEN)
    if odd:
        option = odd[0] if odd[0].startswith("-") else f"--{odd[0].replace('_', '-')}"
        raise FixkitError(
            f"{option} is for MMSegmentation configs; a PaddleSeg config takes --classes, "
            "--num-classes, --multilabel, -o, --in-place, --diff and --overwrite"
        )
