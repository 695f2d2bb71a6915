"""Where the entries of a config's text stand, and how new ones are laid out beside them."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Optional, Union

from mmseg_fixkit.config.render import STEP, WIDTH, render
from mmseg_fixkit.config.source import LINE_END, line_starts


class Splice(NamedTuple):
    """Bytes ``start`` to ``end`` of the file, and what takes their place."""

    start: int
    end: int
    text: str


def splice(text: bytes, changes: Iterable[Splice]) -> bytes:
    """Return ``text`` with the changes made; one inside another is dropped."""
    first = LINE_END.search(text)
    newline = first.group().decode() if first else "\n"
    done: list[Splice] = []
    # The widest of those that start together comes first, and swallows the others.
    for change in sorted(dict.fromkeys(changes), key=lambda c: (c.start, -c.end)):
        if not done or change.start >= done[-1].end:
            done.append(change)
    for start, end, new in reversed(done):
        text = text[:start] + new.replace("\n", newline).encode() + text[end:]
    return text


class Layout:
    """Where entries stand in the text, and how new ones are laid out beside them."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._starts = line_starts(text)

    def replaced(self, node: ast.expr, value: Any) -> Splice:
        """Return the change that puts ``value`` in place of an expression."""
        start, end = self._span(node)
        line = self._line_start(start)
        return Splice(start, end, render(value, self._indent(start), start - line))

    def statement(self, node: ast.stmt) -> Splice:
        """Return the change that takes a statement out, with its lines."""
        end = self._offset(node.end_lineno, node.end_col_offset)
        after = LINE_END.search(self._text, end)
        return Splice(self._offset(node.lineno, 0), after.end() if after else len(self._text), "")

    def entry(self, node: ast.expr, parent: ast.expr) -> Splice:
        """Return the change that takes an entry out of its dict or list."""
        spans = self._items(parent)
        index = next(i for i, (_, value) in enumerate(self._values(parent)) if value is node)
        if index + 1 < len(spans):
            return Splice(spans[index][0], spans[index + 1][0], "")
        start = spans[index - 1][1] if index else spans[index][0]
        return Splice(start, spans[index][1], "")

    def with_entries(self, node: ast.expr, entries: Mapping[Any, Any]) -> Iterator[Splice]:
        """Yield the changes that add entries to a dict expression."""
        items = self._items(node)
        if not items:
            yield self.replaced(node, dict(entries))
            return
        pad, own_lines = self._pad(node, items)
        keyword = isinstance(node, ast.Call)
        heads = [f"{name}=" if keyword else f"{name!r}: " for name in entries]
        texts = [
            head + render(value, pad, pad + len(head) + 1)
            for head, value in zip(heads, entries.values())
        ]
        if not own_lines and any("\n" in text for text in texts) and self._on_one_line(node):
            yield self._spread(node, items, list(zip(heads, entries.values())))
        else:
            yield from self._behind(items[-1], texts, pad, own_lines)

    def _on_one_line(self, node: ast.expr) -> bool:
        return node.lineno == node.end_lineno

    def _spread(
        self, node: ast.expr, items: list[tuple[int, int]], entries: list[tuple[str, Any]]
    ) -> Splice:
        """Return the change that gives each entry of a dict expression a line of its own."""
        start, end = self._span(node)
        pad = self._indent(start) + STEP
        texts = [self._text[first:last].decode() for first, last in items]
        texts += [head + render(value, pad, pad + len(head) + 1) for head, value in entries]
        opening = self._text[start : items[0][0]].decode().rstrip()
        closing = self._text[items[-1][1] : end].decode().strip(" ,")
        lines = ",".join(f"\n{' ' * pad}{text}" for text in texts)
        return Splice(start, end, f"{opening}{lines}{closing}")

    def with_elements(self, node: ast.expr, index: int, values: list[Any]) -> Iterator[Splice]:
        """Yield the changes that put values before the element at ``index`` of a list."""
        items = self._items(node)
        if not items:
            yield self.replaced(node, values)
            return
        pad, own_lines = self._pad(node, items)
        texts = [render(value, pad, pad + 1) for value in values]
        if index < len(items):
            between = f",\n{' ' * pad}" if own_lines else ", "
            start = items[index][0]
            yield Splice(start, start, "".join(text + between for text in texts))
        else:
            yield from self._behind(items[-1], texts, pad, own_lines)

    def imports(self, module: ast.Module, lines: list[str]) -> Splice:
        """Return the change that adds import statements behind those that are there."""
        there = [n for n in module.body if isinstance(n, (ast.Import, ast.ImportFrom))]
        if there:
            end = self._line_end(self._offset(there[-1].end_lineno, there[-1].end_col_offset))
            return Splice(end, end, "".join(f"\n{line}" for line in lines))
        start = self._offset(module.body[0].lineno, 0) if module.body else 0
        return Splice(start, start, "".join(f"{line}\n" for line in lines))

    # --- positions ----------------------------------------------------------------------------

    def _offset(self, line: Optional[int], column: Optional[int]) -> int:
        return self._starts[(line or 1) - 1] + (column or 0)

    def _span(self, node: Union[ast.expr, ast.keyword]) -> tuple[int, int]:
        start = self._offset(node.lineno, node.col_offset)
        return start, self._offset(node.end_lineno, node.end_col_offset)

    def _line_start(self, position: int) -> int:
        return self._starts[bisect_right(self._starts, position) - 1]

    def _line_end(self, position: int) -> int:
        end = LINE_END.search(self._text, position)
        return end.start() if end else len(self._text)

    def _indent(self, position: int) -> int:
        line = self._text[self._line_start(position) :]
        return len(line) - len(line.lstrip(b" \t"))

    def _values(self, node: ast.expr) -> list[tuple[int, ast.expr]]:
        """Return where each entry starts, and the expression of its value."""
        if isinstance(node, ast.Call):
            return [(self._offset(k.lineno, k.col_offset), k.value) for k in node.keywords]
        if isinstance(node, ast.Dict):
            keys = (key or value for key, value in zip(node.keys, node.values))
            return [(self._span(key)[0], value) for key, value in zip(keys, node.values)]
        assert isinstance(node, (ast.List, ast.Tuple))
        return [(self._span(element)[0], element) for element in node.elts]

    def _items(self, node: ast.expr) -> list[tuple[int, int]]:
        """Return the span of each entry, with the parentheses around its value."""
        return [(start, self._closed(start, value)) for start, value in self._values(node)]

    def _closed(self, start: int, value: ast.expr) -> int:
        first, end = self._span(value)
        for _ in range(self._text[start:first].count(b"(")):
            end = self._text.index(b")", end) + 1
        return end

    def _pad(self, node: ast.expr, items: list[tuple[int, int]]) -> tuple[int, bool]:
        """Return the column of entries, and whether the last one has a line of its own."""
        last = items[-1][0]
        line = self._line_start(last)
        if not self._text[line:last].strip():
            return last - line, True
        first = items[0][0]
        return first - self._line_start(first), False

    def _behind(
        self, last: tuple[int, int], texts: list[str], pad: int, own_lines: bool
    ) -> Iterator[Splice]:
        """Yield the changes that put entries behind the last one, and behind its comment."""
        end = last[1]
        comma, place = self._after(end)
        if own_lines and comma:
            lines = "".join(f"\n{' ' * pad}{text}," for text in texts)
            yield Splice(place, place, lines)
        elif own_lines:
            lines = ",".join(f"\n{' ' * pad}{text}" for text in texts)
            if place == end:
                yield Splice(end, end, f",{lines}")
            else:
                yield Splice(end, end, ",")
                yield Splice(place, place, lines)
        else:
            yield Splice(end, end, self._beside(end, texts, pad))

    def _beside(self, end: int, texts: list[str], pad: int) -> str:
        column = end - self._line_start(end)
        result = ""
        for text in texts:
            fits = column + len(text) + 3 <= WIDTH and "\n" not in text
            result += f", {text}" if fits else f",\n{' ' * pad}{text}"
            column = column + len(text) + 2 if fits else pad + len(text)
        return result

    def _after(self, end: int) -> tuple[bool, int]:
        """Return whether a comma follows, and where the line's code and comment end."""
        rest = self._text[end : self._line_end(end)]
        comma = rest.lstrip().startswith(b",")
        code = rest.lstrip()[1:] if comma else rest
        tail = code.strip()
        if tail.startswith(b"#") or (comma and not tail):
            return comma, end + len(rest.rstrip())
        return comma, end + (rest.index(b",") + 1 if comma else 0)
