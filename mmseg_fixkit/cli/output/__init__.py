"""Output formatters, called reporters as ``report`` is taken by what they print.

Their names are here, light enough for ``--help``; each is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from mmseg_fixkit.core.diagnostics import Report

#: ``--output-format`` -> the function of ``mmseg_fixkit.cli.output.<format>``.
REPORTERS = {
    "text": "text_report",
    "json": "json_report",
    "sarif": "sarif_report",
    "github": "github_report",
}


def reporter(output_format: str) -> Callable[[Sequence[Report], Sequence[str]], str]:
    """Return the function that writes reports in one of :data:`REPORTERS`.

    It takes the findings, and what to say of the configs that have no report. Text and JSON hold
    findings only: the rest is on stderr.
    """
    module = import_module(f"{__name__}.{output_format}")
    found: Callable[[Sequence[Report], Sequence[str]], str]
    found = getattr(module, REPORTERS[output_format])
    return found
