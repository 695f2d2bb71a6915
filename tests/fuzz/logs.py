"""Logs of trainings, of which some hold the text of a fault: it is found in any harmless noise."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Callable

from tests.apis.explain.examples import EXAMPLES, TABLE, hard_wrapped, training_line
from tests.helpers.explained import explained

#: Faults that their own text tells; what a value tells depends on the lines around it.
_TEXTS = [each for each in EXAMPLES if each.fault.patterns]


def _training(numbers: random.Random) -> str:
    first = numbers.randrange(10**5)
    return "\n".join(training_line(first + i) for i in range(numbers.choice((1, 20, 600))))


def _json_lines(numbers: random.Random) -> str:
    rows = ({"lr": 1e-3, "loss": 1 + numbers.random(), "step": i} for i in range(50))
    return "\n".join(map(json.dumps, rows))


def _progress(numbers: random.Random) -> str:
    bars = (f"\r{i:3}%|{'█' * (i // 4):<25}| {i}/100 [00:{i % 60:02}<00:09]" for i in range(100))
    return "".join(bars)


def _huge_line(numbers: random.Random) -> str:
    return numbers.choice(("x", "ab ", "0, ", "[", "a.", "| ", "Ω")) * numbers.choice((999, 99_999))


def _bytes(numbers: random.Random) -> str:
    """Bytes that are no UTF-8, as surrogates."""
    return numbers.randbytes(300).replace(b"\n", b"").decode("utf-8", "surrogateescape")


def _ranks(numbers: random.Random) -> str:
    lines = [f"[rank{numbers.randrange(8)}]: {training_line(i)}" for i in range(60)]
    return "\n".join(lines)


_NOISES: tuple[Callable[[random.Random], str], ...] = (
    *(_training, _json_lines, _progress, _huge_line, _bytes, _ranks),
    lambda numbers: TABLE,
    lambda numbers: "\n" * numbers.randrange(3000),
    lambda numbers: "\0" * numbers.randrange(3000),
    lambda numbers: "\x1b[2K\x1b[1A\x1b]0;training\x07" * 50,
)


def _prefixed(prefix: str) -> Callable[[str, random.Random], str]:
    return lambda text, numbers: "\n".join(prefix + line for line in text.split("\n"))


def _coloured(text: str, numbers: random.Random) -> str:
    words = text.split(" ")
    return " ".join(f"\x1b[3{len(w) % 8}m{w}\x1b[0m" if len(w) % 3 == 0 else w for w in words)


_DRESSES: dict[str, Callable[[str, random.Random], str]] = {
    "plain": lambda text, numbers: text,
    "rank": _prefixed("[rank3]: "),
    "launcher": _prefixed("[1]: "),
    "time": _prefixed("2026-01-02 10:00:00,123 "),
    "quoted": _prefixed("> "),
    "coloured": _coloured,
    "windows": lambda text, numbers: text.replace("\n", "\r\n"),
    "wrapped": lambda text, numbers: hard_wrapped(text, numbers.choice((80, 100, 120))),
}


def attempt(numbers: random.Random, folder: Path) -> str:
    inside = numbers.sample(_TEXTS, numbers.choice((0, 1, 1, 1, 2, 3)))
    name = numbers.choice(sorted(_DRESSES))
    parts = []
    for example in inside:
        parts += [_noise(numbers), _DRESSES[name](example.text, numbers)]
    log = "\n".join([*parts, _noise(numbers)])
    data = log.encode("utf-8", "surrogateescape")
    if numbers.random() < 0.1:
        data, name = data.decode("utf-8", "ignore").encode("utf-16"), "UTF-16"
    (folder / "log").write_bytes(data)
    found = {each.id for each in explained(data, numbers)}
    wanted = {example.fault.id for example in inside}
    assert wanted <= found, (sorted(wanted - found), name)
    assert inside or not found, sorted(found)
    return name if inside else "sound"


def _noise(numbers: random.Random) -> str:
    return "\n".join(noise(numbers) for noise in numbers.sample(_NOISES, numbers.randint(0, 3)))
