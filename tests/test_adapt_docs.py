"""docs/adapt-table.md is what the command writes, and a trained model keeps what it knows."""

from __future__ import annotations

import re

from docs.generate.adapt_table import COMMAND, HEADS, PAGE
from tests.helpers.adapt_trained import measure
from tests.zoo.configs import ROOT, head_types
from tests.zoo.modes import read
from tests.zoo.train import STEPS


def rows() -> list[list[str]]:
    lines = re.findall(r"^\| (.*) \|$", PAGE.read_text(), re.M)
    return [line.split(" | ") for line in lines]


def test_the_table_has_every_head_kind() -> None:
    head, _, *body = [row for row in rows() if len(row) == len(HEADS)]
    assert tuple(head) == HEADS
    assert COMMAND in PAGE.read_text(), f"run: {COMMAND}"
    shown = {(row[0], row[1].strip("`")) for row in body}
    expected = {(head_types(read(ROOT / s.config).model.to_dict()), s.config) for s in STEPS}
    assert shown == expected, f"run: {COMMAND}"


def test_the_table_says_what_the_tests_hold() -> None:
    for row in (row for row in rows() if len(row) == len(HEADS) and row[1].startswith("`")):
        order, subset, added = (float(cell) for cell in row[3:6])
        assert order < 1e-5
        acts = bool(row[-1].strip())
        assert acts == (max(subset, added) > 1e-5), row[0]
        assert row[2] == "7 of 7; 4 of 4; 7 of 8"


def test_a_trained_model_keeps_what_it_knows_of_a_subset() -> None:
    found = measure(iterations=60)
    assert found.adapted > 0.3
    assert found.adapted >= found.all_classes - 0.02
    assert found.same_pixels > 0.999
    assert found.started_anew < 0.2
