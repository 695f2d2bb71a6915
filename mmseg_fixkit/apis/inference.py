"""``init_model``: what the host's function does, with a head that fits and names that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from mmengine.config import Config
from torch import nn

from mmseg_fixkit.apis.adapt import PathLike, declared_labels
from mmseg_fixkit.checkpoint.adapt import ClassNames, ModelSpec, Policy, adapt
from mmseg_fixkit.checkpoint.contents import Checkpoint, Source, source_of
from mmseg_fixkit.checkpoint.files import read_checkpoint
from mmseg_fixkit.checkpoint.names import (
    NamesLike,
    given_names,
    names_in_meta,
    palette_in_meta,
    suggestion,
)
from mmseg_fixkit.checkpoint.rows import MappingLike
from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.config.load import ConfigLike
from mmseg_fixkit.config.multilabel import BACKGROUND, with_background
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.models.adapt import spec_of
from mmseg_fixkit.models.build import build, build_shapes, read_config
from mmseg_fixkit.models.heads import find_heads


def init_model(
    config: ConfigLike,
    checkpoint: Optional[PathLike] = None,
    device: str = "cpu",
    classes: NamesLike = None,
    *,
    mapping: MappingLike = None,
    trust: bool = False,
) -> nn.Module:
    """Build a model for inference: ``mmseg.apis.init_model`` without its two guesses.

    The heads are built with as many classes as there are, whatever the config says. Class names
    are those of ``classes``, the checkpoint or the config's dataset, in this order; the host
    takes any dataset with as many classes, or Cityscapes.

    Args:
        config: a path, a zoo name or a ``mmengine.Config``, which is not changed. The modules in
            its ``custom_imports`` are imported.
        checkpoint: a file with weights; without one the model is left as it is built.
        device: where the model goes.
        classes: what the model shall predict: some or all classes of the checkpoint, in any
            order; or the names of its rows, if it says none. Also a dataset that the host knows.
        mapping: ``old -> new`` for classes under other names.
        trust: whether the file may run whatever it asks for.

    Returns:
        The model in evaluation mode, with ``dataset_meta`` (``classes`` and ``palette``) and
        ``cfg`` as the host sets them: the config that it was built from.

    Raises:
        FixkitError: nothing says what the classes are, the checkpoint has no rows for one of
            them, or something cannot be read or built.
        CheckpointMismatch: the checkpoint does not fit the model otherwise.
    """
    read = _for_inference(read_config(config))
    shapes = build_shapes(read)
    spec, (declared, _) = spec_of(shapes), declared_labels(read)
    given = given_names(classes)
    if checkpoint is None:
        labels = _label_space(given, None, declared)
        sized = _sized(read, shapes, spec, labels)
        model = build(sized)
    else:
        file = read_checkpoint(checkpoint, trust=trust)
        source = source_of(file.state_dict, str(file.path), file.meta, prefix=file.prefix)
        names = _names(source, spec, given or (), declared, mapping)
        labels = _label_space(names.new, file, declared)
        sized = _sized(read, shapes, spec, labels)
        model = build(sized)
        adapted = adapt(source, spec_of(model), names, Policy.COMPLETE)
        model.load_state_dict(adapted.state_dict, strict=False)
    palette = [list(color) for color in labels.colors]
    model.dataset_meta = {"classes": labels.classes, "palette": palette}
    model.cfg = sized
    return model.to(device).eval()


def _for_inference(config: Config) -> Config:
    """Drop what only training needs, as the host does: nothing is to be downloaded."""
    model = config.model
    model.pretrained = None
    model.train_cfg = None
    for part in (model.get("backbone"), model.get("image_encoder"), model.get("text_encoder")):
        if isinstance(part, dict) and "init_cfg" in part:
            part["init_cfg"] = None
    return config


def _label_space(
    names: Optional[Sequence[str]], file: Optional[Checkpoint], own: Optional[LabelSpace]
) -> LabelSpace:
    """Return names with the colours that the checkpoint or the config has for them."""
    if not names:
        if own is None:
            raise FixkitError(
                "neither the config nor classes= says what the classes are; give classes=[…]"
            )
        return own
    colors = dict(zip(own.classes, own.colors)) if own else {}
    palette = palette_in_meta(file.meta) if file else None
    colors.update(zip(names_in_meta(file.meta) or (), palette) if file and palette else ())
    known = [colors[name] for name in names if name in colors]
    return LabelSpace(tuple(names), tuple(known) if len(known) == len(names) else None)


def _names(
    source: Source,
    spec: ModelSpec,
    given: Sequence[str],
    declared: Optional[LabelSpace],
    mapping: MappingLike,
) -> ClassNames:
    """Return the classes of the rows, and those of the model: some of them, in any order."""
    count, in_meta = spec.class_count_of(source), names_in_meta(source.meta)
    rows = spec.row_names_of(source, in_meta)
    if rows and count in (None, len(rows)):
        own = [n for n in in_meta or () if n != BACKGROUND] if spec.multilabel else rows
        return ClassNames(in_meta, given or own, mapping)
    classes = given or (declared.classes if declared else ())
    rows = with_background(classes) if classes and spec.multilabel else classes
    if not rows or count not in (None, len(rows)):
        raise _unnamed(source, count, in_meta, classes)
    return ClassNames(rows, classes)


def _unnamed(
    source: Source,
    count: Optional[int],
    in_meta: Optional[Sequence[str]],
    classes: Sequence[str],
) -> FixkitError:
    what = f"names {len(in_meta)}" if in_meta else "does not name them"
    more = f", and {len(classes)} are given or in the config" if classes else ""
    hint = suggestion(count or 0, "classes=")
    return FixkitError(f"{source.name} has {count} classes but {what}{more}; {hint}")


def _sized(config: Config, shapes: nn.Module, spec: ModelSpec, labels: LabelSpace) -> Config:
    """Return the config with heads for ``labels``; ``shapes`` is its model as it stands."""
    heads = [h for h in find_heads(shapes) if h.follows_dataset]
    rows = labels.num_classes + spec.multilabel
    texts = any(head.spec.kind is HeadKind.TEXT for head in heads)
    if not texts and all(head.module.num_classes == rows for head in heads):
        return config
    from mmseg_fixkit.apis.patch import patch

    sized: Config = patch(config, labels, guards=False).config
    return sized
