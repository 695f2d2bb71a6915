"""The mutants that a file can have, by the operators of cosmic-ray and two of our own."""

from __future__ import annotations

import ast
import difflib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import parso
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

#: A line and a column of a source.
Place = tuple[int, int]
#: Operators that fit a place, each with its number in the file.
Choices = list[tuple[str, int]]


@dataclass(frozen=True)
class Mutant:
    """A source with one fault."""

    file: str  # relative to the root of the tree
    line: int
    operator: str
    source: str
    diff: str


class DropOperand(Operator):
    """One of the conditions that ``and`` or ``or`` joins is not looked at."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Place, Place]]:
        if node.type in {"and_test", "or_test"}:
            yield from ((each.start_pos, each.end_pos) for each in node.children[::2])

    def mutate(self, node: Any, index: int) -> Any:
        kept = node.children[::2]
        del kept[index]
        word = f" {node.children[1].value} "
        code = word.join(each.get_code(include_prefix=False) for each in kept)
        return _parsed(code, like=node)

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class DropStatement(Operator):
    """A call for its effect, an addition in place or an error is left out."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Place, Place]]:
        if node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.start_pos, node.children[0].end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[0] = _parsed("pass", like=node)
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


def _parsed(code: str, like: Any) -> Any:
    parsed = parso.parse(code).children[0]
    parsed.get_first_leaf().prefix = like.get_first_leaf().prefix
    return parsed


def _has_effect(statement: Any) -> bool:
    if statement.type == "atom_expr":
        return bool(statement.children[-1].get_code().startswith("("))
    code = statement.get_code()
    return statement.type == "raise_stmt" or bool(
        statement.type == "expr_stmt" and re.match(r"\s*[\w.\[\]]+ ([+\-*/|&]|//)= ", code)
    )


#: No fault, or none but for values that are equal and not the same.
_SAME = ("/NoOp", "_Eq_Is", "_NotEq_IsNot", "_Is_Eq", "_IsNot_NotEq")


@cache
def operators() -> dict[str, Any]:
    """Return the operators by name: those that need no arguments."""
    names = [name for name in plugins.operator_names() if not name.endswith(_SAME)]
    known = {name.partition("/")[2]: plugins.get_operator(name) for name in names}
    ours = {each.__name__: each for each in (DropOperand, DropStatement)}
    return {n: each() for n, each in {**known, **ours}.items() if not each.arguments()}


def places(source: str, *, with_numbers: bool) -> dict[tuple[Place, Place], Choices]:
    """Return the operators that fit each place."""
    left_out = _left_out(ast.parse(source))
    nodes = list(ast_nodes(get_ast(source)))
    signs = [node for node in nodes if node.type == "operator"]
    found: dict[tuple[Place, Place], Choices] = {}
    for name, operator in operators().items():
        if name == "NumberReplacer" and not with_numbers:
            continue
        number = 0
        # There are 132 of these, and most nodes are something else.
        for node in signs if name.startswith("ReplaceBinaryOperator") else nodes:
            for span in operator.mutation_positions(node):
                if not any(first <= span[0] < last for first, last in left_out):
                    found.setdefault(tuple(span), []).append((name, number))
                number += 1
    return found


def mutant(
    file: str, source: str, line: int, choices: Choices, numbers: random.Random
) -> Mutant | None:
    """Return one of the mutants of a place, or None if that is not Python any more."""
    name, occurrence = numbers.choice(choices)
    changed = mutate_code(source, operators()[name], occurrence)
    if changed is None or _tree(changed) in {None, _tree(source)}:
        return None
    lines = difflib.unified_diff(
        source.splitlines(), changed.splitlines(), f"a/{file}", f"b/{file}", lineterm="", n=2
    )
    return Mutant(file, line, name, changed, "\n".join(lines))


def _tree(source: str) -> str | None:
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return None


#: Decorators that say how a class is made or that something is remembered.
_MADE = re.compile(r"@?(?:dataclass|dataclasses\.|overload|typing\.|functools\.|cache|lru_cache)")
_LOGS = re.compile(r"(?:logging|logger|_?log|print_log|MMLogger|self\.logger|runner\.logger)\b")


def _left_out(tree: ast.AST) -> list[tuple[Place, Place]]:
    """Return the spans that have no mutants: types, exported names, logs, other Pythons."""
    # One column more: the @ of a decorator.
    return [
        ((each.lineno, max(0, each.col_offset - 1)), (each.end_lineno, each.end_col_offset))
        for node in ast.walk(tree)
        for each in _without_behaviour(node)
    ]


def _without_behaviour(node: ast.AST) -> Iterator[Any]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield from (each for each in node.decorator_list if _MADE.match(ast.unparse(each)))
    if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
        yield node.annotation
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns:
        yield node.returns
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in {"__all__", "__version__"}:
        yield node
    if isinstance(node, ast.Expr) and _LOGS.match(ast.unparse(node)):
        yield node
    if isinstance(node, ast.If) and re.search("TYPE_CHECKING|version_info", ast.unparse(node.test)):
        yield node
