"""JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Optional

from mmseg_fixkit.diagnostics import Diagnostic, Fix, Report, format_key


def json_report(reports: Iterable[Report]) -> str:
    """Return a JSON list of the findings of all reports."""
    records = [_record(report, d) for report in reports for d in report.diagnostics]
    return json.dumps(records, indent=2, ensure_ascii=False, default=str) + "\n"


def _record(report: Report, diagnostic: Diagnostic) -> dict[str, Any]:
    place = diagnostic.location
    return {
        "config": report.config,
        "code": diagnostic.code,
        "name": diagnostic.name,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "key": format_key(diagnostic.key),
        "found": diagnostic.found,
        "expected": diagnostic.expected,
        "fix": _fix(diagnostic.fix),
    }


def _fix(fix: Optional[Fix]) -> Optional[dict[str, Any]]:
    if fix is None:
        return None
    edits = [{"key": format_key(e.key), "kind": e.kind.value, "value": e.value} for e in fix.edits]
    return {"title": fix.title, "applicability": fix.applicability.name.lower(), "edits": edits}
