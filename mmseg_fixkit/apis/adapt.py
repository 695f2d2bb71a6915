"""Checkpoint files of other classes, adapted to the model and the dataset of a config."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional, Union

from mmengine.config import Config
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmseg_fixkit.checkpoint.adapt import ClassNames, Policy, adapt
from mmseg_fixkit.checkpoint.contents import Checkpoint, source_of
from mmseg_fixkit.checkpoint.files import read_checkpoint, write_checkpoint
from mmseg_fixkit.checkpoint.names import NamesLike, given_names, meta_with
from mmseg_fixkit.checkpoint.report import AdaptReport
from mmseg_fixkit.checkpoint.rows import MappingLike
from mmseg_fixkit.config.label_space import context_of
from mmseg_fixkit.config.load import ConfigLike, load
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.models.adapt import spec_of
from mmseg_fixkit.models.build import build_shapes, read_config, without_collecting
from mmseg_fixkit.rules.checkpoint import with_findings

PathLike = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class AdaptedFile:
    """A checkpoint that fits a config, not yet written."""

    checkpoint: Checkpoint  # the file as read
    state_dict: dict[str, Any]  # under the names of the model
    ema: Optional[dict[str, Any]]  # those of ``ema_state_dict``, if the file has one
    meta: dict[str, Any]  # of the new file
    report: AdaptReport

    def write(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Write the new file, whole or not at all; raise ``FixkitError`` where that fails."""
        write_checkpoint(
            path,
            self.state_dict,
            self.meta,
            ema=self.ema,
            overwrite=overwrite,
            source=self.checkpoint.path,
        )


def adapt_file(
    checkpoint: PathLike,
    config: ConfigLike,
    *,
    old_classes: NamesLike = None,
    classes: NamesLike = None,
    mapping: MappingLike = None,
    trust: bool = False,
) -> AdaptedFile:
    """Adapt a checkpoint file to the classes of a config. Nothing is written.

    The model is built by the host to learn its shapes, so the modules that ``custom_imports``
    names are imported.

    Args:
        checkpoint: the file.
        config: a path, a zoo name or a ``mmengine.Config``, already set to the new classes.
        old_classes: names of the checkpoint's classes in the order of its rows, or a dataset
            that the host knows; where left out, what its ``meta`` says.
        classes: the new classes; where left out, those of the config's dataset.
        mapping: ``old -> new`` for classes under other names; see
            :func:`~mmseg_fixkit.checkpoint.rows.map_classes`.
        trust: whether the file may run whatever it asks for.

    Raises:
        FixkitError: something cannot be read or built, class names are not known, or MMEngine
            would not load every tensor.
        CheckpointMismatch: see :func:`~mmseg_fixkit.models.adapt.adapt_state_dict`.
    """
    with without_collecting():
        return _adapted(checkpoint, config, old_classes, classes, mapping, trust)


def _adapted(
    checkpoint: PathLike,
    config: ConfigLike,
    old_classes: NamesLike,
    classes: NamesLike,
    mapping: MappingLike,
    trust: bool,
) -> AdaptedFile:
    read = read_config(config)
    labels = _labels(read, classes)
    names = ClassNames(given_names(old_classes), labels.classes, mapping)
    file = read_checkpoint(checkpoint, trust=trust)
    model = build_shapes(read)
    spec = spec_of(model)
    source = source_of(file.state_dict, Path(checkpoint).name, file.meta, file.ema, file.prefix)
    adapted = adapt(source, spec, names, Policy.NAMED)
    _prove(model, adapted.state_dict)
    labels = replace(labels, multilabel=spec.multilabel)
    return AdaptedFile(
        checkpoint=file,
        state_dict=adapted.state_dict,
        ema=adapted.ema,
        meta=meta_with(file.meta, labels, lambda: read.pretty_text),
        report=replace(with_findings(adapted), dropped=file.dropped),
    )


def _prove(model: nn.Module, state_dict: Mapping[str, Any]) -> None:
    """Have MMEngine load what was made into the model, every tensor of it.

    Raises ``FixkitError`` where it would leave one out, as it only logs in a run.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model without memory takes no values
            load_state_dict(model, state_dict, strict=True, logger="silent")
    except RuntimeError as error:
        raise FixkitError(
            f"MMEngine does not load what was made of the checkpoint: {error}. Please report this "
            "with the config"
        ) from error


def _labels(config: Config, classes: NamesLike) -> LabelSpace:
    given = given_names(classes)
    if given:
        return LabelSpace(given)
    labels, note = declared_labels(config)
    if labels is None:
        raise FixkitError(f"{note}; name the new classes with --classes")
    return labels


def declared_labels(config: Config) -> tuple[Optional[LabelSpace], str]:
    """Return the classes of the datasets of a config, or None and why they are not known."""
    context, notes = context_of(load(config))
    return (None, notes[0]) if context is None or notes else (context.labels, "")
