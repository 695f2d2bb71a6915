"""Draws mutants from all rooms of the package, in proportion to their lines."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.mutants.operators import Choices, Mutant, mutant, places
from tests.mutants.record import PACKAGE

#: Shows how the parts work, and draws the images that it shows.
_LEFT_OUT = "demo"
#: Where numbers say how something looks.
_LOOKS = ("cli/output/", "models/visualizer")


def rooms(tree: Path) -> dict[str, list[Path]]:
    """Return the files of each first-level part of the package."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in sorted((tree / PACKAGE).rglob("*.py")):
        room = file.relative_to(tree / PACKAGE).parts[0]
        if _LEFT_OUT not in {room, file.stem} and not room.endswith(".py"):
            found[room].append(file)
    return found


def draw(tree: Path, count: int, seed: int, only: Collection[str] = ()) -> list[Mutant]:
    """Return mutants, mixed; the same for the same tree and seed."""
    numbers = random.Random(seed)
    parts = {name: files for name, files in rooms(tree).items() if not only or name in only}
    lines = {name: sum(map(_lines, files)) for name, files in parts.items()}
    drawn = []
    for name, share in _shares(lines, count).items():
        found = _mutants(tree, parts[name], numbers)
        drawn += [next(found) for _ in range(share)]
    numbers.shuffle(drawn)
    return drawn


def _lines(file: Path) -> int:
    return file.read_text().count("\n")


def _shares(lines: dict[str, int], count: int) -> dict[str, int]:
    """Share out by lines; what rounding leaves goes to the largest rests."""
    exact = {name: count * each / sum(lines.values()) for name, each in lines.items()}
    rests = sorted(exact, key=lambda name: exact[name] % 1, reverse=True)
    left = count - sum(map(int, exact.values()))
    return {name: int(share) + (name in rests[:left]) for name, share in exact.items()}


def _mutants(tree: Path, files: list[Path], numbers: random.Random) -> Iterator[Mutant]:
    """Yield mutants of a room without end: a file by its lines, a line of it, a place in that."""
    weights = [_lines(file) for file in files]
    known: dict[Path, dict[int, list[Choices]]] = {}
    seen = set()
    while True:
        (file,) = numbers.choices(files, weights)
        name, source = file.relative_to(tree).as_posix(), file.read_text()
        if file not in known:
            known[file] = _by_line(name, source)
        if not known[file]:
            continue
        line = numbers.choice(sorted(known[file]))
        made = mutant(name, source, line, numbers.choice(known[file][line]), numbers)
        if made is not None and made.diff not in seen:
            seen.add(made.diff)
            yield made


def _by_line(name: str, source: str) -> dict[int, list[Choices]]:
    by_line = defaultdict(list)
    found = places(source, with_numbers=not any(part in name for part in _LOOKS))
    for span, choices in sorted(found.items()):
        by_line[span[0][0]].append(choices)
    return by_line
