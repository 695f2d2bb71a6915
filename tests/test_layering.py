"""Modules import downwards only, and nothing below ``runtime/`` loads torch or the host."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import PACKAGE

#: From the ground up. A module may import from rows before its own, and within its own folder.
ROWS = (
    "errors",
    "core",
    "registration",
    "__init__",
    "labels",
    "label_bits",
    "label_planes",
    "label_coco",
    "diagnostics",
    "registry",
    "source",
    "host",
    "several_labels",
    "tree",
    "steps",
    "pairing",
    "layouts",
    "disk",
    "settings",
    "weights_file",
    "parts",
    "document",
    "load",
    "config",
    "plan",
    "checkpoint",
    "label_files",
    "class_counts",
    "class_balance",
    "rules",
    "render",
    "dialect",
    "diff",
    "paddleseg",
    "overlay",
    "flat",
    "spans",
    "text_edits",
    "in_place",
    "apply",
    "cfg_options",
    "apis",
    "reporters",
    "explanations",
    "runtime",
    "multilabel",
    "export",
    "preflight",
    "demo",
    "cli",
    "__main__",
)
HEAVY = {"torch", "mmcv", "mmseg", "mmdet"}
FILES = sorted(PACKAGE.rglob("*.py"))


def row(file: Path) -> int:
    return ROWS.index(file.relative_to(PACKAGE).parts[0].removesuffix(".py"))


def imports(file: Path, *, top_level: bool) -> Iterator[str]:
    tree = ast.parse(file.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_modules(names: Iterator[str]) -> Iterator[Path]:
    for name in names:
        parts = name.split(".")
        if parts[0] == "mmseg_fixkit" and len(parts) > 1:
            base = PACKAGE.joinpath(*parts[1:])
            for file in (base.with_suffix(".py"), base / "__init__.py"):
                if file.is_file():
                    yield file


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_go_downwards(file: Path) -> None:
    above = [
        target for target in own_modules(imports(file, top_level=False)) if row(target) > row(file)
    ]
    assert above == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    below = {file: {*own_modules(imports(file, top_level=False))} - {file} for file in FILES}
    faces = {file for file in FILES if file.name == "__init__.py"}  # they hand on what is in theirs
    left = {file: targets - faces for file, targets in below.items() if file not in faces}
    while ground := {file for file, targets in left.items() if not targets & left.keys()}:
        left = {file: targets for file, targets in left.items() if file not in ground}
    assert not left


@pytest.mark.parametrize(
    "file",
    [f for f in FILES if row(f) < ROWS.index("runtime") or row(f) == ROWS.index("cli")],
    ids=lambda f: str(f.relative_to(PACKAGE)),
)
def test_nothing_light_loads_the_host(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(file, top_level=True)}
    assert not roots & HEAVY
    if file.name != "load.py":
        assert "mmengine" not in roots


def test_every_module_has_a_row() -> None:
    assert {f.relative_to(PACKAGE).parts[0].removesuffix(".py") for f in FILES} == set(ROWS)
