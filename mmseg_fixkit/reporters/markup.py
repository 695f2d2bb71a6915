"""HTML that is escaped by construction: whatever is not :class:`Markup` is text."""

from __future__ import annotations

import re
from html import escape
from typing import Union

#: Of the elements that are written here. Those of SVG have end tags.
_VOID = frozenset({"br", "img", "input"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Union[str, int, float]


def join(*children: Child) -> Markup:
    """Put children behind one another, escaping those that are plain text."""
    return Markup("".join(c if isinstance(c, Markup) else escape(str(c)) for c in children))


def tag(element: str, *children: Child, **attributes: object) -> Markup:
    """Return one element.

    Args:
        element: its name.
        children: what it holds.
        attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; True stands alone,
            False and None are left out.
    """
    start = f"<{element}{''.join(_attribute(k, v) for k, v in attributes.items())}>"
    return Markup(start if element in _VOID else f"{start}{join(*children)}</{element}>")


def _attribute(name: str, value: object) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


def prose(markdown: str) -> Markup:
    """Return the paragraphs of a rule's docstring; of Markdown it knows code and lists."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", markdown.strip())]
    return join(*(_paragraph(part) for part in parts if part))


def _paragraph(text: str) -> Markup:
    if text.startswith("```"):
        return tag("pre", tag("code", re.sub(r"^```\w*\n|\n?```$", "", text)))
    if text.startswith("- "):
        items = re.split(r"^- ", text, flags=re.M)[1:]
        return tag("ul", *(tag("li", inline(item)) for item in items))
    return tag("p", inline(text))


def inline(text: str) -> Markup:
    """Return one paragraph's text, with what stands between backticks as code."""
    # Every second part stood between backticks.
    parts = re.split(r"`+([^`]+)`+", " ".join(text.split()))
    return join(*(tag("code", part) if odd % 2 else part for odd, part in enumerate(parts)))
