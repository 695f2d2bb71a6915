"""What a fault that a text shows means, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from mmseg_fixkit.core.diagnostics import Diagnostic


@dataclass(frozen=True)
class PossibleCause:
    """One of several causes of a text, and whether the config has it; None without a config."""

    id: str
    what: str
    next: tuple[str, ...]
    fits: Optional[bool] = None
    because: str = ""


@dataclass(frozen=True)
class Explanation:
    """A fault that a text shows.

    Args:
        id: stable, for programs.
        title: the fault in a few words.
        evidence: the first line that shows it, without colours and prefixes.
        line: its number, counted from 1.
        count: how many lines show it.
        what: what happened.
        why: how it comes about.
        sure: how to be sure.
        next: commands and steps, in order.
        values: numbers, names and files from the text; several of a kind as a list.
        rules: codes of the rules that find the cause in a config.
        references: threads and sources.
        consequence_of: the id of the fault in the same text that brought this one about.
        possibilities: where the text has several causes.
        findings: with a config, what ``check`` finds in it that fits.
    """

    id: str
    title: str
    evidence: str
    line: int
    count: int
    what: str
    why: str
    sure: str
    next: tuple[str, ...]
    values: dict[str, Any]
    rules: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    consequence_of: Optional[str] = None
    possibilities: tuple[PossibleCause, ...] = ()
    findings: tuple[Diagnostic, ...] = ()
