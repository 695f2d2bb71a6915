"""``mmseg-fix check``."""

from __future__ import annotations

from enum import Enum
from typing import List, Optional  # noqa: UP035 - typer evaluates these on Python 3.9

import typer

from mmseg_fixkit.errors import FixkitError


class OutputFormat(str, Enum):
    """How findings are printed."""

    text = "text"
    json = "json"


def check(
    configs: List[str] = typer.Argument(  # noqa: UP006
        ..., metavar="CONFIG...", help="Config files, or zoo names such as mmseg::pspnet/….py."
    ),
    select: Optional[str] = typer.Option(
        None, metavar="CODES", help="Run only rules whose code begins so, e.g. MSF1,MSF201."
    ),
    ignore: Optional[str] = typer.Option(
        None, metavar="CODES", help="Do not run rules whose code begins so."
    ),
    output_format: OutputFormat = typer.Option(OutputFormat.text, help="How to print findings."),
    exit_zero: bool = typer.Option(False, "--exit-zero", help="Exit with 0 despite findings."),
) -> None:
    """Find class faults: heads, losses, datasets, palettes and labels that do not agree.

    The classes are those of each config's own training dataset. Nothing is written. Each config is
    a Python program, which MMEngine runs to read it.
    """
    from mmseg_fixkit.api import check as check_config
    from mmseg_fixkit.reporters import json_report, report_text, summary_text

    reports, failed = [], 0
    for config in configs:
        try:
            report = check_config(config, select=_codes(select), ignore=_codes(ignore))
        except FixkitError as error:
            typer.echo(f"mmseg-fix: error: {error}", err=True)
            failed += 1
            continue
        reports.append(report)
        for note in report.notes:
            typer.echo(f"note: {note}", err=True)
        if output_format is OutputFormat.text:
            typer.echo(report_text(report), nl=False)
    if output_format is OutputFormat.json:
        typer.echo(json_report(reports), nl=False)
    elif reports:
        typer.echo(summary_text(reports, failed), nl=False, err=True)
    if failed:
        raise typer.Exit(2)
    raise typer.Exit(0 if exit_zero else max(r.exit_code for r in reports))


def _codes(text: Optional[str]) -> Optional[list[str]]:
    return text.split(",") if text else None
