"""Annotations of a pull request: workflow commands that GitHub Actions reads from the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmseg_fixkit.cli.output.text import message_text, shown_path
from mmseg_fixkit.core.diagnostics import Diagnostic, Report
from mmseg_fixkit.core.text import printable

#: What the runner decodes in a message, and in a property, where ``:`` and ``,`` end it too.
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def github_report(reports: Iterable[Report], errors: Iterable[str] = ()) -> str:
    """Return one workflow command for each finding, then for each config that has no report."""
    findings = [_annotation(report, d) for report in reports for d in report.diagnostics]
    failures = [_command("error", {"title": "mmseg-fix check"}, text) for text in errors]
    return "".join(f"{line}\n" for line in (*findings, *failures))


def _annotation(report: Report, diagnostic: Diagnostic) -> str:
    place = diagnostic.location
    properties = {
        "file": Path(shown_path(place.file)).as_posix() if place else None,
        "line": place.line if place else None,
        "col": place.column if place else None,
        "title": f"{diagnostic.code} {diagnostic.name}",
    }
    return _command(str(diagnostic.severity), properties, message_text(report, diagnostic))


def _command(name: str, properties: Mapping[str, Any], message: str) -> str:
    given = {key: value for key, value in properties.items() if value is not None}
    listed = ",".join(f"{key}={str(v).translate(_PROPERTY)}" for key, v in given.items())
    return printable(f"::{name} {listed}::{message.translate(_DATA)}")
