"""What must be true of every text that `explain` is given."""

from __future__ import annotations

import io
import json
import random
import time
import unicodedata

from mmseg_fixkit import explain
from mmseg_fixkit.apis.explain.explanation import Explanation
from mmseg_fixkit.apis.explain.fault import all_faults
from mmseg_fixkit.cli.output.explain import as_json, explain_text

#: Seconds of the processor for any text, and for each byte of it, on a machine that is busy.
_ALWAYS, _BYTE = 0.5, 10e-6
#: Controls, directions of writing, line ends of Unicode, halves of characters.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class Trickling(io.BytesIO):
    """A pipe: less comes than was asked for."""

    def __init__(self, data: bytes, numbers: random.Random) -> None:
        super().__init__(data)
        self._numbers = numbers

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._numbers.randint(1, max(1, size or 1)))


def explained(data: bytes, numbers: random.Random) -> list[Explanation]:
    """Return the explanations of a text; fails where one is not as it must be."""
    found = _in_time(data)
    assert _seen(explain(Trickling(data, numbers))) == _seen(found)
    with_text = data.decode("utf-8", "replace")
    if with_text.encode("utf-8", "replace") == data:
        assert explain(with_text) == found
    assert [each.id for each in found] == list(dict.fromkeys(each.id for each in found))
    ranks = [all_faults()[each.id].rank for each in found]
    assert ranks == sorted(ranks)
    lines = data.count(b"\n") + 1
    for each in found:
        assert 1 <= each.line <= lines
        assert each.count >= 1
        assert each.evidence
        assert each.consequence_of is None or each.consequence_of in {e.id for e in found}
    shown = explain_text(found) if found else ""
    orders = {c for c in shown if c != "\n" and unicodedata.category(c) in _UNSEEN}
    assert not orders, orders
    assert len(json.loads(json.dumps(as_json(found)))) == len(found)
    return found


def _seen(found: list[Explanation]) -> list[tuple[str, int, str]]:
    return [(each.id, each.line, each.evidence) for each in found]


def _in_time(data: bytes) -> list[Explanation]:
    """Explain a text; a second and a third time only where the machine may have been busy."""
    for _ in range(3):
        begin = time.process_time()
        found = explain(data)
        took = time.process_time() - begin
        if took < _ALWAYS + _BYTE * len(data):
            return found
    raise AssertionError(f"{len(data)} bytes took {took:.1f} s")
