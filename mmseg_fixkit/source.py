"""Key path -> file, line and column, found with the standard library's ``ast``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

from mmseg_fixkit.diagnostics import KeyPath, Location

#: Resolves an entry of ``_base_`` against the file that names it; None where it cannot.
Resolver = Callable[[str, Path], Optional[Path]]

MAX_DEPTH = 20


class NotLiteralError(ValueError):
    """An expression that is more than constants, containers and ``dict(...)``."""


def literal(node: ast.AST) -> Any:
    """Evaluate constants, tuples, lists, dicts, ``dict(a=1)`` and signs.

    Raises:
        NotLiteralError: anything else stands in the expression.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple):
        return tuple(literal(e) for e in node.elts)
    if isinstance(node, ast.List):
        return [literal(e) for e in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -literal(node.operand)
    children = dict(_dict_items(node))
    if not children and not _is_dict(node):
        raise NotLiteralError(ast.dump(node))
    return {key: literal(value) for key, value in children.items()}


class ConfigSource:
    """The text of a config file and of the files it inherits from, parsed when first asked."""

    def __init__(self, path: Path, resolve: Resolver, depth: int = 0) -> None:
        self.path = path
        self._resolve = resolve
        self._depth = depth
        self._module: Optional[ast.Module] = None
        self._assigned: dict[str, ast.expr] = {}
        self._lines: list[str] = []

    def locate(self, key: KeyPath) -> Optional[Location]:
        """Return where the value at ``key`` is written, nearest file first.

        A key that no file writes out (a default of the host) is located at its closest parent.
        """
        for length in range(len(key), 0, -1):
            found = self._find(key[:length])
            if found is not None:
                return found
        return None

    def _find(self, key: KeyPath) -> Optional[Location]:
        self._parse()
        node = self._descend(key)
        if node is not None:
            return Location(str(self.path), node.lineno, self._column(node))
        for base in self._bases():
            found = base._find(key)
            if found is not None:
                return found
        return None

    def _column(self, node: ast.expr) -> int:
        """Count letters from 1; ``ast`` counts bytes from 0."""
        before = self._lines[node.lineno - 1].encode()[: node.col_offset]
        return len(before.decode()) + 1

    def _parse(self) -> None:
        if self._module is not None:
            return
        try:
            text = self.path.read_text(encoding="utf-8")
            self._lines = text.split("\n")
            self._module = ast.parse(text)
        except (OSError, SyntaxError, ValueError):
            self._module = ast.Module(body=[], type_ignores=[])
        for statement in self._module.body:
            if isinstance(statement, ast.Assign):
                for target in statement.targets:
                    if isinstance(target, ast.Name):
                        self._assigned[target.id] = statement.value

    def _descend(self, key: KeyPath) -> Optional[ast.expr]:
        node: Optional[ast.expr] = self._assigned.get(str(key[0]))
        for part in key[1:]:
            node = _child(self._follow(node), part)
        return node

    def _follow(self, node: Optional[ast.expr]) -> Optional[ast.expr]:
        """Replace a variable by what the same file assigned to it."""
        for _ in range(MAX_DEPTH):
            if not isinstance(node, ast.Name) or node.id not in self._assigned:
                break
            node = self._assigned[node.id]
        return node

    def _bases(self) -> Iterator[ConfigSource]:
        node = self._assigned.get("_base_")
        if node is None or self._depth >= MAX_DEPTH:
            return
        try:
            value = literal(node)
        except NotLiteralError:
            return
        for entry in [value] if isinstance(value, str) else value:
            path = self._resolve(entry, self.path)
            if path is not None:
                yield ConfigSource(path, self._resolve, self._depth + 1)


def _is_dict(node: ast.AST) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return isinstance(node, ast.Dict) or (called and node.func.id == "dict")  # type: ignore[attr-defined]


def _dict_items(node: ast.AST) -> Iterator[tuple[Any, ast.expr]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Constant):
                yield key.value, value
    elif isinstance(node, ast.Call) and _is_dict(node) and not node.args:
        for keyword in node.keywords:
            if keyword.arg is not None:
                yield keyword.arg, keyword.value


def _child(node: Optional[ast.expr], part: object) -> Optional[ast.expr]:
    if node is None:
        return None
    if isinstance(node, (ast.List, ast.Tuple)) and isinstance(part, int):
        return node.elts[part] if part < len(node.elts) else None
    return dict(_dict_items(node)).get(part)
