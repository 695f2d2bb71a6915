"""A short part of ``make fuzz`` in every run of the suite, with a seed that does not change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.loop import areas, fuzz

_SECONDS = float(os.environ.get("FUZZ_SECONDS", "24"))
_SEED = int(os.environ.get("FUZZ_SEED", "13"))


@pytest.mark.parametrize("area", areas())
def test_random_input_ends_in_an_answer(area: str, tmp_path: Path) -> None:
    held = fuzz(area, areas()[area], tmp_path / area, seed=_SEED, seconds=_SECONDS)
    print(f"seed {_SEED}: {dict(held)}")
    assert sum(held.values()) > 0
