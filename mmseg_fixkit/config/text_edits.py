"""A config's own text, changed where it writes a value: comments and layout stay.

One pass replaces spans at ``ast`` positions. Values that the file takes from one of its variables
are changed in the variable if every use wants that, else where they are used; values that come
from a base are added to the file, whose bases are never touched. What one pass cannot know (an
expression that a changed variable takes part in) shows when the text is loaded again, and is left
to the next pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any, Optional

from mmseg_fixkit.config.lazy_import import import_lines, local_names, with_names
from mmseg_fixkit.config.overlay import DELETE, assignment, ordered, shared
from mmseg_fixkit.config.source import ConfigText, child, dict_items, is_dict
from mmseg_fixkit.config.spans import Layout, Splice, splice
from mmseg_fixkit.config.tree import ABSENT, differences, lookup, same
from mmseg_fixkit.core.diagnostics import KeyPath

#: Top-level names that MMEngine's runner or the host reads; others are variables of the file.
RUNNER_KEYS = frozenset(
    {
        "auto_scale_lr",
        "cfg",
        "compile",
        "custom_hooks",
        "custom_imports",
        "data_preprocessor",
        "default_hooks",
        "default_scope",
        "env_cfg",
        "launcher",
        "load_from",
        "log_level",
        "log_processor",
        "model",
        "optim_wrapper",
        "param_scheduler",
        "randomness",
        "resume",
        "test_cfg",
        "test_dataloader",
        "test_evaluator",
        "train_cfg",
        "train_dataloader",
        "tta_model",
        "tta_pipeline",
        "val_cfg",
        "val_dataloader",
        "val_evaluator",
        "visualizer",
        "work_dir",
    }
)

_MISSING = object()

_CONTAINERS = (ast.Dict, ast.List, ast.Tuple, ast.Call)


def edited(text: bytes, before: dict[str, Any], after: dict[str, Any], new_style: bool) -> bytes:
    """Return a config's text after one pass from the tree ``before`` towards ``after``."""
    editor = _Editor(text, before, after, new_style)
    for key, old, new in differences(before, after):
        editor.change(key, old, new)
    return splice(text, editor.splices())


@dataclass(frozen=True)
class _Spot:
    """How far the file's own text leads towards a key."""

    node: ast.expr  # the deepest expression on the way
    depth: int  # how many parts of the key lead there
    entry: ast.expr  # what stands there for ``node``: itself, or a variable
    parent: Optional[ast.expr] = None  # the container that ``entry`` is in
    fixed: bool = False  # whether ``node`` is a variable that must keep its value


@dataclass
class _Editor:
    """The changes of one pass."""

    text: bytes
    before: dict[str, Any]
    after: dict[str, Any]
    new_style: bool
    made: list[tuple[ast.expr, Any]] = field(default_factory=list)
    removed: list[Splice] = field(default_factory=list)
    added: dict[ast.expr, dict[Any, Any]] = field(default_factory=dict)
    inserted: list[tuple[ast.expr, int, Any]] = field(default_factory=list)
    appended: dict[str, Any] = field(default_factory=dict)
    variables: set[str] = field(default_factory=set)

    @cached_property
    def source(self) -> ConfigText:
        return ConfigText(self.text)

    # --- what to change -----------------------------------------------------------------------

    def change(self, key: KeyPath, old: Any, new: Any) -> None:
        """Note what makes the value at ``key`` the ``new`` one."""
        spot = self._reach(key)
        if spot is None:
            path, value = self._inherited(key, 0)
            _put(self.appended, path, value)
        elif spot.fixed or (spot.depth < len(key) and not is_dict(spot.node)):
            self.made.append((spot.node, lookup(self.after, key[: spot.depth])))
        elif spot.depth < len(key):
            self._add(spot, key)
        elif new is ABSENT:
            self.removed.append(self._without(spot.entry, spot.parent))
        elif isinstance(spot.node, ast.List) and _of_dicts(old) and _of_dicts(new):
            self._align(spot.node, old, new)
        else:
            self.made.append((spot.node, new))

    def _add(self, spot: _Spot, key: KeyPath) -> None:
        path, value = self._inherited(key, spot.depth)
        whole = lookup(self.after, key[: spot.depth])
        if len(path) == spot.depth:
            self.made.append((spot.node, value))
        elif _unpacks(spot.node):  # an entry given twice is a fault
            deletes = dict(dict_items(spot.node)).keys() & {DELETE}
            self.made.append((spot.node, {DELETE: True, **whole} if deletes else whole))
        else:
            _put(self.added.setdefault(spot.node, {}), path[spot.depth :], value)

    def _inherited(self, key: KeyPath, depth: int) -> tuple[KeyPath, Any]:
        """Return the key to write, at ``depth`` or below, and its value, for what a base has.

        A base's list is written whole; what a base has is only dropped with its whole dict.
        """
        for end in range(depth + 1, len(key)):
            if not isinstance(lookup(self.before, key[:end]), dict):
                return key[:end], lookup(self.after, key[:end])
        value = lookup(self.after, key, ABSENT)
        if value is ABSENT:
            return key[:-1], {DELETE: True, **lookup(self.after, key[:-1])}
        replaced = isinstance(value, dict) and lookup(self.before, key) is not None
        return key, {DELETE: True, **value} if replaced else value

    def _align(self, node: ast.List, old: list[Any], new: list[Any]) -> None:
        """Change a pipeline or a list of hooks step by step."""
        matcher = SequenceMatcher(None, [repr(v) for v in old], [repr(v) for v in new], False)
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            if kind == "equal":
                continue
            both = min(i2 - i1, j2 - j1)
            for offset in range(both):
                self.made.append((node.elts[i1 + offset], new[j1 + offset]))
            for index in range(i1 + both, i2):
                self.removed.append(self._without(node.elts[index], node))
            for index in range(j1 + both, j2):
                self.inserted.append((node, i2, new[index]))

    def _without(self, node: ast.expr, parent: Optional[ast.expr]) -> Splice:
        layout = Layout(self.text)
        if parent is not None:
            return layout.entry(node, parent)
        return layout.statement(next(s for s in self.source.module.body if _holds(s, node)))

    # --- where it is written ------------------------------------------------------------------

    def _reach(self, key: KeyPath) -> Optional[_Spot]:
        best: Optional[_Spot] = None
        for write in reversed(self.source.writes):
            if write.key == key[: len(write.key)]:
                spot = self._descend(write.node, key, len(write.key))
                if best is None or spot.depth > best.depth:
                    best = spot
        return best

    def _descend(self, node: ast.expr, key: KeyPath, depth: int) -> _Spot:
        parent: Optional[ast.expr] = None
        entry = node
        while True:
            if isinstance(node, ast.Name) and node.id in self.source.variables:
                if not self._may_change(node.id):
                    return _Spot(node, depth, entry, parent, fixed=True)
                self.variables.add(node.id)
                node = self.source.variables[node.id]
                continue
            below = child(node, key[depth]) if depth < len(key) else None
            if below is None:
                return _Spot(node, depth, entry, parent)
            node, entry, parent, depth = below, below, node, depth + 1

    def _may_change(self, name: str) -> bool:
        """Whether every use of a variable is to have the same value."""
        uses = self._uses.get(name, ())
        keys = [key for key, direct in uses if direct]
        if name in RUNNER_KEYS:
            keys.append((name,))
        elif not same(lookup(self.before, (name,)), lookup(self.after, (name,))):
            return False
        wanted = [lookup(self.after, key, _MISSING) for key in keys]
        alike = all(same(wanted[0], value) for value in wanted)
        # An expression is looked at again in the next pass, if it is to change or is a variable.
        open_ = all(
            key[0] not in RUNNER_KEYS or lookup(self.after, key) != lookup(self.before, key)
            for key, direct in uses
            if not direct
        )
        return alike and open_ and self._loads.count(name) == len(uses) and self._once(name)

    def _once(self, name: str) -> bool:
        return sum(write.key[0] == name for write in self.source.all_writes) == 1

    @cached_property
    def _loads(self) -> list[str]:
        return [
            node.id
            for node in ast.walk(self.source.module)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        ]

    @cached_property
    def _uses(self) -> dict[str, list[tuple[KeyPath, bool]]]:
        """Variable -> the keys that take their value from it, and whether they are it alone."""
        found: dict[str, list[tuple[KeyPath, bool]]] = {}
        for write in self.source.writes:
            for key, name, direct in _names(write.key, write.node):
                found.setdefault(name, []).append((key, direct))
        return found

    # --- the text -----------------------------------------------------------------------------

    def splices(self) -> Iterator[Splice]:
        """Yield the changes of the text."""
        layout = Layout(self.text)
        names = self._local_names()
        yield from self.removed
        for node, value in self._replaced():
            yield layout.replaced(node, with_names(value, names))
        for node, entries in self.added.items():
            yield from layout.with_entries(node, with_names(entries, names))
        for (node, index), values in self._inserted().items():
            yield from layout.with_elements(node, index, [with_names(v, names) for v in values])
        if self.appended:
            yield self._behind_all(with_names(self.appended, names))
        known = self._imported
        lines = import_lines({d: local for d, local in names.items() if d not in known})
        if lines:
            yield layout.imports(self.source.module, lines)

    def _replaced(self) -> Iterator[tuple[ast.expr, Any]]:
        """Yield what is replaced now: an expression of a changed variable may come out right."""
        for node, value in self.made:
            computed = not isinstance(node, (ast.Name, ast.Constant, *_CONTAINERS))
            names = {below.id for below in ast.walk(node) if isinstance(below, ast.Name)}
            if not (computed and names & self.variables):
                yield node, value

    def _inserted(self) -> dict[tuple[ast.expr, int], list[Any]]:
        found: dict[tuple[ast.expr, int], list[Any]] = {}
        for node, index, value in self.inserted:
            values = found.setdefault((node, index), [])
            # Two keys that are one variable ask for the same.
            if not any(same(value, other) for other in values):
                values.append(value)
        return found

    def _behind_all(self, delta: dict[str, Any]) -> Splice:
        body = {name: delta[name] for name in ordered(delta)}
        pairs = body.items() if self.new_style else shared(body)
        blocks = [assignment(n, v, {}, merged=self._merges(n, v)) for n, v in pairs]
        return Splice(len(self.text.rstrip()), len(self.text), "\n\n" + "\n\n".join(blocks) + "\n")

    def _merges(self, name: str, value: Any) -> bool:
        return self.new_style and isinstance(value, dict) and name in self.before

    def _local_names(self) -> dict[str, str]:
        values = [
            *(value for _, value in self.made),
            *self.added.values(),
            *(value for _, _, value in self.inserted),
            *self.appended.values(),
        ]
        if not self.new_style:
            return {}
        return local_names(values, self._imported, self.before)

    @cached_property
    def _imported(self) -> Mapping[str, str]:
        return {
            f"{node.module}.{alias.name}": alias.asname or alias.name
            for node in self.source.module.body
            if isinstance(node, ast.ImportFrom) and not node.level
            for alias in node.names
        }


def _put(tree: dict[Any, Any], path: KeyPath, value: Any) -> None:
    *parents, last = path
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _unpacks(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and any(keyword.arg is None for keyword in node.keywords)


def _of_dicts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) for entry in value)


def _holds(statement: ast.stmt, node: ast.expr) -> bool:
    return any(below is node for below in ast.walk(statement))


def _names(key: KeyPath, node: ast.expr) -> Iterator[tuple[KeyPath, str, bool]]:
    """Yield the variables below an expression: where, which, and whether one stands alone."""
    if isinstance(node, ast.Name):
        yield key, node.id, True
    elif isinstance(node, (ast.List, ast.Tuple)):
        for index, entry in enumerate(node.elts):
            yield from _names((*key, index), entry)
    elif is_dict(node):
        entries = list(dict_items(node))
        for name, entry in entries:
            yield from _names((*key, name), entry)
        known = {id(below) for _, entry in entries for below in ast.walk(entry)}
        yield from _inside(key, node, known)
    else:
        yield from _inside(key, node, set())


def _inside(key: KeyPath, node: ast.expr, known: set[int]) -> Iterator[tuple[KeyPath, str, bool]]:
    for below in ast.walk(node):
        if isinstance(below, ast.Name) and id(below) not in known:
            yield key, below.id, False
