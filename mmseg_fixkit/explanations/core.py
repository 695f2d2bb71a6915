"""From a text to explanations, in the order of cause."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, Union

from mmseg_fixkit.explanations.entries import by_anchor
from mmseg_fixkit.explanations.entry import Cause, Entry, Told, fill, merged
from mmseg_fixkit.explanations.explanation import Explanation, Possibility
from mmseg_fixkit.explanations.losses import PLACES, LossFinder, LossReader
from mmseg_fixkit.explanations.matching import Match, matches
from mmseg_fixkit.explanations.stream import literals, windows
from mmseg_fixkit.explanations.tables import HEAD, read_last_table

if TYPE_CHECKING:
    from mmseg_fixkit.load import ConfigLike

#: Lines of evidence that an explanation keeps.
_SHOWN = 5


def explain(
    text: Union[str, bytes, BinaryIO], config: Optional[ConfigLike] = None
) -> list[Explanation]:
    """Say what known faults a text tells of: an error, a log, a table of results.

    Args:
        text: the text itself, or a binary file, which is read once and piece by piece.
        config: of the run; tells causes apart that have the same text.

    Returns:
        The explanations, roots before what they brought about; empty where nothing is known.

    Raises:
        FixkitError: the config cannot be read.
    """
    found = _grouped(_matches(_stream(text)))
    ordered = sorted(found.values(), key=lambda group: (group[0].entry.rank, group[0].line))
    present = [group[0].entry.id for group in ordered]
    explained = [_explanation(group, present, config) for group in ordered]
    if config is None or not explained:
        return explained
    from mmseg_fixkit.explanations.with_config import held_against

    return held_against(config, explained)


def _stream(text: Union[str, bytes, BinaryIO]) -> BinaryIO:
    data = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return io.BytesIO(data) if isinstance(data, bytes) else data


def _matches(stream: BinaryIO) -> Iterator[Match]:
    """Yield what patterns, losses and the last table tell of."""
    losses, table = LossReader(), None
    others = {HEAD, *PLACES}
    finders = (literals(by_anchor(), all_of=[HEAD]), LossFinder())
    for window in windows(stream, finders, far=[HEAD]):
        if not window.hits <= others:
            yield from matches(window)
        if window.hits & PLACES:
            yield from losses.read(window)
        table = window if HEAD in window.hits else table
    yield from losses.close()
    if table is not None:
        yield from read_last_table(table)


def _grouped(found: Iterable[Match]) -> dict[str, list[Match]]:
    """Return the matches of each entry; pieces overlap, so some come twice."""
    groups: dict[str, list[Match]] = {}
    seen = set()
    for match in found:
        key = (match.entry.id, match.line, match.evidence)
        if key not in seen:
            seen.add(key)
            groups.setdefault(match.entry.id, []).append(match)
    return groups


def _explanation(
    group: list[Match], present: list[str], config: Optional[ConfigLike]
) -> Explanation:
    entry, first = group[0].entry, group[0]
    values = merged(match.groups for match in group)
    known = {**values, "config": config} if isinstance(config, str) else values
    return Explanation(
        id=entry.id,
        title=entry.title,
        evidence=first.evidence,
        line=first.line,
        count=len(group),
        what=fill(entry.what, known),
        why=fill(entry.why, known),
        sure=fill(entry.sure, known),
        next=tuple(_step(step, known) for step in entry.next),
        values=values,
        rules=entry.rule_codes,
        references=entry.references,
        consequence_of=_root(entry, present),
        possibilities=tuple(_possibility(cause, known) for cause in entry.causes),
    )


def _root(entry: Entry, present: list[str]) -> Optional[str]:
    return next((other for other in present if other in entry.after), None)


def _possibility(cause: Cause, values: dict[str, Any]) -> Possibility:
    steps = tuple(_step(step, values) for step in cause.next)
    return Possibility(cause.id, fill(cause.what, values), steps)


def _step(step: Told, values: dict[str, Any]) -> str:
    """Fill a step; a config of an installed package is not changed, but patched into a new file."""
    text = fill(step, values)
    of_package = "::" in str(values.get("config", ""))
    return (
        re.sub(r"^mmseg-fix check (\S+) --fix", r"mmseg-fix patch \1", text) if of_package else text
    )
