"""JSON for programs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Optional

from mmseg_fixkit.core.diagnostics import Diagnostic, Fix, Report, format_key

_UNUSUAL = re.compile(r"[^\n\x20-\x7e]")


def json_report(reports: Iterable[Report], errors: Iterable[str] = ()) -> str:
    """Return a JSON list of the findings of all reports."""
    records = [record(report, d) for report in reports for d in report.diagnostics]
    return json_text(records)


def json_text(value: Any) -> str:
    """Write ``value`` as JSON that every program reads, whatever a config holds."""
    text = json.dumps(_jsonable(value), indent=2, ensure_ascii=False, allow_nan=False)
    # Bytes of names that are no UTF-8, and all that a terminal might obey, stand escaped.
    return f"{_UNUSUAL.sub(_escaped, text)}\n"


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def _jsonable(value: Any) -> Any:
    """Replace what JSON does not have: other keys than texts, nan and inf, objects."""
    if isinstance(value, dict):
        return {str(key): _jsonable(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(child) for child in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def record(report: Report, diagnostic: Diagnostic) -> dict[str, Any]:
    """Return a finding as JSON has it."""
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
