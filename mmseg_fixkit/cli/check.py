"""``mmseg-fix check``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Optional

import click

from mmseg_fixkit.cli import console

if TYPE_CHECKING:
    from mmseg_fixkit.diagnostics import Report
    from mmseg_fixkit.many import Outcome

Codes = Optional[tuple[str, ...]]

#: Those of ``reporters.REPORTERS``, which is too much to load for ``--help``.
FORMATS = ("text", "json", "sarif", "github")

#: What shells report of a program that Ctrl-C ended.
INTERRUPTED = 130


@click.command
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True)
@click.option("--select", metavar="CODES", help="Run only rules whose code begins so: MSF1,MSF201.")
@click.option("--ignore", metavar="CODES", help="Do not run rules whose code begins so.")
@click.option(
    "--output-format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How to print findings.",
)
@click.option(
    "--output-file",
    metavar="F",
    type=click.Path(path_type=Path),
    help="Write them to this file, which is replaced if it is there.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many processes (default: 1, and one for each core from 41 configs on).",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 despite findings.")
def check(
    configs: tuple[str, ...],
    select: Optional[str],
    ignore: Optional[str],
    output_format: str,
    output_file: Optional[Path],
    jobs: Optional[int],
    exit_zero: bool,
) -> None:
    """Find class faults in configs.

    Holds heads, losses, datasets, palettes and label settings against each other. CONFIG is a
    config file, a folder, of which all configs of a model are checked, or a zoo name such as
    mmseg::pspnet/….py. The classes are those of each config's own training dataset. Nothing is
    written but the report. Each config is a Python program, which MMEngine runs to read it.

    What [tool.mmseg-fixkit] in the nearest pyproject.toml selects and ignores holds where the
    options here do not say otherwise.
    """
    from mmseg_fixkit.reporters import REPORTERS, summary_text, write_report

    outcomes, skipped = _outcomes(configs, _codes(select), _codes(ignore), jobs)
    reports = [outcome.report for outcome in outcomes if outcome.report]
    errors = [outcome.error for outcome in outcomes if outcome.error]
    result = REPORTERS[output_format](reports, errors)
    if output_file is None:
        click.echo(result, nl=False)
    else:
        write_report(result, output_file)
    _say(reports, errors)
    if output_format == "text" and reports:
        click.echo(summary_text(reports, len(errors), skipped), nl=False, err=True)
    raise SystemExit(_exit_code(reports, errors, exit_zero))


def _outcomes(
    configs: tuple[str, ...], select: Codes, ignore: Codes, jobs: Optional[int]
) -> tuple[list[Outcome], int]:
    """Check what the arguments name; return what came of it, and how many files were skipped."""
    from mmseg_fixkit import many
    from mmseg_fixkit.settings import reasons_given

    try:
        found = many.find_targets(configs, select, ignore)
        for text in reasons_given(target.settings for target in found.targets):
            console.note(text)
        outcomes = list(_watched(many.check_all(found.targets, jobs), len(found.targets)))
    except KeyboardInterrupt:
        console.error("stopped by Ctrl-C, so nothing is reported")
        raise SystemExit(INTERRUPTED) from None
    skipped = found.skipped + sum(outcome.skipped for outcome in outcomes)
    if all(outcome.skipped for outcome in outcomes):
        raise many.nothing_checked(configs, skipped)
    return outcomes, skipped


def _codes(text: Optional[str]) -> Codes:
    return tuple(text.split(",")) if text else None


def _say(reports: Sequence[Report], errors: Sequence[str]) -> None:
    """Say beside the result what there is to know of each config."""
    for text in (note for report in reports for note in report.notes):
        console.note(text)
    for text in errors:
        console.error(text)


def _exit_code(reports: Iterable[Report], errors: Sequence[str], exit_zero: bool) -> int:
    if errors:
        return 2
    return 0 if exit_zero else max(report.exit_code for report in reports)


def _watched(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    """Pass on the outcomes; on a terminal, work of more than a second gets a progress bar."""
    if not sys.stderr.isatty():
        yield from outcomes
        return
    began = monotonic()
    for done, outcome in enumerate(outcomes, 1):
        yield outcome
        if monotonic() - began > 1 and done < total:
            yield from _with_bar(outcomes, done, total)


def _with_bar(outcomes: Iterator[Outcome], done: int, total: int) -> Iterator[Outcome]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("Checking", total=total, completed=done)
        for outcome in outcomes:
            bar.advance(task)
            yield outcome
