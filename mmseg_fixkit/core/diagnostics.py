"""The records that rules, scans, checkpoints and runtime guards all emit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Optional, Union

from mmseg_fixkit.core.labels import LabelSpace

#: Where a value stands in a config: dict keys and list indices, outermost first.
KeyPath = tuple[Union[str, int], ...]


def format_key(key: KeyPath) -> str:
    """Write a key path as ``--cfg-options`` takes it: ``model.auxiliary_head.0.num_classes``."""
    return ".".join(str(part) for part in key)


def parse_key(text: str) -> KeyPath:
    """Read what :func:`format_key` wrote; digits are list indices."""
    return tuple(int(p) if re.fullmatch(r"\d+", p) else p for p in text.split("."))


class Severity(str, Enum):
    """How bad a finding is; only errors and warnings are findings."""

    ERROR = "error"
    WARNING = "warning"

    def __str__(self) -> str:
        return self.value


class Applicability(IntEnum):
    """Whether a fix may be applied; ordered, so that "may I" is one comparison.

    ``SAFE``: the same training result, or the run could not have started.
    ``UNSAFE``: changes what is learned. ``DISPLAY``: a hint only.
    """

    DISPLAY = 0
    UNSAFE = 1
    SAFE = 2


class EditKind(str, Enum):
    """What an edit does at its key."""

    SET = "set"
    REMOVE = "remove"
    INSERT = "insert"


@dataclass(frozen=True)
class Location:
    """A place in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: Optional[int] = None
    column: Optional[int] = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


@dataclass(frozen=True)
class Edit:
    """One change of a config tree. ``INSERT`` puts ``value`` before the list index in ``key``."""

    key: KeyPath
    value: Any = None
    kind: EditKind = EditKind.SET


@dataclass(frozen=True)
class Fix:
    """Edits that together repair one finding."""

    title: str
    edits: tuple[Edit, ...]
    applicability: Applicability = Applicability.SAFE


@dataclass(frozen=True)
class Diagnostic:
    """One finding. ``message`` reads: ⟨key⟩ is ⟨found⟩, but ⟨who⟩ has ⟨expected⟩."""

    code: str
    name: str
    message: str
    key: KeyPath
    found: Any
    expected: Any
    severity: Severity = Severity.ERROR
    fix: Optional[Fix] = None
    location: Optional[Location] = None

    @property
    def fixable(self) -> bool:
        """Whether there is a fix that may be applied at all."""
        return self.fix is not None and self.fix.applicability > Applicability.DISPLAY


@dataclass(frozen=True)
class Report:
    """What was found in one config."""

    config: str
    labels: Optional[LabelSpace]
    diagnostics: tuple[Diagnostic, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """0 with nothing to say, 1 with findings."""
        return 1 if self.diagnostics else 0


def finding(
    key: KeyPath,
    found: Any,
    who: str,
    expected: Any,
    *,
    then: str = "",
    edits: Iterable[Edit] = (),
    title: str = "",
    applicability: Applicability = Applicability.SAFE,
    severity: Severity = Severity.ERROR,
    shown: Optional[str] = None,
) -> Diagnostic:
    """Build a diagnostic in the message grammar; code and name are filled in by the registry.

    ``who`` says otherwise, with its verb: ``"the dataset has"``; ``shown`` are the words for
    ``expected``, where its repr is no help. ``then`` is what to do next, where no fix does it;
    ``title`` what the ``edits`` do, in the imperative. A fix is attached only if there are any.
    """
    message = f"{format_key(key)} is {brief(found)}, but {who} {shown or brief(expected)}"
    changes = tuple(edits)
    return Diagnostic(
        code="",
        name="",
        message=f"{message}; {then}" if then else message,
        key=key,
        found=found,
        expected=expected,
        severity=severity,
        fix=Fix(title, changes, applicability) if changes else None,
    )


def brief(value: Any, limit: int = 100) -> str:
    """Write a value for a message: short ones whole, long lists by their first entries."""
    if value is None:
        return "not set"
    text = repr(value)
    if len(text) <= limit:
        return text
    if isinstance(value, (list, tuple)):
        first = ", ".join(repr(entry) for entry in value[:3])
        return f"{text[0]}{first}, …{text[-1]} ({len(value)} entries)"
    return f"{text[: limit - 1]}…"
