"""Texts that make a slow regular expression slow: long repeats of what its own repeats take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Union

try:
    from re import _parser as parser  # type: ignore[attr-defined,unused-ignore]
except ImportError:  # Python 3.9 and 3.10
    import sre_parse as parser  # type: ignore[no-redef,unused-ignore]

#: What repeats are tried with: a few of each kind that patterns tell apart.
_LETTERS = "a5_ .,:|[]{'\n\té"
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
#: A repeat that ends sooner is none to look at.
_LONG = 40


def pumped(pattern: re.Pattern[Any], length: int) -> Iterator[str]:
    """Yield texts of about ``length`` characters for each long repeat of a pattern.

    What comes before the repeat and then one of its own characters again and again; the two
    together again and again; and either in the place of a match that then breaks off.
    """
    tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    seen = set()
    for before, unit in _repeats(tree, ""):
        times = length // len(unit)
        both = before + unit
        for text in (
            before + unit * times + "\0",
            both * (length // len(both)) + "\0",
            (before + unit * 4) * (length // len(before + unit * 4)) + "\0",
        ):
            if text not in seen:
                seen.add(text)
                yield text


def _repeats(tree: Any, before: str) -> Iterator[tuple[str, str]]:
    """Yield what matches up to each long repeat, and what that may take once."""
    for op, argument in tree:
        for inner in _inner(op, argument):
            yield from _repeats(inner, before)
        if _is_repeat(op) and argument[1] >= _LONG:
            yield from ((before, unit) for unit in _units(argument[2]))
        before += _shortest_of(op, argument)


def _inner(op: Any, argument: Any) -> list[Any]:
    name = str(op)
    if name == "SUBPATTERN":
        return [argument[3]]
    if name == "BRANCH":
        return list(argument[1])
    if name in {"ASSERT", "ASSERT_NOT"}:
        return [argument[1]]
    if name == "ATOMIC_GROUP":
        return [argument]
    return [argument[2]] if _is_repeat(op) else []


def _is_repeat(op: Any) -> bool:
    return str(op).endswith("_REPEAT")


def _units(tree: Any) -> list[str]:
    """Return texts that a part of a pattern takes: all characters, where it is a single one."""
    if len(tree) == 1 and str(tree[0][0]) in {"IN", "ANY", "NOT_LITERAL"}:
        return _characters(*tree[0])
    return [text for text in (_shortest(tree),) if text] or ["a"]


def _shortest(tree: Any) -> str:
    return "".join(_shortest_of(op, argument) for op, argument in tree)


def _shortest_of(op: Any, argument: Any) -> str:
    name = str(op)
    if name == "LITERAL":
        return chr(argument)
    if name in {"IN", "ANY", "NOT_LITERAL"}:
        return _characters(op, argument)[0]
    if name == "BRANCH":
        return min((_shortest(branch) for branch in argument[1]), key=len)
    if name in {"ASSERT", "ASSERT_NOT", "AT", "GROUPREF", "GROUPREF_EXISTS"}:
        return ""
    (inner,) = _inner(op, argument)
    return _shortest(inner) * (argument[0] if _is_repeat(op) else 1)


def _characters(op: Any, argument: Any) -> list[str]:
    name = str(op)
    if name == "ANY":
        return [each for each in _LETTERS if each != "\n"]
    if name == "NOT_LITERAL":
        return [each for each in _LETTERS if ord(each) != argument]
    own = [chr(value) for kind, value in argument if str(kind) == "LITERAL"]
    own += [chr(value[0]) for kind, value in argument if str(kind) == "RANGE"]
    negated = str(argument[0][0]) == "NEGATE"
    known = [*([] if negated else own), *_LETTERS]
    fitting = [each for each in known if any(_fits(each, *part) for part in argument) != negated]
    return list(dict.fromkeys(fitting)) or ["a"]


def _fits(character: str, kind: Any, value: Any) -> bool:
    name = str(kind)
    if name == "LITERAL":
        return ord(character) == value
    if name == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    return name == "CATEGORY" and bool(re.match(_CATEGORIES[str(value)], character))


def encoded(text: str, pattern: re.Pattern[Any]) -> Union[str, bytes]:
    """Return a text as the pattern takes it."""
    return text.encode() if isinstance(pattern.pattern, bytes) else text
