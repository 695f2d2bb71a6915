"""No pattern takes longer for a text than the text is long: of `explain`, and of all others."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest

from mmseg_fixkit.apis.explain.fault import all_faults
from tests.helpers.paths import ROOT
from tests.helpers.pumped import encoded, pumped

LONG = 16_000
#: A linear pattern takes eight times as long for a text of eight times the length, a square one 64.
MOST = 24
#: So short that what a clock says of it is noise; no linear pattern takes much longer.
QUICK = 0.004

METHODS = {"search", "match", "fullmatch", "sub", "split", "findall", "finditer"}
FLAGS = {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2}


def patterns_in(file: Path) -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield the place of each pattern that is written in a file, it, and how it is used."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = [
        (node, node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    uses = {ast.unparse(f.value): f.attr for _, f in calls if f.attr in METHODS}
    names = {
        id(node.value): ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
    }
    for call, function in calls:
        text = call.args[0] if call.args else None
        if ast.unparse(function.value) != "re" or not isinstance(text, ast.Constant):
            continue
        at = FLAGS.get(function.attr, 9)
        flags = [*call.args[at : at + 1], *(k.value for k in call.keywords if k.arg == "flags")]
        number = eval(ast.unparse(flags[0]), {"re": re}) if flags else 0
        method = uses.get(names.get(id(call), ""), "search")
        method = method if function.attr == "compile" else function.attr
        place = f"{file.relative_to(ROOT)}:{call.lineno}"
        yield place, re.compile(text.value, number), method


WRITTEN = [
    pytest.param(pattern, method, id=place)
    for file in sorted((ROOT / "mmseg_fixkit").rglob("*.py"))
    for place, pattern, method in patterns_in(file)
]
OF_FAULTS = [
    pytest.param(expression, "finditer", id=f"{fault.id}-{number}")
    for fault in all_faults().values()
    for number, expression in enumerate(fault.expressions)
]


def seconds(pattern: re.Pattern[Any], method: str, text: str, tries: int) -> float:
    """Return the least time of the processor that looking through a text took."""
    data: Any = encoded(text, pattern)
    arguments = ("", data) if method == "sub" else (data,)
    took = []
    for _ in range(tries):
        begin = time.process_time()
        found = getattr(pattern, method)(*arguments)
        if method == "finditer":
            list(found)
        took.append(time.process_time() - begin)
    return min(took)


@pytest.mark.parametrize(("pattern", "method"), [*WRITTEN, *OF_FAULTS])
def test_a_pattern_takes_no_longer_than_the_text_is_long(
    pattern: re.Pattern[Any], method: str
) -> None:
    assert slow_text(pattern, method, LONG) is None


def slow_text(pattern: re.Pattern[Any], method: str, length: int) -> Optional[str]:
    """Return the beginning of a text that takes too long, and how long it and an eighth took."""
    for short, long in zip(pumped(pattern, length // 8), pumped(pattern, length)):
        if seconds(pattern, method, long, 1) < QUICK:
            continue
        for tries in (3, 12):  # what seems slow once may have had a busy processor
            took = seconds(pattern, method, long, tries), seconds(pattern, method, short, tries + 2)
            if took[0] < max(QUICK, MOST * took[1]):
                break
        else:
            return f"{short[:80]!r}: {took}"
    return None


def test_patterns_are_found_where_they_are_written() -> None:
    places = {str(param.id).partition(":")[0] for param in WRITTEN}
    assert {"mmseg_fixkit/apis/explain/clean_text.py", "mmseg_fixkit/core/palettes.py"} <= places
    assert len(WRITTEN) > 40
    assert len(OF_FAULTS) > 100


@pytest.mark.parametrize(
    "pattern", [r"(?P<a>\w+)=", r"^\s*import", r"\d+\.\d+x", r"(?:ab)+c", r"a.*?b", r"x\s*\s*y"]
)
def test_a_slow_pattern_is_seen(pattern: str) -> None:
    assert slow_text(re.compile(pattern, re.M), "search", LONG // 4)
