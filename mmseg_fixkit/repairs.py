"""What was found in configs -> their files repaired in place, bases first."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mmseg_fixkit.apis.patch import Patch, repair
from mmseg_fixkit.diagnostics import Applicability, Report
from mmseg_fixkit.document import resolve_base
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.load import find_config
from mmseg_fixkit.many import CheckResult, CheckTarget, check_one
from mmseg_fixkit.plan import may_apply
from mmseg_fixkit.source import ConfigSource


@dataclass(frozen=True)
class FixResult:
    """What came of one config.

    Args:
        outcome: what is found in it now.
        changes: how many findings are repaired.
        diff: the change of its text, where it was only asked for.
    """

    outcome: CheckResult
    changes: int = 0
    diff: str = ""


def repair_all(
    targets: Sequence[CheckTarget], outcomes: Iterable[CheckResult], *, unsafe: bool, write: bool
) -> list[FixResult]:
    """Repair what was found, and return what became of each config, in their order.

    A config that another one inherits from comes first: what is repaired there needs no repair
    below.

    Args:
        targets: see :func:`~mmseg_fixkit.many.find_targets`.
        outcomes: of checking them.
        unsafe: whether fixes that change what is learned are made too.
        write: whether files are written; else the change is only shown.
    """
    minimum = Applicability.UNSAFE if unsafe else Applicability.SAFE
    results = [FixResult(outcome) for outcome in outcomes]
    faulty = [i for i, r in enumerate(results) if _repairable(r.outcome.report, minimum)]
    for index in sorted(faulty, key=lambda i: _depth(targets[i].config)):
        results[index] = _repaired(targets[index], unsafe, write)
    return results


def _repairable(report: Report | None, minimum: Applicability) -> bool:
    return report is not None and any(may_apply(d, minimum) for d in report.diagnostics)


def _repaired(target: CheckTarget, unsafe: bool, write: bool) -> FixResult:
    settings = target.settings
    try:
        with redirect_stdout(sys.stderr):  # configs are programs, and may print
            planned = repair(
                target.config, select=settings.select, ignore=settings.ignore, unsafe=unsafe
            )
            if not write:
                return _shown(target, planned)
            planned.write_in_place()
    except FixkitError as error:
        return FixResult(CheckResult(target.config, error=str(error)))
    return FixResult(check_one(target), len(planned.plan.applied))


def _shown(target: CheckTarget, planned: Patch) -> FixResult:
    left = Report(target.config, planned.labels, planned.plan.remaining, planned.notes)
    diff = planned.text_diff()
    return FixResult(CheckResult(target.config, left), len(planned.plan.applied), diff)


def _depth(config: str) -> int:
    return _file_depth(find_config(config).resolve())


@cache
def _file_depth(path: Path) -> int:
    """Return how many files stand above ``path`` in the longest line that it inherits from."""
    return max(_depths(ConfigSource(path, resolve_base)), default=0)


def _depths(source: ConfigSource) -> Iterator[int]:
    for base in source.bases:
        yield 1 + max(_depths(base), default=0)
