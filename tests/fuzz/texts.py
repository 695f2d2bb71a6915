"""Error texts that were cut, repeated, mixed and damaged."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Callable

from tests.apis.explain.examples import EXAMPLES, hard_wrapped, training_line
from tests.helpers.explained import explained

_PIECES = [
    *("\x1b[31m", "\x1b[0m", "\x1b]0;title\x07", "\x1b[", "^[[1m", "[0m", "\r", "\r\n", "\t", "\0"),
    *("│ ", "> ", "E   ", "[rank1]: ", "[1]: ", "2026/01/02 10:00:00 - mmengine - INFO - "),
    *("| Class | IoU | Acc |\n", "| a | nan | 0.0 |\n", "+---+---+\n", "loss: nan", "loss: 0.0 "),
    *("grad_norm: nan", "KeyError: '", "size mismatch for ", "torch.Size([", '{"loss": ', "}", "'"),
    *("decode_head.conv_seg.weight", "num_classes", "１", "é", "\ud7ff", "\u2028", "\x85", "\xa0"),
]


def _cut(text: str, numbers: random.Random) -> str:
    ends = sorted(numbers.randint(0, len(text)) for _ in range(2))
    return text[ends[0] : ends[1]]


def _repeated(text: str, numbers: random.Random) -> str:
    piece = _cut(text, numbers)[: numbers.choice((1, 3, 20, 400))]
    return text.replace(piece, piece * numbers.choice((2, 50, 3000)), 1)[:60_000]


def _mixed(text: str, numbers: random.Random) -> str:
    at = numbers.randint(0, len(text))
    return text[:at] + _cut(numbers.choice(EXAMPLES).text, numbers) + text[at:]


def _sprinkled(text: str, numbers: random.Random) -> str:
    for _ in range(numbers.randint(1, 30)):
        at = numbers.randint(0, len(text))
        text = text[:at] + numbers.choice(_PIECES) + text[at:]
    return text


def _shuffled(text: str, numbers: random.Random) -> str:
    parts = text.split(numbers.choice((" ", "\n", "'", ".")))
    numbers.shuffle(parts)
    return numbers.choice((" ", "\n", "")).join(parts)


def _numbers_changed(text: str, numbers: random.Random) -> str:
    values = ("0", "-1", "255", "256", "9" * 30, "1e9", "nan", "")
    return "".join(numbers.choice(values) if c.isdigit() else c for c in text)


def _wrapped(text: str, numbers: random.Random) -> str:
    return hard_wrapped(text, numbers.randint(1, 130))


def _after_a_line(text: str, numbers: random.Random) -> str:
    return f"{training_line(numbers.randrange(10**6))}{numbers.choice((' ', chr(10)))}{text}"


_CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    *(_cut, _repeated, _mixed, _sprinkled, _shuffled, _numbers_changed, _wrapped, _after_a_line),
)


def attempt(numbers: random.Random, folder: Path) -> str:
    text = numbers.choice(EXAMPLES).text
    for _ in range(numbers.randint(1, 5)):
        text = numbers.choice(_CHANGES)(text, numbers)
    data = _damaged(text.encode("utf-8", "replace"), numbers)
    (folder / "text").write_bytes(data)
    return "explained" if explained(data, numbers) else "not known"


def _damaged(data: bytes, numbers: random.Random) -> bytes:
    if numbers.random() < 0.3 and data:
        changed = bytearray(data)
        for _ in range(numbers.randint(1, 20)):
            changed[numbers.randrange(len(changed))] = numbers.randrange(256)
        return bytes(changed)
    return data.decode().encode("utf-16") if numbers.random() < 0.05 else data
