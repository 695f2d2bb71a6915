"""Rounds of one area, each from a seed of its own, so that any of them can be run again."""

from __future__ import annotations

import importlib
import pkgutil
import random
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Optional

#: Makes one input in the empty folder and tries it; returns what kind it was, for the counts.
#: Whatever it raises is a finding.
Attempt = Callable[[random.Random, Path], str]

_OWN = {"loop", "test_fuzz", "__main__"}


def areas() -> dict[str, Attempt]:
    """Return the ``attempt`` of each area by its name."""
    package = importlib.import_module("tests.fuzz")
    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name not in _OWN)
    modules: dict[str, Any] = {n: importlib.import_module(f"tests.fuzz.{n}") for n in names}
    return {n: module.attempt for n, module in modules.items() if hasattr(module, "attempt")}


class FoundError(AssertionError):
    """An input that the product did not stand up to."""


def fuzz(
    area: str,
    attempt: Attempt,
    folder: Path,
    *,
    seed: int,
    seconds: float,
    only_round: Optional[int] = None,
) -> Counter[str]:
    """Try inputs until the time is over, or one round; return how many of each kind held.

    Raises:
        FoundError: an attempt raised; says how it is run again. Its input is still in ``folder``.
    """
    held: Counter[str] = Counter()
    end = time.monotonic() + seconds
    number = only_round or 0
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            held[attempt(random.Random(f"{area} {seed} {number}"), folder)] += 1
        except Exception as error:
            again = f"python -m tests.fuzz --only {area} --seed {seed} --round {number}"
            raise FoundError(f"{type(error).__name__}: {error}\n  again: {again}") from error
        number += 1
        if only_round is not None or time.monotonic() >= end:
            return held
