"""Output formatters, called reporters as ``report`` is taken by what they print.

Each is imported when it is asked for: a check in text need not load the tables of SARIF.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Callable

from mmseg_fixkit.diagnostics import Report

#: The findings, and what to say of the configs that have no report. Text and JSON hold findings
#: only: the rest is on stderr.
Reporter = Callable[[Sequence[Report], Sequence[str]], str]

#: ``--output-format`` -> the function of ``mmseg_fixkit.reporters.<format>``.
REPORTERS = {
    "text": "text_report",
    "json": "json_report",
    "sarif": "sarif_report",
    "github": "github_report",
}


def reporter(output_format: str) -> Reporter:
    """Return the function that writes reports in one of :data:`REPORTERS`."""
    module = import_module(f"{__name__}.{output_format}")
    found: Reporter = getattr(module, REPORTERS[output_format])
    return found
