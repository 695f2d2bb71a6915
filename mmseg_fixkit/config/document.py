"""A loaded config as plain data, with the views that rules read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config.inheritance import resolve_base
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
from mmseg_fixkit.config.value_types import (
    WrongType,
    as_lists,
    has_arrays,
    without,
    wrong_types,
)
from mmseg_fixkit.config.weights_file import WeightsFile, read_weights
from mmseg_fixkit.core.diagnostics import KeyPath, Location
from mmseg_fixkit.core.files import real_path


@dataclass(frozen=True)
class ConfigDocument:
    """A loaded config as plain data, and where it came from."""

    name: str  # as the user wrote it
    loaded: dict[str, Any]  # as MMEngine reads it: what a patch starts from
    path: Optional[Path] = None  # the file; None for a config made in Python
    new_style: bool = False  # whether it inherits with ``read_base`` and imports its types

    def with_tree(self, tree: dict[str, Any]) -> ConfigDocument:
        """Return the same document holding another tree."""
        return replace(self, loaded=tree)

    @cached_property
    def tree(self) -> dict[str, Any]:
        """What rules read: without values of a wrong type, which count as not written."""
        tree: dict[str, Any] = without(self._listed, self.unreadable)
        return tree

    @cached_property
    def unreadable(self) -> dict[KeyPath, WrongType]:
        """The values of a wrong type that say nothing to rules, by their keys."""
        return {wrong.key: wrong for wrong in self.wrong_types if wrong.instead is None}

    @cached_property
    def wrong_types(self) -> tuple[WrongType, ...]:
        """The values of a type that the host does not take."""
        return tuple(wrong_types(self._listed))

    @cached_property
    def _listed(self) -> dict[str, Any]:
        return as_lists(self.loaded) if has_arrays(self.loaded) else self.loaded

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
        return real_path(file) in {real_path(base) for base in bases}

    @cached_property
    def _source(self) -> ConfigSource:
        assert self.path is not None
        return ConfigSource(self.path, resolve_base)
