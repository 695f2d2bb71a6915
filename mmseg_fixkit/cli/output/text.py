"""Text for people: one finding a line, and what a patch changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mmseg_fixkit.config.render import UNWRAPPED, render
from mmseg_fixkit.config.tree import lookup, walk
from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    EditKind,
    Location,
    Report,
    Severity,
    brief,
    format_key,
)
from mmseg_fixkit.core.files import expanded
from mmseg_fixkit.core.text import counted, printable

if TYPE_CHECKING:
    from mmseg_fixkit.apis.check_files import FixResult

ARROW = "->"


class Changes(Protocol):
    """What a plan changes: one of a config of MMSegmentation, or of PaddleSeg."""

    @property
    def before(self) -> Any:
        """The config as it was."""

    @property
    def applied(self) -> Sequence[Diagnostic]:
        """The findings that are repaired."""


def text_report(reports: Sequence[Report], errors: Sequence[str] = ()) -> str:
    """Return the findings of all reports; errors are printed beside them."""
    return "".join(report_text(report, one_of_many=len(reports) > 1) for report in reports)


def report_text(report: Report, *, one_of_many: bool = False) -> str:
    """Return one line a finding: ``file:line:column: CODE [*] message``; ``[*]`` is fixable.

    For ``one_of_many``, a finding in a base file says which config inherits it.
    """
    return "".join(f"{_finding_line(report, d, one_of_many)}\n" for d in report.diagnostics)


def _finding_line(report: Report, diagnostic: Diagnostic, one_of_many: bool) -> str:
    place = diagnostic.location
    where = f"{shown_path(place.file)}{_position(place.line, place.column)}" if place else ""
    mark = " [*]" if _safe(diagnostic) else ""
    note = " (warning)" if diagnostic.severity is Severity.WARNING else ""
    message = message_text(report, diagnostic) if one_of_many else diagnostic.message
    return printable(f"{where or report.config}: {diagnostic.code}{mark} {message}{note}")


def message_text(report: Report, diagnostic: Diagnostic) -> str:
    """Return the message; for a place in a base file, with the config that inherits from it."""
    place = diagnostic.location
    # What has no line is no place in a config: a label file, for one.
    if place is None or place.line is None or _is_own(report, place):
        return diagnostic.message
    return f"{diagnostic.message}; inherited by {shown_path(report.config)}"


def _is_own(report: Report, place: Location) -> bool:
    package, _, name = report.config.rpartition("::")
    if package:
        return Path(place.file).as_posix().endswith(name)
    return os.path.abspath(place.file) == os.path.abspath(expanded(name))


def _safe(diagnostic: Diagnostic) -> bool:
    return diagnostic.fix is not None and diagnostic.fix.applicability is Applicability.SAFE


def _position(line: int | None, column: int | None) -> str:
    return "".join(f":{part}" for part in (line, column) if part)


def shown_path(path: str) -> str:
    """Write a path relative to the current folder where it lies in it."""
    if "::" in path:
        return path
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def summary_text(reports: Sequence[Report], failed: int = 0, skipped: int = 0) -> str:
    """Return the closing lines of a check."""
    found = [d for r in reports for d in r.diagnostics]
    lines = [f"Checked {counted(len(reports), 'config')}: {verdict(found)}"]
    fixable = sum(_safe(d) for d in found)
    if fixable:
        lines.append(
            f"[*] {counted(fixable, 'finding')} can be repaired: run `mmseg-fix check --fix`, or "
            "`mmseg-fix patch` for a new file; `mmseg-fix rule CODE` explains a code."
        )
    unsafe = sum(d.fixable and not _safe(d) for d in found)
    if unsafe:
        lines.append(
            f"{counted(unsafe, 'finding')} can be repaired with `check --fix --unsafe-fixes`, "
            "which changes what is learned."
        )
    if skipped:
        lines.append(
            f"Skipped {counted(skipped, 'file')} in `_base_` folders or without a segmentation "
            "model."
        )
    if failed:
        lines.append(f"{counted(failed, 'config')} could not be read.")
    return "\n".join(lines) + "\n"


def repairs_text(repaired: Sequence[FixResult], *, written: bool) -> str:
    """Return the line that says what was repaired, or would be."""
    files = [each for each in repaired if each.changes]
    changes = sum(each.changes for each in files)
    if not files:
        return "Nothing to repair.\n"
    done = "Repaired" if written else "Would repair"
    return f"{done} {counted(changes, 'finding')} in {counted(len(files), 'file')}.\n"


def verdict(diagnostics: Iterable[Diagnostic]) -> str:
    """Count errors and warnings."""
    severities = [d.severity for d in diagnostics]
    if not severities:
        return "all right."
    errors = sum(severity is Severity.ERROR for severity in severities)
    parts = [counted(errors, "error"), counted(len(severities) - errors, "warning")]
    return ", ".join(part for part in parts if not part.startswith("0 ")) + "."


def patch_text(plan: Changes, left: Iterable[Diagnostic]) -> str:
    """Return what a plan changes and why, by rule, then what it leaves."""
    lines = []
    by_code = sorted(plan.applied, key=lambda d: d.code)
    for (code, name), group in groupby(by_code, key=lambda d: (d.code, d.name)):
        lines.append(f"{code} {name}")
        lines += [f"  {line}" for d in group for line in _edit_lines(plan, d)]
    remaining = [f"  {d.code} {d.message}" for d in left]
    if remaining:
        lines += ["Left for you:", *remaining]
    return "".join(f"{printable(line)}\n" for line in lines)


def _edit_lines(plan: Changes, diagnostic: Diagnostic) -> Iterator[str]:
    for edit in diagnostic.fix.edits if diagnostic.fix else ():
        if edit.value == {}:
            continue  # makes room for what the next edits set
        yield f"{format_key(edit.key)}: {_change(plan, edit)}"


def _change(plan: Changes, edit: Edit) -> str:
    if edit.kind is EditKind.INSERT:
        return f"added {_shown(edit.value)}"
    old = lookup(plan.before, edit.key)
    if edit.kind is EditKind.REMOVE:
        return f"{_shown(old)} {ARROW} removed"
    return f"{_shown(old)} {ARROW} {_shown(edit.value)}"


def _shown(value: Any, limit: int = 90) -> str:
    """Write a value as it stands in a config where it holds dicts, else as messages do."""
    if not any(isinstance(part, dict) for _, part in walk(value)):
        return brief(value, 60)
    text = render(value, lead=UNWRAPPED)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
