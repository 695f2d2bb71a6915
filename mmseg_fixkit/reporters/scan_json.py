"""A scan as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable

from mmseg_fixkit.diagnostics import Diagnostic, Report
from mmseg_fixkit.label_files.stats import LabelStats, stats_to_json
from mmseg_fixkit.reporters.json import json_text, record


def scan_json(stats: LabelStats, diagnostics: Iterable[Diagnostic]) -> str:
    """Return what ``--save`` writes, and the findings, each as ``check`` has them."""
    report = Report(stats.source, None, ())
    found = [record(report, diagnostic) for diagnostic in diagnostics]
    return json_text({**stats_to_json(stats), "findings": found})
