"""FixPlan -> a new config: one that inherits from the old one, or the whole of it in one file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_fixkit.config import host
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.lazy_import import import_lines, local_names, qualified, with_names
from mmseg_fixkit.config.plan import FixPlan
from mmseg_fixkit.config.render import Name, comment, render
from mmseg_fixkit.config.tree import lookup, same, walk
from mmseg_fixkit.core.diagnostics import Diagnostic, KeyPath
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import real_path

#: Tells MMEngine to replace a base's dict instead of merging into it.
DELETE = "_delete_"

#: Top-level names in the order in which a person would write them; others come last.
_ORDER = (
    "custom_imports",
    "model",
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "val_evaluator",
    "test_evaluator",
    "custom_hooks",
    "load_from",
    "resume",
)


@dataclass(frozen=True)
class Rendered:
    """The text of a config file, and the tree that loading it must give."""

    text: str
    expected: dict[str, Any]


@dataclass(frozen=True)
class _Helper:
    """A variable of the overlay that several places refer to."""

    name: str
    value: Any
    keys: tuple[KeyPath, ...]


def render_overlay(document: ConfigDocument, plan: FixPlan, output: Path) -> Rendered:
    """Write what to inherit from and the changed keys only, with a comment for each change.

    Raises:
        FixkitError: the config has no file to inherit from, or a new-style one cannot be named.
    """
    if document.path is None:
        raise FixkitError(
            "this config was made in Python and has no file to inherit from; use flat"
        )
    before, after = plan.before, plan.after
    if document.new_style:
        before, after = qualified(before), qualified(after)
    delta = child_config(before, after)
    helpers = _helpers(delta, before)
    body = {name: _with_helpers(delta[name], helpers, (name,)) for name in ordered(delta)}
    child = _Child(document.path, output, body, helpers, before, _notes(plan, helpers))
    title = comment(f"Written by mmseg-fix: {document.path.name} with the changes below.")
    blocks = _new_style(child) if document.new_style else _old_style(child)
    expected = {**after, **{h.name: h.value for h in helpers}}
    return Rendered(f"{title}\n" + "\n\n".join(blocks) + "\n", expected)


def render_flat(document: ConfigDocument, plan: FixPlan) -> Rendered:
    """Write the whole config into one file that inherits from none."""
    tree = plan.after
    lines = [comment(f"{document.name}, flattened by mmseg-fix.")]
    names: dict[str, str] = {}
    if document.new_style:
        tree = qualified(tree)
        names = local_names(tree.values(), {}, tree)
        lines += import_lines(names)
    lines += [assignment(name, with_names(value, names), {}) for name, value in tree.items()]
    return Rendered("\n".join(lines) + "\n", dict(tree))


@dataclass(frozen=True)
class _Child:
    """What an overlay is written from."""

    base: Path
    output: Path
    body: dict[str, Any]
    helpers: Sequence[_Helper]
    before: Mapping[str, Any]
    notes: dict[KeyPath, str]


def _old_style(child: _Child) -> Iterator[str]:
    body, notes = dict(child.body), child.notes
    yield f"_base_ = {base_reference(child.base, child.output)!r}"
    if "custom_imports" in body:
        yield assignment("custom_imports", body.pop("custom_imports"), notes)
    yield from (assignment(h.name, h.value, notes) for h in child.helpers)
    yield from (assignment(name, value, notes) for name, value in shared(body))


def _new_style(child: _Child) -> Iterator[str]:
    """Names that come from the base are merged into; MMEngine calls it ``ConfigDict.merge``."""
    body, before, notes = child.body, child.before, child.notes
    module = base_module(child.base, child.output)
    values = [*body.values(), *(h.value for h in child.helpers)]
    names = local_names(values, {}, [*before, *body, "read_base"])
    yield "\n".join(import_lines({"mmengine.config.read_base": "read_base", **names}))
    yield f"with read_base():\n    from {module} import *"
    yield from (assignment(h.name, with_names(h.value, names), notes) for h in child.helpers)
    for name, value in body.items():
        merged = isinstance(value, dict) and isinstance(before.get(name), dict)
        yield assignment(name, with_names(value, names), notes, merged=merged)


def assignment(name: str, value: Any, notes: Mapping[KeyPath, str], *, merged: bool = False) -> str:
    """Return ``name = value``, or ``name.merge(value)``, below its comment."""
    above = f"{comment(notes[(name,)])}\n" if (name,) in notes else ""
    opening, closing = (f"{name}.merge(", ")") if merged else (f"{name} = ", "")
    return f"{above}{opening}{render(value, 0, len(opening), notes, (name,))}{closing}"


def child_config(before: Any, after: dict[str, Any]) -> dict[str, Any]:
    """Return what a child config has to say so that merging it into ``before`` gives ``after``.

    MMEngine merges dicts and replaces everything else; a key can only be dropped, or a dict put
    where there was something else, with ``_delete_`` (``Config._merge_a_into_b``).
    """
    child: dict[str, Any] = {}
    for name, value in after.items():
        old = before.get(name)
        if name in before and same(old, value):
            continue
        if not isinstance(value, dict) or name not in before:
            child[name] = value
        elif isinstance(old, dict) and set(old) <= set(value):
            child[name] = child_config(old, value)
        else:
            child[name] = {DELETE: True, **value}
    return child


def base_reference(base: Path, output: Path) -> str:
    """Return how a file at ``output`` names ``base`` in ``_base_``.

    A config of the installed zoo is named ``mmseg::…`` where the host can read that, so that the
    overlay works on other machines too; other files by their relative path.
    """
    base = real_path(base)
    root = host.package_path()
    configs = real_path(root / ".mim" / "configs") if root else None
    if configs and configs in base.parents:
        if host.reads_zoo_names():
            return f"mmseg::{base.relative_to(configs).as_posix()}"
        return base.as_posix()
    return Path(os.path.relpath(base, real_path(output.parent))).as_posix()


def base_module(base: Path, output: Path) -> str:
    """Return how a file at ``output`` imports ``base`` in ``with read_base():``.

    Raises:
        FixkitError: a folder or file on the way has a name that Python cannot import.
    """
    relative = Path(os.path.relpath(real_path(base), real_path(output.parent))).with_suffix("")
    ups = sum(part == ".." for part in relative.parts)
    names = relative.parts[ups:]
    odd = next((name for name in names if not name.isidentifier()), None)
    if odd is not None:
        raise FixkitError(
            f"{output} cannot inherit from {base}: new-style configs are imported, but {odd!r} is "
            "no name that Python can import; rename it, or use --flat or --in-place"
        )
    return "." * (ups + 1) + ".".join(names)


def shared(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Write ``test_dataloader = val_dataloader`` where both change in the same way."""
    for name, value in body.items():
        twin = name.replace("test_", "val_", 1)
        alike = name != twin and isinstance(value, dict) and same(body.get(twin), value)
        yield name, Name(twin) if alike and not _deletes(value) else value


def _deletes(value: Any) -> bool:
    # MMEngine takes _delete_ out of the dict that it reads: such a dict serves only once.
    return any(key[-1] == DELETE for key, _ in walk(value) if key)


def ordered(delta: dict[str, Any]) -> list[str]:
    """Return the top-level names in the order in which a person would write them."""
    known = [name for name in _ORDER if name in delta]
    return known + [name for name in delta if name not in known]


def _helpers(delta: dict[str, Any], before: dict[str, Any]) -> list[_Helper]:
    """Pipelines become variables, and so does a ``metainfo`` that several datasets share."""
    groups: list[tuple[Any, list[KeyPath]]] = []
    for key, value in _hoistable(delta):
        for known, keys in groups:
            if same(known, value):
                keys.append(key)
                break
        else:
            groups.append((value, [key]))
    helpers: dict[str, _Helper] = {}
    for value, keys in sorted(groups, key=lambda group: isinstance(group[0], list)):
        name = _helper_name(keys, value, before)
        if name not in helpers and (len(keys) > 1 or isinstance(value, list)):
            helpers[name] = _Helper(name, value, tuple(keys))
    return list(helpers.values())


def _hoistable(delta: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    for key, value in walk(delta):
        if not key or not str(key[0]).endswith("_dataloader"):
            continue
        pipeline = key[-1] == "pipeline" and isinstance(value, list)
        metainfo = key[-1] == "metainfo" and isinstance(value, dict) and DELETE not in value
        if pipeline or metainfo:
            yield key, value


def _helper_name(keys: Sequence[KeyPath], value: Any, before: dict[str, Any]) -> str:
    if keys[0][-1] == "metainfo":
        old = before.get("metainfo", {})
        # A variable of the base is merged into, so only one with no other keys can be reused.
        taken = not isinstance(old, dict) or not set(old) <= set(value)
        return "own_metainfo" if taken else "metainfo"
    splits = [str(key[0]).split("_", 1)[0] for key in keys]
    return f"{'test' if len(set(splits)) > 1 and 'train' not in splits else splits[0]}_pipeline"


def _with_helpers(value: Any, helpers: Sequence[_Helper], key: KeyPath) -> Any:
    for helper in helpers:
        if key in helper.keys:
            return Name(helper.name)
    if isinstance(value, dict):
        return {k: _with_helpers(v, helpers, (*key, k)) for k, v in value.items()}
    return value


#: Of values that a comment repeats.
_SHORT = 40
_MISSING = object()


def _notes(plan: FixPlan, helpers: Sequence[_Helper]) -> dict[KeyPath, str]:
    """Say above each changed entry what it was, and which rules changed it."""
    homes: dict[KeyPath, KeyPath] = {
        key: (helper.name,) for helper in helpers for key in helper.keys
    }
    notes: dict[KeyPath, dict[str, list[str]]] = {}
    for diagnostic in plan.applied:
        for key in _noted_keys(diagnostic, homes):
            changes = notes.setdefault(homes.get(key, key), {})
            codes = changes.setdefault(_change(plan.before, key), [])
            if diagnostic.code not in codes:
                codes.append(diagnostic.code)
    return {
        key: "; ".join(f"{change} ({', '.join(codes)})" for change, codes in changes.items())
        for key, changes in notes.items()
    }


def _noted_keys(diagnostic: Diagnostic, homes: dict[KeyPath, KeyPath]) -> Iterator[KeyPath]:
    for edit in diagnostic.fix.edits if diagnostic.fix else ():
        key = edit.key
        # Lists are written whole, so what changed inside one is noted above it.
        index = next((i for i, part in enumerate(key) if isinstance(part, int)), len(key))
        key = key[:index]
        if edit.value == {} and key[-1] == "metainfo":
            continue
        yield next((home for home in homes if key[: len(home)] == home), key)


def _change(before: dict[str, Any], key: KeyPath) -> str:
    old = lookup(before, key, _MISSING)
    if old is _MISSING:
        return "added"
    text = repr(old)
    return f"was {text}" if len(text) <= _SHORT else "changed"
