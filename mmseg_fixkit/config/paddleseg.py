"""A PaddleSeg config: its own text, what it is with what it inherits, and edits of the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config.inheritance import refuse_ring
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.config.yaml_file import read_yaml, yaml_module
from mmseg_fixkit.core.diagnostics import Edit, EditKind, KeyPath, brief, format_key
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import is_file

SUFFIXES = (".yml", ".yaml")

#: Datasets of a config, by its key.
DATASETS = ("train_dataset", "val_dataset")

#: Keys that only a PaddleSeg config has, beside ``model``.
_KEYS = (*DATASETS, "loss", "lr_scheduler", "iters")

#: Texts that YAML reads as they are.
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class PaddleConfig:
    """One config."""

    path: Path
    text: str
    own: dict[str, Any]  # the text as data
    tree: dict[str, Any]  # that with what it inherits

    @property
    def counts(self) -> dict[str, Any]:
        """``num_classes`` of the model and the datasets, None where one has none, by section."""
        sections = (name for name in ("model", *DATASETS) if name in self.tree)
        return {name: _mapping(self.tree[name]).get("num_classes") for name in sections}

    def transforms(self, dataset: str) -> list[Any]:
        """The transforms of a dataset."""
        steps = _mapping(self.tree.get(dataset)).get("transforms")
        return steps if isinstance(steps, list) else []

    @property
    def losses(self) -> tuple[tuple[tuple[Any, ...], str], ...]:
        """Key and type of each loss, those inside a ``MixedLoss`` too."""
        types = _mapping(self.tree.get("loss")).get("types")
        return tuple(_losses(("loss", "types"), types))


def is_paddleseg(path: str) -> bool:
    """Whether a file is a PaddleSeg config. YAML of MMEngine has other keys."""
    if not path.endswith(SUFFIXES) or not is_file(path):
        return False
    try:
        tree = _parsed(Path(path), _text(Path(path))).tree
    except FixkitError:
        return False
    return any(key in tree for key in _KEYS) and "train_dataloader" not in tree


def read(path: Path) -> PaddleConfig:
    """Read a config and what it inherits.

    Raises:
        FixkitError: a file cannot be read, or is no YAML mapping, or a part that is looked at is of
            another type than PaddleSeg takes.
    """
    text = _text(path)
    return parsed(path, text)


def parsed(path: Path, text: str) -> PaddleConfig:
    """Return the config that a file would be with another text.

    Raises:
        FixkitError: see :func:`read`.
    """
    config = _parsed(path, text)
    _check_types(path, config.tree)
    return config


def _parsed(path: Path, text: str) -> PaddleConfig:
    own = _data(path, text)
    return PaddleConfig(path, text, own, _inherited(path.absolute(), own, ()))


#: What the parts that are looked at have to be; left out, or null, they may be.
_TYPES: dict[tuple[str, ...], tuple[type, str]] = {
    **{(name,): (dict, "a mapping") for name in ("model", "loss", *DATASETS)},
    **{(name, "num_classes"): (int, "a whole number") for name in ("model", *DATASETS)},
    **{(name, "transforms"): (list, "a list") for name in DATASETS},
    ("loss", "types"): (list, "a list"),
}


def _check_types(path: Path, tree: dict[str, Any]) -> None:
    for key, (kind, words) in _TYPES.items():
        value = lookup(tree, key)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise FixkitError(
                f"{path}: {format_key(key)} is {brief(value)}, but PaddleSeg needs {words} there"
            )


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")  # line ends stay as they are
    except (OSError, UnicodeDecodeError) as error:
        raise FixkitError(f"{path} cannot be read: {error}") from None


def _data(path: Path, text: str) -> dict[str, Any]:
    data = read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise FixkitError(f"{path} is {type(data).__name__}, but a config is a mapping")
    return data


def _inherited(path: Path, own: dict[str, Any], above: tuple[Path, ...]) -> dict[str, Any]:
    """Merge what ``_base_`` names below ``own``, as ``paddleseg.cvlibs.Config`` does.

    Mappings are merged key by key, unless ``_inherited_: False`` stands in one; everything else
    of the child replaces what the base has.
    """
    refuse_ring(path, above)
    bases = own.get("_base_") or []
    merged: dict[str, Any] = {}
    for name in bases if isinstance(bases, list) else [bases]:
        file = Path(normpath(path.parent / str(name)))
        merged = _merged(merged, _inherited(file, _data(file, _text(file)), (*above, path)))
    tree: dict[str, Any] = _merged(merged, {k: v for k, v in own.items() if k != "_base_"})
    return tree


def _merged(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    if own.get("_inherited_") is False:
        return {k: v for k, v in own.items() if k != "_inherited_"}
    both = {key: _merged(base[key], own[key]) if key in base else own[key] for key in own}
    return {**base, **both}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _losses(key: tuple[Any, ...], value: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    for index, loss in enumerate(value if isinstance(value, list) else ()):
        if isinstance(loss, dict):
            yield (*key, index), str(loss.get("type", ""))
            yield from _losses((*key, index, "losses"), loss.get("losses"))


# --- edits of the text: all else stays byte for byte ---------------------------------------------


def edited(text: str, edit: Edit, inherited: Any) -> str:
    """Return ``text`` with one edit made.

    ``inherited`` is the list that the edit is about, as it is after inheritance: it is written out
    where the file has none of its own.
    """
    root = yaml_module().compose(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if edit.kind is EditKind.SET:
        return _set(text, root, edit.key, edit.value, newline)
    steps = _find(root, edit.key[:-1])
    if steps is None or not getattr(steps, "value", None):
        changed = list(inherited or [])
        index = int(edit.key[-1])
        changed[index : index + (edit.kind is EditKind.REMOVE)] = (
            [] if edit.kind is EditKind.REMOVE else [edit.value]
        )
        return _set(text, root, edit.key[:-1], changed, newline)
    if edit.kind is EditKind.REMOVE:
        return _removed(text, steps, int(edit.key[-1]))
    return _inserted(text, steps, int(edit.key[-1]), edit.value, newline)


def _find(node: Any, key: Sequence[Any]) -> Optional[Any]:
    for part in key:
        if node is None:
            return None
        if node.id == "mapping":
            node = next((v for k, v in node.value if k.value == part), None)
        elif node.id == "sequence" and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return None
    return node


def _set(text: str, root: Any, key: KeyPath, value: Any, newline: str) -> str:
    node = _find(root, key)
    if node is not None:
        start, end = node.start_mark.index, _end(text, node)
        return text[:start] + flow(value) + text[end:]
    known = next(n for n in range(len(key) - 1, -1, -1) if _find(root, key[:n]) is not None)
    parent: Any = _find(root, key[:known])
    missing = key[known:]
    for part in reversed(missing[1:]):
        value = {part: value}
    if parent.id == "scalar":  # null, or nothing: there is no mapping to put it into
        start, end = parent.start_mark.index, parent.end_mark.index
        gap = "" if text[:start].endswith((" ", "\n")) else " "
        return f"{text[:start]}{gap}{flow({missing[0]: value})}{text[end:]}"
    return _added(text, parent, str(missing[0]), value, newline)


def _end(text: str, node: Any) -> int:
    """Return where a node ends; the parser puts the end of a block behind the next indent."""
    end: int = node.end_mark.index
    if node.id != "scalar" and not node.flow_style:
        body = text[node.start_mark.index : end]
        last = _last(node)
        return int(_end(text, last)) if last is not None else node.start_mark.index + len(body)
    return end


def _last(node: Any) -> Optional[Any]:
    if not node.value:
        return None
    entry = node.value[-1]
    return entry[1] if node.id == "mapping" else entry


def _added(text: str, parent: Any, name: str, value: Any, newline: str) -> str:
    """Put a key behind the last one of a mapping."""
    if parent.flow_style:
        at = parent.end_mark.index - 1
        comma = ", " if parent.value else ""
        return f"{text[:at]}{comma}{name}: {flow(value)}{text[at:]}"
    indent = " " * parent.start_mark.column
    at = _line_end(text, _end(text, parent))
    lead = "" if at and text[:at].endswith(("\n", "\r\n")) else newline
    lines = newline.join(block(name, value, indent))
    return f"{text[:at]}{lead}{lines}{newline}{text[at:]}"


def _inserted(text: str, steps: Any, index: int, value: Any, newline: str) -> str:
    at = steps.value[index].start_mark.index
    if steps.flow_style:
        return f"{text[:at]}{flow(value)}, {text[at:]}"
    dash = text.rindex("-", 0, at)
    indent = text[text.rfind("\n", 0, dash) + 1 : dash]
    gap = text[dash + 1 : at]
    entry = newline.join(f"{k}: {flow(v)}" for k, v in value.items())
    entry = entry.replace(newline, newline + indent + " " * (1 + len(gap)))
    return f"{text[:dash]}-{gap}{entry}{newline}{indent}{text[dash:]}"


def _removed(text: str, steps: Any, index: int) -> str:
    node = steps.value[index]
    if steps.flow_style:
        start, end = node.start_mark.index, node.end_mark.index
        rest = re.match(r"\s*,\s*", text[end:])
        if rest:
            return text[:start] + text[end + rest.end() :]
        return re.sub(r",\s*$", "", text[:start]) + text[end:]
    dash = text.rindex("-", 0, node.start_mark.index)
    start = text.rfind("\n", 0, dash) + 1
    return text[:start] + text[_line_end(text, _end(text, node)) :]


def _line_end(text: str, at: int) -> int:
    """Return where the line of ``at`` ends, its comment and line break included."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def block(name: str, value: Any, indent: str) -> Iterator[str]:
    """Yield the lines of a key: a line for each key below it, and for each mapping of a list."""
    if isinstance(value, dict) and value:
        yield f"{indent}{name}:"
        for key, child in value.items():
            yield from block(key, child, indent + "  ")
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        yield f"{indent}{name}:"
        yield from (f"{indent}  - {flow(entry)}" for entry in value)
    else:
        yield f"{indent}{name}: {flow(value)}"


def flow(value: Any) -> str:
    """Write a value on one line, as YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(v) for v in value) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
