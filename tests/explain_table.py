"""Texts of ``failures.md`` that were seen in public threads, and the entry that explains each."""

from __future__ import annotations

from mmseg_fixkit.explanations.entries import ENTRIES
from mmseg_fixkit.explanations.entry import Entry

#: Every example of every entry.
EXAMPLES = tuple((entry, text) for entry in ENTRIES for text in entry.examples)


def name_of(case: tuple[Entry, str]) -> str:
    entry, text = case
    return f"{entry.id}-{entry.examples.index(text)}"


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
