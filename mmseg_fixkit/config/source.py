"""Key path -> file, line and column, found with the standard library's ``ast``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Callable, Optional, Union

from mmseg_fixkit.core.diagnostics import KeyPath, Location

#: Resolves an entry of ``_base_`` against the file that names it; None where it cannot.
Resolver = Callable[[str, Path], Optional[Path]]

MAX_DEPTH = 20

#: Methods of ``ConfigDict`` with which new-style configs change what they inherit.
MERGING = frozenset({"merge", "update"})


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
    children = dict(dict_items(node))
    if not children and not is_dict(node):
        raise NotLiteralError(ast.dump(node))
    return {key: literal(value) for key, value in children.items()}


#: What ends a line of Python; the last of them is the one of old Macs.
LINE_END = re.compile(rb"\r\n|\n|\r")


def line_starts(text: bytes) -> list[int]:
    """Return where each line of a Python file starts."""
    return [0, *(end.end() for end in LINE_END.finditer(text))]


@dataclass(frozen=True)
class Write:
    """A statement that gives ``key`` a value: an assignment, or ``key.merge(dict(…))``."""

    key: KeyPath
    node: ast.expr
    merged: bool = False


class ConfigText:
    """One config file, parsed: what it writes, and where. What does not parse writes nothing."""

    def __init__(self, text: bytes) -> None:
        self._text, self._starts = text, line_starts(text)
        try:
            # As MMEngine reads it: always UTF-8, whatever a `coding:` comment says.
            self.module = ast.parse(text.decode("utf-8"))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.module = ast.Module(body=[], type_ignores=[])

    @cached_property
    def all_writes(self) -> tuple[Write, ...]:
        """Every write at the top level, in order."""
        return tuple(write for node in self.module.body for write in _writes(node))

    @cached_property
    def writes(self) -> tuple[Write, ...]:
        """The writes that count: an assignment undoes those before it at its key and below."""
        kept: list[Write] = []
        for write in self.all_writes:
            if not write.merged:
                kept = [w for w in kept if w.key[: len(write.key)] != write.key]
            kept.append(write)
        return tuple(kept)

    @cached_property
    def variables(self) -> dict[str, ast.expr]:
        """Each name's last value."""
        return {str(w.key[0]): w.node for w in self.writes if len(w.key) == 1}

    def find(self, key: KeyPath) -> Optional[ast.expr]:
        """Return the expression for ``key``, the last one that is written; None if there is none.

        A variable of the same file stands for its value.
        """
        for write in reversed(self.writes):
            if write.key == key[: len(write.key)]:
                node: Optional[ast.expr] = write.node
                for part in key[len(write.key) :]:
                    node = child(self.follow(node), part)
                if node is not None:
                    return node
        return None

    def follow(self, node: Optional[ast.expr]) -> Optional[ast.expr]:
        """Replace a variable by what the file assigns to it."""
        for _ in range(MAX_DEPTH):
            if not isinstance(node, ast.Name) or node.id not in self.variables:
                break
            node = self.variables[node.id]
        return node

    def column(self, node: ast.expr) -> int:
        """Count letters from 1; ``ast`` counts bytes from 0."""
        start = self._starts[node.lineno - 1]
        before = self._text[start : start + node.col_offset]
        return len(before.decode("utf-8", "replace")) + 1

    def base_names(self) -> Iterator[str]:
        """Yield what the file inherits from: entries of ``_base_``, or modules of ``read_base``.

        Raises ``NotLiteralError`` where only running the file can tell.
        """
        for statement in self.module.body:
            if isinstance(statement, ast.With):
                for node in statement.body:
                    if isinstance(node, ast.ImportFrom):
                        yield "." * node.level + (node.module or "")
        if "_base_" in self.variables:
            value = literal(self.variables["_base_"])
            names = value if isinstance(value, (list, tuple)) else [value]
            yield from (name for name in names if isinstance(name, str))


class ConfigSource:
    """The text of a config file and of the files it inherits from, parsed when first asked."""

    def __init__(self, path: Path, resolve: Resolver, depth: int = 0) -> None:
        self.path = path
        self._resolve = resolve
        self._depth = depth

    def locate(self, key: KeyPath) -> Optional[Location]:
        """Return where the value at ``key`` is written, nearest file first.

        A key that no file writes out (a default of the host) is located at its closest parent.
        """
        for length in range(len(key), 0, -1):
            found = self._find(key[:length])
            if found is not None:
                return found
        return None

    @cached_property
    def _text(self) -> ConfigText:
        try:
            return ConfigText(self.path.read_bytes())
        except OSError:
            return ConfigText(b"")

    def _find(self, key: KeyPath) -> Optional[Location]:
        node = self._text.find(key)
        if node is not None:
            return Location(str(self.path), node.lineno, self._text.column(node))
        for base in self.bases:
            found = base._find(key)
            if found is not None:
                return found
        return None

    @cached_property
    def bases(self) -> Sequence[ConfigSource]:
        """The files that this one inherits from, those that can be found."""
        if self._depth >= MAX_DEPTH:
            return ()
        try:
            names = tuple(self._text.base_names())
        except NotLiteralError:
            return ()
        paths = (self._resolve(name, self.path) for name in names)
        return [ConfigSource(p, self._resolve, self._depth + 1) for p in paths if p is not None]

    def inherited(self) -> Iterator[Path]:
        """Yield every file that this one inherits from, also through others."""
        for base in self.bases:
            yield base.path
            yield from base.inherited()


def _writes(statement: ast.stmt) -> Iterator[Write]:
    value = getattr(statement, "value", None)
    merged = isinstance(statement, ast.Expr)
    if isinstance(statement, ast.Assign):
        targets: Sequence[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign) and value is not None:
        targets = [statement.target]
    elif merged and _is_merge(value):
        assert isinstance(value, ast.Call)
        assert isinstance(value.func, ast.Attribute)
        targets = [value.func.value]
        value = value.args[0] if value.args else value
    else:
        return
    for target in targets:
        key = _target_key(target)
        if key and value is not None:
            yield Write(key, value, merged)


def _is_merge(node: Optional[ast.expr]) -> bool:
    """Whether an expression is ``x.merge(…)`` or ``x.update(…)`` with one dict, or keywords."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in MERGING
        and len(node.args) + bool(node.keywords) == 1
    )


def _target_key(node: ast.expr) -> KeyPath:
    """Return the key that ``model``, ``model.head`` or ``model['head'][0]`` means; () if none."""
    if isinstance(node, ast.Name):
        return (node.id,)
    part: Union[str, int, None] = None
    if isinstance(node, ast.Attribute):
        part = node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        part = node.slice.value if isinstance(node.slice.value, (str, int)) else None
    if part is None or not isinstance(node, (ast.Attribute, ast.Subscript)):
        return ()
    parent = _target_key(node.value)
    return (*parent, part) if parent else ()


def is_dict(node: Optional[ast.AST]) -> bool:
    """Whether an expression is ``{…}``, ``dict(…)`` or the call of a merge with keywords."""
    if isinstance(node, ast.Dict):
        return True
    if not isinstance(node, ast.Call) or node.args:
        return False
    return _is_merge(node) or (isinstance(node.func, ast.Name) and node.func.id == "dict")


def dict_items(node: Optional[ast.AST]) -> Iterator[tuple[Any, ast.expr]]:
    """Yield the entries of a dict expression whose keys are constants."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Constant):
                yield key.value, value
    elif isinstance(node, ast.Call) and is_dict(node):
        for keyword in node.keywords:
            if keyword.arg is not None:
                yield keyword.arg, keyword.value


def child(node: Optional[ast.expr], part: object) -> Optional[ast.expr]:
    """Return the expression at ``part`` of a dict or list expression; None if there is none."""
    if isinstance(node, (ast.List, ast.Tuple)) and isinstance(part, int):
        return node.elts[part] if part < len(node.elts) else None
    return dict(dict_items(node)).get(part)
