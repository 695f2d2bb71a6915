"""Modules import downwards only, and torch and the host are loaded by the rooms of a run alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import PACKAGE, ROOT

#: From the ground up: a room may import from those above its line here, and from itself.
ROOMS = (
    {"core"},
    {"config"},
    {"datasets", "checkpoint"},
    {"rules", "transforms"},
    {"models"},
    {"apis"},
    {"hooks"},
    {"runtime"},  # the alias of configs already written
    {"demo"},
    {"cli"},
)
HOST = {"torch", "mmcv", "mmseg", "mmdet", "mmengine"}
#: What may load them when it is imported; others do so inside the function that needs it.
OF_A_RUN = {"models", "transforms", "hooks", "runtime", "demo"}
APIS_OF_A_RUN = {"adapt", "export", "export_proof", "inference", "preflight"}
FILES = sorted(PACKAGE.rglob("*.py"))


def ident(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(ROOMS) if name in rooms)


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


def may_import(file: Path, target: Path) -> bool:
    own, other = room(file), room(target)
    return own == other or floor(other) < floor(own)


ROOMY = [f for f in FILES if room(f) not in {"__init__", "__main__"}]


@pytest.mark.parametrize("file", ROOMY, ids=ident)
def test_imports_go_downwards(file: Path) -> None:
    targets = own_modules(imports(file, top_level=False))
    above = [ident(target) for target in targets if not may_import(file, target)]
    assert not above, (
        f"{ident(file)} imports upwards: {above}; the rooms are in docs/how-it-works.md"
    )


def test_no_modules_import_each_other_in_a_circle() -> None:
    below = {file: {*own_modules(imports(file, top_level=False))} - {file} for file in FILES}
    faces = {file for file in FILES if file.name == "__init__.py"}  # they hand on what is in theirs
    left = {file: targets - faces for file, targets in below.items() if file not in faces}
    while ground := {file for file, targets in left.items() if not targets & left.keys()}:
        left = {file: targets for file, targets in left.items() if file not in ground}
    assert not left


def of_a_run(file: Path) -> bool:
    parts = [part.removesuffix(".py") for part in file.relative_to(PACKAGE).parts]
    return parts[0] in OF_A_RUN or (parts[0] == "apis" and parts[1] in APIS_OF_A_RUN)


@pytest.mark.parametrize("file", [f for f in FILES if not of_a_run(f)], ids=ident)
def test_nothing_light_loads_the_host(file: Path) -> None:
    roots = {name.split(".")[0] for name in imports(file, top_level=True)}
    assert not roots & HOST


#: What asks the disk, or a part of it; of pathlib, os.path or an entry of ``os.scandir``.
QUESTIONS = {
    *("exists", "is_file", "is_dir", "is_symlink", "expanduser", "samefile", "iterdir", "rglob"),
    *("isfile", "isdir", "islink", "lexists", "realpath", "readlink"),
}
#: Where an answer is not needed for any name: lists are made, with what cannot be listed as a
#: finding; the kinds of a file are told apart under the handler of that file.
ASK_THEMSELVES = {
    "core/files.py", "datasets/listing.py", "datasets/layout.py", "datasets/rewrite.py",
    "datasets/scan_files.py", "datasets/cache.py", "checkpoint/file_type.py", "checkpoint/files.py",
    "apis/convert_sources.py", "transforms/load_multilabel.py", "demo/scene.py", "cli/explain.py",
}  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=ident)
def test_one_module_asks_the_disk(file: Path) -> None:
    nodes = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    asked = [
        f"line {node.lineno}: {node.func.attr}"
        for node in nodes
        if isinstance(node.func, ast.Attribute) and node.func.attr in QUESTIONS
    ]
    assert not asked or ident(file) in ASK_THEMSELVES, (
        f"{ident(file)} asks the disk itself ({asked}), which raises for some names; core/files.py "
        "has an answer for any"
    )


def test_the_first_level_has_the_rooms_and_nothing_else() -> None:
    assert {room(f) for f in FILES} == {"__init__", "__main__", *(n for r in ROOMS for n in r)}


def test_what_is_left_out_on_one_stack_has_no_part_in_it() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    named = next(line for line in makefile.splitlines() if line.startswith("ONEDL_LEFT_OUT"))
    left_out = [ROOT / name for name in named.split()[2:]]
    assert len(left_out) > 10
    assert all(path.exists() for path in left_out)
    for file in (path for path in left_out if path.is_file()):
        roots = {name.split(".")[0] for name in imports(file, top_level=False)}
        assert not roots & HOST, file
