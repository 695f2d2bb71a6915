"""FixPlan -> an overlay or a flat file: rendered, proved by loading it, written atomically."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from mmseg_fixkit import host
from mmseg_fixkit.diagnostics import Diagnostic, KeyPath, format_key
from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.load import load
from mmseg_fixkit.plan import FixPlan
from mmseg_fixkit.render import Name, render
from mmseg_fixkit.tree import differences, lookup, same, walk, without_key

#: Tells MMEngine to replace a base's dict instead of merging into it.
DELETE = "_delete_"

#: MMEngine marks what comes from a base named ``mmseg::…`` with the package it comes from.
SCOPE = "_scope_"

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
    """Write ``_base_`` and the changed keys only, with a comment for each change."""
    if document.path is None:
        raise FixkitError(
            "this config was made in Python and has no file to inherit from; use flat"
        )
    delta = child_config(plan.before, plan.after)
    helpers = _helpers(delta, plan.before)
    body = {name: _with_names(delta[name], helpers, (name,)) for name in _ordered(delta)}
    notes = _notes(plan, helpers)
    imports = [name for name in ("custom_imports",) if name in body]
    blocks = [
        f"# Written by mmseg-fix: {document.path.name} with the changes below.\n"
        f"_base_ = {base_reference(document.path, output)!r}",
        *(_assignment(name, body.pop(name), notes) for name in imports),
        *(_assignment(h.name, h.value, notes) for h in helpers),
        *(_assignment(name, value, notes) for name, value in _shared(body)),
    ]
    expected = {**plan.after, **{h.name: h.value for h in helpers}}
    return Rendered("\n\n".join(blocks) + "\n", expected)


def render_flat(document: ConfigDocument, plan: FixPlan) -> Rendered:
    """Write the whole config into one file that inherits from none."""
    blocks = [f"# {document.name}, flattened by mmseg-fix."]
    blocks += [_assignment(name, value, {}) for name, value in plan.after.items()]
    return Rendered("\n".join(blocks) + "\n", dict(plan.after))


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
    base = base.resolve()
    root = host.package_path()
    configs = (root / ".mim" / "configs").resolve() if root else None
    if configs and configs in base.parents:
        if host.reads_zoo_names():
            return f"mmseg::{base.relative_to(configs).as_posix()}"
        return base.as_posix()
    return Path(os.path.relpath(base, output.parent.resolve())).as_posix()


def write_proved(
    rendered: Rendered,
    output: Path,
    replan: Callable[[ConfigDocument], FixPlan],
    *,
    overwrite: bool = False,
) -> bool:
    """Write the file if loading it gives what was planned, and planning again gives nothing.

    The proof runs on a temporary file in the same folder, which then takes the place of
    ``output`` in one step.

    Args:
        rendered: what to write.
        output: where.
        replan: plans for a loaded config what the first plan was made for.
        overwrite: whether an existing file may be replaced.

    Returns:
        False where the file is there already with exactly this text.

    Raises:
        FixkitError: the file exists with another text, cannot be written, or the proof fails.
            Nothing is written then.
    """
    if output.is_file() and output.read_bytes() == rendered.text.encode():
        return False
    if output.exists() and not overwrite:
        raise FixkitError(f"{output} exists already; give --overwrite to replace it, or another -o")
    if not output.parent.is_dir():
        raise FixkitError(f"{output} cannot be written: there is no folder {output.parent}")
    temporary = _temporary(rendered.text, output)
    try:
        _prove(rendered, temporary, output, replan)
        os.replace(temporary, output)
    except OSError as error:
        raise FixkitError(f"{output} cannot be written: {error.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _temporary(text: str, output: Path) -> Path:
    try:
        handle, name = tempfile.mkstemp(".py", f".{output.stem}-", output.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        # mkstemp keeps the file to its owner; a config is as readable as any new file.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
    except OSError as error:
        raise FixkitError(
            f"{output} cannot be written: {error.strerror} in {output.parent}"
        ) from None
    return Path(name)


def _prove(
    rendered: Rendered, file: Path, output: Path, replan: Callable[[ConfigDocument], FixPlan]
) -> None:
    loaded = load(file)
    trees = (without_key(tree, SCOPE) for tree in (rendered.expected, loaded.tree))
    wrong = next(differences(*trees), None)
    if wrong is not None:
        key, expected, found = wrong
        raise FixkitError(
            f"{output} was not written: loaded again, {format_key(key)} is {found!r}, but the plan "
            f"has {expected!r}. Please report this with the config"
        )
    again = replan(loaded)
    if not again.empty:
        raise FixkitError(
            f"{output} was not written: a second run would still change "
            f"{format_key(again.applied[0].key)}. Please report this with the config"
        )


def _shared(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Write ``test_dataloader = val_dataloader`` where both change in the same way."""
    for name, value in body.items():
        twin = name.replace("test_", "val_", 1)
        alike = name != twin and isinstance(value, dict) and same(body.get(twin), value)
        yield name, Name(twin) if alike and not _deletes(value) else value


def _deletes(value: Any) -> bool:
    # MMEngine takes _delete_ out of the dict that it reads: such a dict serves only once.
    return any(key[-1] == DELETE for key, _ in walk(value) if key)


def _ordered(delta: dict[str, Any]) -> list[str]:
    known = [name for name in _ORDER if name in delta]
    return known + [name for name in delta if name not in known]


def _assignment(name: str, value: Any, notes: dict[KeyPath, str]) -> str:
    above = f"# {notes[(name,)]}\n" if (name,) in notes else ""
    return f"{above}{name} = {render(value, 0, len(name) + 3, notes, (name,))}"


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


def _with_names(value: Any, helpers: Sequence[_Helper], key: KeyPath) -> Any:
    for helper in helpers:
        if key in helper.keys:
            return Name(helper.name)
    if isinstance(value, dict):
        return {k: _with_names(v, helpers, (*key, k)) for k, v in value.items()}
    return value


def _notes(plan: FixPlan, helpers: Sequence[_Helper]) -> dict[KeyPath, str]:
    """Say above each changed entry which rule changed it, and what it was."""
    homes: dict[KeyPath, KeyPath] = {
        key: (helper.name,) for helper in helpers for key in helper.keys
    }
    said: dict[KeyPath, list[str]] = {}
    for diagnostic in plan.applied:
        for key in _noted_keys(diagnostic, homes):
            text = f"{diagnostic.code} {diagnostic.name}{_was(plan.before, key)}"
            lines = said.setdefault(homes.get(key, key), [])
            if text not in lines:
                lines.append(text)
    return {key: "; ".join(lines) for key, lines in said.items()}


def _noted_keys(diagnostic: Diagnostic, homes: dict[KeyPath, KeyPath]) -> Iterator[KeyPath]:
    for edit in diagnostic.fix.edits if diagnostic.fix else ():
        key = edit.key
        # Lists are written whole, so what changed inside one is said above it.
        index = next((i for i, part in enumerate(key) if isinstance(part, int)), len(key))
        key = key[:index]
        if edit.value == {} and key[-1] == "metainfo":
            continue
        yield next((home for home in homes if key[: len(home)] == home), key)


def _was(before: dict[str, Any], key: KeyPath) -> str:
    old = lookup(before, key)
    if old is None or isinstance(old, (dict, list, tuple)):
        return ""
    return f": was {old!r}"
