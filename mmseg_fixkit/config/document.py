"""A loaded config as plain data, with the views that rules read."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cached_property
from os.path import normpath
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.multilabel import is_multilabel
from mmseg_fixkit.config.nodes import (
    SPLITS,
    Dataset,
    Head,
    Loss,
    Metric,
    find_datasets,
    find_heads,
    find_losses,
    find_metrics,
    with_tta,
)
from mmseg_fixkit.config.source import ConfigSource
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.config.weights_file import WeightsFile, read_weights
from mmseg_fixkit.core.diagnostics import KeyPath, Location
from mmseg_fixkit.core.errors import FixkitError


@dataclass(frozen=True)
class ConfigDocument:
    """A loaded config as plain data, and where it came from."""

    name: str  # as the user wrote it
    tree: dict[str, Any]
    path: Optional[Path] = None  # the file; None for a config made in Python
    new_style: bool = False  # whether it inherits with ``read_base`` and imports its types

    def with_tree(self, tree: dict[str, Any]) -> ConfigDocument:
        """Return the same document holding another tree."""
        return replace(self, tree=tree)

    @cached_property
    def multilabel(self) -> bool:
        """Whether labels may overlap: some part of the config is made for that."""
        return is_multilabel(self.tree)

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Every head of the model, outer before inner."""
        return tuple(find_heads(self.tree.get("model"), ("model",)))

    @cached_property
    def class_heads(self) -> tuple[Head, ...]:
        """The heads that predict the dataset's classes."""
        return tuple(head for head in self.heads if head.follows_labels)

    def losses(self, head: Head) -> tuple[Loss, ...]:
        """The losses written in ``head`` itself, without those of nested heads."""
        return tuple(
            replace(loss, file=self.weight_files.get(loss.class_weight))
            if isinstance(loss.class_weight, str)
            else loss
            for loss in find_losses(head)
        )

    @cached_property
    def weight_files(self) -> dict[str, WeightsFile]:
        """The files that losses name as ``class_weight``, by that name."""
        found = (loss.class_weight for head in self.heads for loss in find_losses(head))
        beside = self.path.parent if self.path else None
        return {name: read_weights(name, beside) for name in found if isinstance(name, str)}

    @property
    def unread_weights(self) -> tuple[str, ...]:
        """Notes on files of class weights that were left closed."""
        return tuple(
            f"class_weight is the file {file.name!r}, which was not opened: {file.unread}, so the "
            "number of weights in it is not checked"
            for file in self.weight_files.values()
            if file.unread
        )

    @cached_property
    def datasets(self) -> tuple[Dataset, ...]:
        """The innermost datasets of all splits, training first."""
        found = [
            dataset
            for split in SPLITS
            for dataset in find_datasets(
                lookup(self.tree, (f"{split}_dataloader", "dataset")),
                (f"{split}_dataloader", "dataset"),
                split,
            )
        ]
        return tuple(with_tta(found, self.tree.get("tta_pipeline")))

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the validation and test evaluators."""
        return tuple(m for split in SPLITS for m in find_metrics(self.tree, split))

    def locate(self, key: KeyPath) -> Optional[Location]:
        """Return where ``key`` is written: in this file, or in one it inherits from."""
        if self.path is None:
            return None
        return self._source.locate(key) or Location(str(self.path))

    def inherits_from(self, file: Path) -> bool:
        """Whether ``file`` is one that this config inherits from, whatever links lead there."""
        bases = () if self.path is None else self._source.inherited()
        return os.path.realpath(file) in {os.path.realpath(base) for base in bases}

    @cached_property
    def _source(self) -> ConfigSource:
        assert self.path is not None
        return ConfigSource(self.path, resolve_base)


def resolve_base(entry: str, file: Path) -> Optional[Path]:
    """Return the file that ``file`` inherits from under the name ``entry``; None if there is none.

    ``entry`` is one of ``_base_``, or a module as ``read_base`` imports it: ``..models.pspnet``.
    """
    try:
        path = _base_path(entry, file)
    except FixkitError:
        return None
    return path if path is not None and path.is_file() else None


def _base_path(entry: str, file: Path) -> Optional[Path]:
    if "::" in entry:
        return host.zoo_path(entry)
    if entry.endswith((".py", ".json", ".yaml", ".yml")):
        return Path(normpath(file.parent / entry))
    level = len(entry) - len(entry.lstrip("."))
    package, *modules = entry[level:].split(".")
    if level:
        return Path(
            normpath(file.parent.joinpath(*[".."] * (level - 1), package, *modules))
        ).with_suffix(".py")
    root = host.package_path(package)
    return root.joinpath(*modules).with_suffix(".py") if root and modules else None
