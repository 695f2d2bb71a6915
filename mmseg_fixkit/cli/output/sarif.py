"""SARIF 2.1.0: for GitHub's code scanning and for editors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from mmseg_fixkit import __version__
from mmseg_fixkit.cli.output.json import json_text
from mmseg_fixkit.cli.output.text import message_text
from mmseg_fixkit.core.diagnostics import Diagnostic, Location, Report, Severity, format_key
from mmseg_fixkit.core.rule import HEADINGS, Rule
from mmseg_fixkit.rules import all_rules

TOOL = "mmseg-fixkit"
VERSION = "2.1.0"
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif_report(reports: Iterable[Report], errors: Sequence[str] = ()) -> str:
    """Return a SARIF log of one run; ``errors`` say why a config has no report."""
    found = [(report, d) for report in reports for d in report.diagnostics]
    descriptors = _descriptors([d for _, d in found])
    order = {descriptor["id"]: index for index, descriptor in enumerate(descriptors)}
    run = {
        "tool": {"driver": {**_driver(), "rules": descriptors}},
        "invocations": [_invocation(errors)],
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, d, order[d.code]) for report, d in found],
    }
    return json_text({"$schema": SCHEMA, "version": VERSION, "runs": [run]})


def _driver() -> dict[str, Any]:
    driver = {"name": TOOL, "version": __version__, "semanticVersion": __version__}
    home = _home_page()
    return {**driver, "informationUri": home} if home else driver


def _home_page() -> Optional[str]:
    """Return the address that the installed package gives as its home; None if it gives none."""
    from importlib import metadata

    try:
        urls = metadata.metadata(TOOL).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from a checkout
        return None
    named = dict(url.split(", ", 1) for url in urls if ", " in url)
    return next((url for name, url in named.items() if name.lower() == "homepage"), None)


def _descriptors(found: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """Return all rules, then the codes that something else than a rule found."""
    warned = {d.code for d in found if d.severity is Severity.WARNING}
    failed = {d.code for d in found if d.severity is Severity.ERROR}
    table = {rule.code: _descriptor(rule) for rule in all_rules()}
    for diagnostic in found:
        table.setdefault(diagnostic.code, {"id": diagnostic.code, "name": diagnostic.name})
    for code in warned - failed:
        table[code]["defaultConfiguration"] = {"level": "warning"}
    return list(table.values())


def _descriptor(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": " ".join(rule.section("What it does").split())},
        "help": {"text": _help_text(rule), "markdown": rule.doc},
        "defaultConfiguration": {"level": "error"},
    }


def _help_text(rule: Rule) -> str:
    """Return the sections of the docstring without the marks of Markdown."""
    sections = ((heading, rule.section(heading)) for heading in HEADINGS)
    parts = [f"{heading}\n{_without_fences(text)}" for heading, text in sections if text]
    return "\n\n".join((rule.summary, *parts))


def _without_fences(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("```"))


def _invocation(errors: Sequence[str]) -> dict[str, Any]:
    notes = [{"level": "error", "message": {"text": text}} for text in errors]
    failed = {"toolExecutionNotifications": notes} if notes else {}
    return {"executionSuccessful": not errors, **failed}


def _result(report: Report, diagnostic: Diagnostic, index: int) -> dict[str, Any]:
    place = diagnostic.location
    fix = diagnostic.fix
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": index,
        "level": str(diagnostic.severity),
        "message": {"text": message_text(report, diagnostic)},
        "locations": [{"physicalLocation": _physical(place)}] if place else [],
        "properties": {
            "config": report.config,
            "key": format_key(diagnostic.key),
            "found": diagnostic.found,
            "expected": diagnostic.expected,
            "applicability": fix.applicability.name.lower() if fix else None,
        },
    }


def _physical(place: Location) -> dict[str, Any]:
    region = {"startLine": place.line, "startColumn": place.column}
    known = {name: number for name, number in region.items() if number}
    artifact = {"artifactLocation": {"uri": file_uri(place.file)}}
    return {**artifact, "region": known} if place.line else artifact


def file_uri(file: str) -> str:
    """Return a relative URI for a file below the current folder, and a ``file:`` URI for others."""
    relative = Path(os.path.relpath(file))
    if relative.parts[:1] == (os.pardir,):
        return Path(os.path.abspath(file)).as_uri()
    return quote(os.fsencode(relative.as_posix()))
