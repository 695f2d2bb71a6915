"""New-style configs: what they import by name, and the import statements that their text needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmseg_fixkit.config.render import WIDTH, Name
from mmseg_fixkit.config.tree import Imported, walk, without_key
from mmseg_fixkit.core.registration import PARTS

#: MMEngine marks what comes from a base named ``mmseg::…`` with the package it comes from.
SCOPE = "_scope_"

#: What rules write beside the parts of this package.
_OF_THE_HOST = {
    "BaseCDDataset": "mmseg.datasets",
    "BaseSegDataset": "mmseg.datasets",
    "IoUMetric": "mmseg.evaluation",
}

#: Where a new-style config imports the types that rules write. Others are imported from where
#: the config itself has them from.
MODULES = {
    name: module for parts in (*PARTS.values(), _OF_THE_HOST) for name, module in parts.items()
}


def qualified(value: Any, key: object = None) -> Any:
    """Return a tree in which the types of :data:`MODULES` are imported, not named by a text."""
    if isinstance(value, dict):
        return {name: qualified(child, name) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(qualified(child) for child in value)
    if key == "type" and isinstance(value, str) and value in MODULES:
        return Imported(f"{MODULES[value]}.{value}")
    return value


def comparable(tree: dict[str, Any], new_style: bool) -> dict[str, Any]:
    """Return a tree as it can be held against that of another text of the same config."""
    plain: dict[str, Any] = without_key(tree, SCOPE)
    return qualified(plain) if new_style else plain


def with_texts(value: Any) -> Any:
    """Return a tree in which what is imported is named by a text, which registries read too."""
    if isinstance(value, dict):
        return {name: with_texts(child) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_texts(child) for child in value)
    return str(value) if isinstance(value, Imported) else value


def local_names(values: Iterable[Any], known: Mapping[str, str], taken: Iterable[str]) -> _Names:
    """Return the name in a file for everything imported in ``values``.

    ``known`` holds the local names of what the file imports already, by dotted name; ``taken`` the
    names that mean something else in it.
    """
    names = dict(known)
    used = {*taken, *known.values()}
    for dotted in _imported(values):
        if dotted not in names:
            local = dotted.rpartition(".")[2]
            while local in used:
                local += "_"
            used.add(local)
            names[dotted] = local
    return names


_Names = dict[str, str]


def _imported(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from (str(leaf) for _, leaf in walk(value) if isinstance(leaf, Imported))


def with_names(value: Any, names: Mapping[str, str]) -> Any:
    """Return ``value`` with the local names in place of what is imported."""
    if isinstance(value, dict):
        return {name: with_names(child, names) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_names(child, names) for child in value)
    return Name(names[value]) if isinstance(value, Imported) else value


def import_lines(names: Mapping[str, str]) -> list[str]:
    """Return the import statements for dotted name -> local name, one a module, sorted."""
    found: dict[str, list[str]] = {}
    for dotted, local in names.items():
        module, _, name = dotted.rpartition(".")
        found.setdefault(module, []).append(name if name == local else f"{name} as {local}")
    return [_import_line(module, sorted(found[module])) for module in sorted(found)]


def _import_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"
