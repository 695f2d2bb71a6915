"""Writes the generated pages of the reference.

``python -m docs.generate.pages cli > docs/cli.md``
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

import click

import mmseg_fixkit
from mmseg_fixkit.cli import VERBS, app
from mmseg_fixkit.core.registration import PARTS

_KINDS = {
    "HOOKS": "Hooks",
    "TRANSFORMS": "Transforms",
    "MODELS": "Losses and segmentors",
    "METRICS": "Metrics",
    "VISUALIZERS": "Visualizers",
}
#: What reads as code in help texts: options, names with underscores, tables of TOML, patterns.
_CODE = re.compile(
    r"(?<![\w`'])(?:--[a-z-]+\w|\[tool\.[\w.-]+\]|mmseg::\S+\.py|\{[a-z]+\}|'[^' ]*[;#{][^']*'|"
    r"[a-z]+_[a-z_0-9]+|(?:[a-z]+/)?[a-z]+\.(?:py|toml|json)(?!\w))"
)


# --- the command line ----------------------------------------------------------------------------


def command_line() -> str:
    """Write a section for each verb, from the parser."""
    lines = [
        "# Command line",
        "",
        "Written by `python -m docs.generate.pages cli` from the parser: what "
        "`mmseg-fix VERB --help` says.",
        "",
        *_wrapped(app.epilog or ""),
        "",
    ]
    for verb in VERBS:
        found = app.get_command(click.Context(app, info_name="mmseg-fix"), verb)
        assert found is not None
        lines += _verb(verb, found)
    return "\n".join(lines).rstrip() + "\n"


def _verb(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"mmseg-fix {name}")
    arguments = [
        p.metavar or str(p.name).upper() for p in command.params if isinstance(p, click.Argument)
    ]
    yield from (f"## {name}", "", "```text", f"mmseg-fix {name} [OPTIONS] {' '.join(arguments)}")
    yield from ("```", "")
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from (*_wrapped(paragraph.replace("\n", " ")), "")
    yield from ("| option | |", "|---|---|")
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            yield f"| `{_cell(record[0])}` | {_coded(_cell(record[1]))} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _wrapped(text: str) -> list[str]:
    one = _coded(" ".join(text.split()))
    return textwrap.wrap(one, 120, break_long_words=False, break_on_hyphens=False)


def _coded(text: str) -> str:
    """Mark options, file patterns and the like as code, as a browser must not improve them."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else _CODE.sub(r"`\g<0>`", p) for p in parts)


# --- the library ---------------------------------------------------------------------------------


def library() -> str:
    """Write a section for each public name and each registered part, from their docstrings."""
    lines = [
        "# API",
        "",
        "Written by `python -m docs.generate.pages api` from the docstrings. "
        "[From Python](library.md) shows how to use it.",
        "",
        "## Public names",
        "",
        "All are imported from `mmseg_fixkit`.",
        "",
    ]
    for name in sorted(mmseg_fixkit.__all__, key=str.lower):
        if not name.startswith("__"):
            lines += _named(name, getattr(mmseg_fixkit, name))
    for registry, title in _KINDS.items():
        lines += [f"## {title}", "", "Named by `type` in a config.", ""]
        for name, module in PARTS[registry].items():
            lines += _described(name, getattr(importlib.import_module(module), name))
    return "\n".join(lines).rstrip() + "\n"


def _named(name: str, what: Any) -> Iterator[str]:
    yield from _described(name, what)
    if not inspect.isclass(what) or issubclass(what, Exception):
        return
    if issubclass(what, Enum):
        yield from (f"One of {', '.join(f'`{name}.{member.name}`' for member in what)}.", "")
        return
    for attribute, member in vars(what).items():
        if attribute.startswith("_") or not _is_own(member):
            continue
        function = member.fget if isinstance(member, property) else inspect.unwrap(_plain(member))
        shown = "" if isinstance(member, property) else _signature(function)
        text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
        yield f"- **`.{attribute}{shown}`** {_markdown(text)}"
    yield ""


def _is_own(member: Any) -> bool:
    return isinstance(member, (property, classmethod, staticmethod)) or inspect.isfunction(member)


def _plain(member: Any) -> Any:
    return getattr(member, "__func__", member)


def _described(name: str, what: Any) -> Iterator[str]:
    yield from (f"### {name}", "")
    if not (inspect.isclass(what) and issubclass(what, (Exception, Enum))):
        yield from ("```python", _call(name, what), "```", "")
    yield from _docstring(inspect.getdoc(what) or "")


def _call(name: str, what: Any) -> str:
    one = f"{name}{_signature(what)}"
    if len(one) <= 100:
        return one
    inner, _, returned = one[len(name) + 1 :].rpartition(")")
    parts = re.split(r", (?=[*\w]+(?:[:=,]|$))", inner)
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returned}"


def _signature(what: Any) -> str:
    try:
        found = inspect.signature(what)
    except (TypeError, ValueError):
        return ""
    kept = [p for name, p in found.parameters.items() if name not in ("self", "cls")]
    if inspect.isclass(what):
        found = found.replace(return_annotation=inspect.Signature.empty)
    text = str(found.replace(parameters=kept))
    text = re.sub(r"<([A-Z]\w+\.[A-Z]+): [^>]+>", r"\1", text)
    return re.sub(r"'([\w\[\], .|\"]+)'(?=[,)=\s]|$)", _unquoted, text)


def _unquoted(match: re.Match[str]) -> str:
    """Take the quotes off annotations, which are texts, and leave those of default values."""
    before = match.string[: match.start()]
    return match[1] if before.endswith((": ", "-> ")) else match[0]


def _docstring(text: str) -> Iterator[str]:
    """Turn sections of a docstring into lists, and the rest into paragraphs."""
    for block in text.split("\n\n"):
        title, _, rest = block.partition("\n")
        if title in ("Args:", "Raises:"):
            yield from (f"*{title.rstrip(':')}*", "", *_items(textwrap.dedent(rest)), "")
        elif title == "Returns:":
            yield from ("*Returns*", "", _markdown(textwrap.dedent(rest)), "")
        else:
            yield from (_markdown(block), "")


def _items(text: str) -> Iterator[str]:
    for item in re.split(r"\n(?=\S)", text):
        name, colon, said = " ".join(item.split()).partition(": ")
        yield f"- `{name}`: {_markdown(said)}" if colon else f"- {_markdown(name)}"


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return re.sub(r"``([^`]+)``", r"`\1`", text)


PAGES = {"cli": command_line, "api": library}

if __name__ == "__main__":
    sys.stdout.write(PAGES[sys.argv[1]]())
