"""A scan as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable

from mmseg_fixkit.cli.output.json import json_text, record
from mmseg_fixkit.core.diagnostics import Diagnostic, Report
from mmseg_fixkit.datasets.stats import LabelStats, stats_to_json


def scan_json(stats: LabelStats, diagnostics: Iterable[Diagnostic]) -> str:
    """Return what ``--save`` writes, and the findings, each as ``check`` has them."""
    report = Report(stats.source, None, ())
    found = [record(report, diagnostic) for diagnostic in diagnostics]
    return json_text({**stats_to_json(stats), "findings": found})
