"""``mmseg-fix check``."""

from __future__ import annotations

from typing import Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.errors import FixkitError


@click.command
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True)
@click.option("--select", metavar="CODES", help="Run only rules whose code begins so: MSF1,MSF201.")
@click.option("--ignore", metavar="CODES", help="Do not run rules whose code begins so.")
@click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print findings.",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 despite findings.")
def check(
    configs: tuple[str, ...],
    select: Optional[str],
    ignore: Optional[str],
    output_format: str,
    exit_zero: bool,
) -> None:
    """Find class faults in configs.

    Holds heads, losses, datasets, palettes and label settings against each other. CONFIG is a
    config file, or a zoo name such as mmseg::pspnet/….py. The classes are those of each config's
    own training dataset. Nothing is written. Each config is a Python program, which MMEngine runs
    to read it.
    """
    from mmseg_fixkit.api import check as check_config
    from mmseg_fixkit.reporters import json_report, report_text, summary_text

    reports, failed = [], 0
    for config in configs:
        try:
            report = check_config(config, select=_codes(select), ignore=_codes(ignore))
        except FixkitError as error:
            console.error(str(error))
            failed += 1
            continue
        reports.append(report)
        for text in report.notes:
            console.note(text)
        if output_format == "text":
            click.echo(report_text(report), nl=False)
    if output_format == "json":
        click.echo(json_report(reports), nl=False)
    elif reports:
        click.echo(summary_text(reports, failed), nl=False, err=True)
    if failed:
        raise SystemExit(2)
    raise SystemExit(0 if exit_zero else max(r.exit_code for r in reports))


def _codes(text: Optional[str]) -> Optional[list[str]]:
    return text.split(",") if text else None
