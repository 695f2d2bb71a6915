"""``check`` and ``patch`` of a PaddleSeg config, proved as every other change is."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config.paddleseg import PaddleConfig, edited, parsed, read
from mmseg_fixkit.config.yaml_file import yaml_module
from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    EditKind,
    Location,
    Report,
)
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import check_target, holds, real_path, write_file
from mmseg_fixkit.rules.paddleseg import PaddleSegContext, diagnose, has_auxiliary, looks_multilabel


def check_paddleseg(path: str) -> Report:
    """Diagnose a PaddleSeg config without changing anything.

    Raises ``FixkitError`` where it cannot be read.
    """
    config = read(Path(path))
    found = diagnose(PaddleSegContext(config, looks_multilabel(config)))
    return Report(path, None, located(config, found))


@dataclass(frozen=True)
class PaddlePatch:
    """A planned change of a PaddleSeg config."""

    config: PaddleConfig
    text: str
    applied: tuple[Diagnostic, ...]
    remaining: tuple[Diagnostic, ...]  # those that have no fix
    notes: tuple[str, ...] = ()

    @property
    def before(self) -> dict[str, Any]:
        """The config as it was, with what it inherits."""
        return self.config.tree

    def diff(self) -> str:
        """Return the change of the file as a unified diff; empty if there is none."""
        from mmseg_fixkit.config.diff import unified_text

        return unified_text(self.config.text, self.text, str(self.config.path))

    def write(self, path: Path, *, overwrite: bool = False) -> bool:
        """Write the patched config; return False if it is there already.

        A file in another folder could not inherit what this one does. Raises ``FixkitError`` where
        the file exists, or cannot be written.
        """
        content = self.text.encode("utf-8")
        if holds(path, content):
            return False
        check_target(path, overwrite=overwrite)
        elsewhere = real_path(path.parent) != real_path(self.config.path.parent)
        if "_base_" in self.config.own and elsewhere:
            raise FixkitError(
                f"{path} would not find what {self.config.path.name} inherits from; write it into "
                "the same folder"
            )
        write_file(path, content, overwrite=overwrite)
        return True


def patch_paddleseg(
    path: str, labels: Optional[int] = None, *, multilabel: Optional[bool] = None
) -> PaddlePatch:
    """Plan the changes that set a PaddleSeg config to its classes or labels.

    Args:
        path: the config.
        labels: how many classes or labels there are; where left out, what the training data says.
        multilabel: whether labels may overlap; where left out, what losses and transforms
            say.

    Raises:
        FixkitError: it cannot be read, says no class count, or the change cannot be proved.
    """
    config = read(Path(path))
    several = looks_multilabel(config) if multilabel is None else multilabel
    count, notes = _count(config, labels, several)
    who = "you asked for" if labels is not None else "the training data has"
    context = PaddleSegContext(config, several, count, who)
    found = diagnose(context)
    fixed = tuple(d for d in found if d.fix and d.fix.applicability is Applicability.SAFE)
    edits = [edit for d in fixed for edit in (d.fix.edits if d.fix else ())]
    text = _proved(context, edits)
    remaining = diagnose(replace(context, config=parsed(config.path, text)))
    return PaddlePatch(config, text, located(config, fixed), located(config, remaining), notes)


def _count(
    config: PaddleConfig, labels: Optional[int], several: bool
) -> tuple[int, tuple[str, ...]]:
    if labels is not None:
        return labels + several, ()
    own = config.counts.get("train_dataset") or config.counts.get("model")
    if not isinstance(own, int):
        raise FixkitError(
            f"{config.path} says no num_classes; give the labels with --classes or --num-classes"
        )
    if several and not has_auxiliary(config, "train_dataset"):
        note = f"{own} labels, as train_dataset.num_classes says, need {own + 1} channels"
        return own + 1, (note,)
    return own, ()


def _proved(context: PaddleSegContext, edits: list[Edit]) -> str:
    """Make the edits in the text and in the data, and hold the two against each other."""
    config = context.config
    expected = copy.deepcopy(config.tree)
    text = config.text
    try:
        for edit in edits:
            text = edited(text, edit, _at(expected, edit.key[:-1]))
            _apply(expected, edit)
        found = parsed(config.path, text).tree
    except (FixkitError, yaml_module().YAMLError):  # the new text is no YAML
        found = None
    if found != expected:
        raise FixkitError(
            f"{config.path} could not be changed as planned: loaded again, the new text is "
            "something else; nothing is written. Set the values by hand: "
            + "; ".join(f"{'.'.join(map(str, e.key))} = {e.value!r}" for e in edits)
        )
    return text


def _at(tree: Any, key: tuple[Any, ...]) -> Any:
    for part in key:
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _apply(tree: dict[str, Any], edit: Edit) -> None:
    place: Any = tree
    for part, following in zip(edit.key[:-1], edit.key[1:]):
        if isinstance(place, dict) and not isinstance(place.get(part), (dict, list)):
            place[part] = [] if isinstance(following, int) else {}
        place = place[part]
    last: Any = edit.key[-1]
    if edit.kind is EditKind.INSERT:
        place.insert(last, copy.deepcopy(edit.value))
    elif edit.kind is EditKind.REMOVE:
        del place[last]
    else:
        place[last] = copy.deepcopy(edit.value)


def located(config: PaddleConfig, found: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """Put a place in the file to each finding: of its key, or of what is nearest to it."""
    root = yaml_module().compose(config.text)
    return tuple(replace(d, location=_location(config, root, d.key)) for d in found)


def _location(config: PaddleConfig, root: Any, key: tuple[Any, ...]) -> Location:
    mark = root.start_mark
    node = root
    for part in key:
        if node.id == "mapping":
            pair = next((p for p in node.value if p[0].value == part), None)
            if pair is None:
                break
            mark, node = pair[0].start_mark, pair[1]
        elif node.id == "sequence" and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
    return Location(str(config.path), mark.line + 1, mark.column + 1)
