"""``mmseg-fix check``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import click

from mmseg_fixkit.cli import console
from mmseg_fixkit.cli.output import REPORTERS, reporter
from mmseg_fixkit.core.errors import FixkitError

if TYPE_CHECKING:
    from mmseg_fixkit.apis.check_files import CheckResult, CheckTarget, FixResult
    from mmseg_fixkit.core.diagnostics import Report

Codes = Optional[tuple[str, ...]]


@click.command()
@click.argument("configs", metavar="CONFIG...", nargs=-1, required=True)
@click.option("--select", metavar="CODES", help="Run only rules whose code begins so: MSF1,MSF201.")
@click.option("--ignore", metavar="CODES", help="Do not run rules whose code begins so.")
@click.option(
    "--output-format",
    type=click.Choice(tuple(REPORTERS)),
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
@click.option("--fix", is_flag=True, help="Repair what can be, in the files themselves.")
@click.option(
    "--unsafe-fixes",
    is_flag=True,
    help="With --fix or --diff: also make the fixes that change what is learned.",
)
@click.option("--diff", is_flag=True, help="Show what --fix would change, and write nothing.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 despite findings.")
def check(
    configs: tuple[str, ...],
    select: Optional[str],
    ignore: Optional[str],
    output_format: str,
    output_file: Optional[Path],
    jobs: Optional[int],
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    exit_zero: bool,
) -> None:
    """Find class faults in configs, and repair them.

    Holds heads, losses, datasets, palettes and label settings against each other. CONFIG is a
    config file, a folder, of which all configs of a model are checked, or a zoo name such as
    mmseg::pspnet/….py. The classes are those of each config's own training dataset. Nothing is
    written but the report, unless --fix is given. Each config is a Python program, which MMEngine
    runs to read it.

    --fix keeps comments and layout, and is proved by loading the file again before it is replaced.
    Only files that are named, or found in a folder, are changed: what one of them inherits from
    elsewhere is overridden in it.

    What [tool.mmseg-fixkit] in the nearest pyproject.toml selects and ignores holds where the
    options here do not say otherwise.
    """
    from mmseg_fixkit.cli.output.text import repairs_text, summary_text

    if unsafe_fixes and not (fix or diff):
        raise FixkitError("--unsafe-fixes needs --fix or --diff")
    if fix and diff:
        raise FixkitError("--fix writes and --diff only shows; give one of them")
    found, skipped, unread = _outcomes(configs, _codes(select), _codes(ignore), jobs)
    repaired = _repair(found, unsafe_fixes, fix) if fix or diff else []
    outcomes = [r.outcome for r in repaired] if repaired else [outcome for _, outcome in found]
    reports = [outcome.report for outcome in outcomes if outcome.report]
    errors = [*unread, *(outcome.error for outcome in outcomes if outcome.error)]
    result = reporter(output_format)(reports, errors)
    if diff:
        for each in repaired:
            console.diff(each.diff)
    elif output_file is None:
        click.echo(result, nl=False)
    else:
        from mmseg_fixkit.core.files import write_file

        write_file(output_file, result, option="--output-file")
    _print_notes(reports, errors)
    if repaired:
        click.echo(repairs_text(repaired, written=fix), nl=False, err=True)
    if output_format == "text" and reports and not diff:
        click.echo(summary_text(reports, len(errors), skipped), nl=False, err=True)
    changing = diff and any(each.diff for each in repaired)
    raise SystemExit(_exit_code(reports, errors, exit_zero, changing))


def _outcomes(
    configs: tuple[str, ...], select: Codes, ignore: Codes, jobs: Optional[int]
) -> tuple[list[tuple[CheckTarget, CheckResult]], int, tuple[str, ...]]:
    """Check what the arguments name.

    Returns what came of it, how many files were skipped, and what to say of unread folders.
    """
    from mmseg_fixkit.apis import check_files
    from mmseg_fixkit.core.settings import reasons_given

    found = check_files.find_targets(configs, select, ignore)
    for text in reasons_given(target.settings for target in found.targets):
        console.note(text)
    outcomes = list(_watched(check_files.check_all(found.targets, jobs), len(found.targets)))
    skipped = found.skipped + sum(outcome.skipped for outcome in outcomes)
    if all(outcome.skipped for outcome in outcomes) and not found.unread:
        raise check_files.nothing_checked(configs, skipped)
    return list(zip(found.targets, outcomes)), skipped, found.unread


def _repair(
    found: Sequence[tuple[CheckTarget, CheckResult]], unsafe: bool, write: bool
) -> Sequence[FixResult]:
    from mmseg_fixkit.apis.check_files import repair_all

    targets, outcomes = zip(*found)
    return repair_all(targets, outcomes, unsafe=unsafe, write=write)


def _codes(text: Optional[str]) -> Codes:
    return tuple(text.split(",")) if text else None


def _print_notes(reports: Sequence[Report], errors: Sequence[str]) -> None:
    """Print beside the result what there is to know of each config."""
    for text in (note for report in reports for note in report.notes):
        console.note(text)
    for text in errors:
        console.error(text)


def _exit_code(
    reports: Iterable[Report], errors: Sequence[str], exit_zero: bool, changing: bool
) -> int:
    if errors:
        return 2
    if exit_zero:
        return 0
    return 1 if changing else max(report.exit_code for report in reports)


def _watched(outcomes: Iterable[CheckResult], total: int) -> Iterator[CheckResult]:
    """Pass on the outcomes; on a terminal, work of more than a second gets a progress bar."""
    with console.progress_bar("Checking") as show:
        for done, outcome in enumerate(outcomes, 1):
            if show and done < total:
                show(done, total)
            yield outcome
