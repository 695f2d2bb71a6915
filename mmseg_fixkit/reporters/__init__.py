"""Output formatters, called reporters as ``report`` is taken by what they print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from mmseg_fixkit.diagnostics import Report
from mmseg_fixkit.reporters.github import github_report
from mmseg_fixkit.reporters.json import json_report
from mmseg_fixkit.reporters.output import write_report
from mmseg_fixkit.reporters.sarif import sarif_report
from mmseg_fixkit.reporters.text import patch_text, report_text, summary_text

#: ``--output-format`` -> the findings, and what to say of the configs that have no report. Text
#: and JSON hold findings only: the rest is on stderr.
REPORTERS: dict[str, Callable[[Sequence[Report], Sequence[str]], str]] = {
    "text": lambda reports, errors: "".join(
        report_text(report, one_of_many=len(reports) > 1) for report in reports
    ),
    "json": lambda reports, errors: json_report(reports),
    "sarif": sarif_report,
    "github": github_report,
}

__all__ = [
    "REPORTERS",
    "github_report",
    "json_report",
    "patch_text",
    "report_text",
    "sarif_report",
    "summary_text",
    "write_report",
]
