"""Texts that were seen in public threads and the fault that each tells of; logs around them.

``tests/apis/explain/FAULT.txt`` holds the examples of a fault. A line of ``====`` stands between
two of them, and may name faults that the next one tells of too: ``==== and checkpoint-header``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmseg_fixkit.apis.explain.fault import Fault, all_faults
from tests.helpers.paths import ROOT

FOLDER = ROOT / "tests" / "apis" / "explain"

_BETWEEN = re.compile(r"^====(?: and (.*))?\n", re.M)


@dataclass(frozen=True)
class Example:
    """A text, the fault that it tells of, and others that it tells of too."""

    name: str
    fault: Fault
    text: str
    others: frozenset[str]


def examples_in(file: Path) -> Iterator[Example]:
    first, *rest = _BETWEEN.split(file.read_text(encoding="utf-8"))
    pairs = [(None, first), *zip(rest[::2], rest[1::2])] if first else zip(rest[::2], rest[1::2])
    for number, (others, text) in enumerate(pairs):
        named = frozenset((others or "").split())
        name = f"{file.stem}-{number}"
        yield Example(name, all_faults()[file.stem], text.removesuffix("\n"), named)


#: Every example of every fault.
EXAMPLES = tuple(
    example
    for file in sorted(FOLDER.glob("*.txt"))
    if file.stem in all_faults()
    for example in examples_in(file)
)

#: Where a terminal or a logger breaks lines.
WIDTHS = (80, 100, 120)


def hard_wrapped(text: str, width: int) -> str:
    """Break lines as terminals do: in the middle of words."""
    lines = (
        line[i : i + width] for line in text.split("\n") for i in range(0, max(1, len(line)), width)
    )
    return "\n".join(lines)


def training_line(iteration: int) -> str:
    return (
        f"2026/01/02 10:00:{iteration % 60:02} - mmengine - INFO - Iter(train) "
        f"[{iteration:>6}/40000]  base_lr: 9.9891e-03 lr: 9.9891e-03  eta: 5:12:33  time: 0.4689  "
        f"data_time: 0.0056  memory: 3711  grad_norm: 1.{iteration % 9973:04}  loss: "
        f"2.{iteration % 9973:04}  decode.loss_ce: 1.{iteration % 9967:04}  decode.acc_seg: "
        f"38.{iteration % 97:04}  aux.loss_ce: 0.{iteration % 9949 + 1:04}"
    )


TABLE = """\
2026/01/02 10:00:00 - mmengine - INFO - per class results:
2026/01/02 10:00:00 - mmengine - INFO -
+------------+-------+-------+
|   Class    |  IoU  |  Acc  |
+------------+-------+-------+
| background | 93.21 | 97.3  |
| weed       | 61.4  | 70.2  |
+------------+-------+-------+
2026/01/02 10:00:00 - mmengine - INFO - Iter(val) [500/500]    aAcc: 93.1000  mIoU: 77.3000
"""


def long_log(inside: str, lines: int = 3000, at: int = 1700) -> tuple[str, int]:
    """Return a log of a training with ``inside`` in it, and the line that it begins at."""
    head = [training_line(50 * i) for i in range(1, at)]
    tail = [training_line(50 * i) for i in range(at, lines)]
    before = "\n".join(head) + "\n" + TABLE
    return f"{before}{inside}\n" + "\n".join(tail) + "\n", before.count("\n") + 1
