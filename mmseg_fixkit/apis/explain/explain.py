"""From a text to explanations, in the order of cause."""

from __future__ import annotations

import io
import operator
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, Union

from mmseg_fixkit.apis.explain import log_values, result_table
from mmseg_fixkit.apis.explain.explanation import Explanation, PossibleCause
from mmseg_fixkit.apis.explain.fault import Cause, Fault, Template, fill, merged
from mmseg_fixkit.apis.explain.match import Match, matches
from mmseg_fixkit.apis.explain.pieces import Piece, pieces

if TYPE_CHECKING:
    from mmseg_fixkit.config.load import ConfigLike

#: A log may repeat one message for each thread of a GPU; the first ones say all there is.
_ENOUGH = 300

#: What tells that a piece has a value to look at, and who reads it: of the first such piece …
_FIRST = {
    log_values.LOSS: log_values.zero_losses,
    log_values.NAN: log_values.nan_losses,
}
#: … and of the last one.
_LAST = {
    log_values.GRADIENT: log_values.nan_gradient,
    result_table.HEAD: result_table.classes_of_note,
}


def explain(
    text: Union[str, bytes, BinaryIO], config: Optional[ConfigLike] = None
) -> list[Explanation]:
    """Return the known faults that a text shows: an error, a log, a table of results.

    Args:
        text: the text itself, or a binary file, which is read once and piece by piece.
        config: of the run; says which of several causes with the same text it has.

    Returns:
        The explanations, roots before what they brought about; empty where nothing is known.

    Raises:
        FixkitError: the config cannot be read.
    """
    found = _found(_stream(text))
    ordered = sorted(found.values(), key=lambda group: (group[0].fault.rank, group[0].line))
    present = [group[0].fault.id for group in ordered]
    explained = [_explanation(group, present, config) for group in ordered]
    if config is None or not explained:
        return explained
    from mmseg_fixkit.apis.explain.with_config import check_against_config

    return check_against_config(config, explained)


def _stream(text: Union[str, bytes, BinaryIO]) -> BinaryIO:
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return io.BytesIO(data) if isinstance(data, bytes) else data


def _found(stream: BinaryIO) -> dict[str, list[Match]]:
    """Return the matches of each fault; of several that show the same line, the first."""
    groups: dict[str, dict[tuple[int, str], Match]] = {}
    first: dict[re.Pattern[bytes], Piece] = {}
    last: dict[re.Pattern[bytes], Piece] = {}
    for piece in pieces(stream):
        enough = {fault for fault, group in groups.items() if len(group) >= _ENOUGH}
        for match in matches(piece, enough):
            group = groups.setdefault(match.fault.id, {})
            group.setdefault((match.line, match.evidence), match)
        first.update((s, piece) for s in _FIRST if s not in first and s.search(piece.squeezed))
        last.update((s, piece) for s in _LAST if s.search(piece.squeezed))
    for match in _of_values(first, last):
        groups[match.fault.id] = {(match.line, match.evidence): match}
    by_line = operator.attrgetter("line")
    return {fault: sorted(group.values(), key=by_line) for fault, group in groups.items()}


def _of_values(
    first: dict[re.Pattern[bytes], Piece], last: dict[re.Pattern[bytes], Piece]
) -> Iterator[Match]:
    for readers, kept in ((_FIRST, first), (_LAST, last)):
        for sign, piece in kept.items():
            yield from readers[sign](piece)


def _explanation(
    group: list[Match], present: list[str], config: Optional[ConfigLike]
) -> Explanation:
    fault, first = group[0].fault, group[0]
    values = merged(match.groups for match in group)
    known = {**values, "config": config} if isinstance(config, str) else values
    return Explanation(
        id=fault.id,
        title=fault.title,
        evidence=first.evidence,
        line=first.line,
        count=len(group),
        what=fill(fault.what, known),
        why=fill(fault.why, known),
        sure=fill(fault.sure, known),
        next=tuple(_step(step, known) for step in fault.next),
        values=values,
        rules=fault.rule_codes,
        references=fault.references,
        consequence_of=_root(fault, present),
        possibilities=tuple(_possible_cause(cause, known) for cause in fault.causes),
    )


def _root(fault: Fault, present: list[str]) -> Optional[str]:
    return next((other for other in present if other in fault.after), None)


def _possible_cause(cause: Cause, values: dict[str, Any]) -> PossibleCause:
    steps = tuple(_step(step, values) for step in cause.next)
    return PossibleCause(cause.id, fill(cause.what, values), steps)


def _step(step: Template, values: dict[str, Any]) -> str:
    """Fill a step; a config of an installed package is not changed, but patched into a new file."""
    text = fill(step, values)
    of_package = "::" in str(values.get("config", ""))
    return (
        re.sub(r"^mmseg-fix check (\S+) --fix", r"mmseg-fix patch \1", text) if of_package else text
    )
