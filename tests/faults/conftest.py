"""The process whose forks are killed: one for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.children import Children
from tests.faults.verbs import model_files


@pytest.fixture(scope="session")
def children() -> Iterator[Children]:
    """Start verbs without their start-up."""
    made = Children()
    yield made
    made.close()


@pytest.fixture(scope="session")
def room(children: Children, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model that is adapted and exported."""
    root = tmp_path_factory.mktemp("faults")
    model_files(children, root)
    return root
