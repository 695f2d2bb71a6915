"""``init_model``: what the host's function does, with a head that fits and names that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from mmengine.config import Config
from torch import nn

from mmseg_fixkit.checkpoint.adapt import class_count, named_rows
from mmseg_fixkit.checkpoint.files import Checkpoint, read_checkpoint
from mmseg_fixkit.checkpoint.names import (
    NamesLike,
    given_names,
    names_in_meta,
    palette_in_meta,
    suggestion,
)
from mmseg_fixkit.checkpoint.rows import MappingLike, RowPlan, plan_rows
from mmseg_fixkit.diagnose import context_of
from mmseg_fixkit.errors import CheckpointMismatch, FixkitError
from mmseg_fixkit.host import HeadKind
from mmseg_fixkit.labels import LabelSpace
from mmseg_fixkit.load import ConfigLike, load
from mmseg_fixkit.runtime.adapt import adapt_state_dict, needs_of, source_of
from mmseg_fixkit.runtime.building import build, build_shapes, read_config
from mmseg_fixkit.runtime.files import PathLike
from mmseg_fixkit.runtime.heads import find_heads, has_several_labels
from mmseg_fixkit.several_labels import BACKGROUND, with_background


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
    are those of ``classes``, the checkpoint or the config's data set, in this order; the host
    takes any data set with as many classes, or Cityscapes.

    Args:
        config: a path, a zoo name or a ``mmengine.Config``, which is not changed. The modules in
            its ``custom_imports`` are imported.
        checkpoint: a file with weights; without one the model is left as it is built.
        device: where the model goes.
        classes: what the model shall tell apart: some or all classes of the checkpoint, in any
            order; or the names of its rows, if it says none. Also a data set that the host knows.
        mapping: ``old -> new`` for classes under other names.
        trust: whether the file may run whatever it asks for.

    Returns:
        The model in evaluation mode, with ``dataset_meta`` (``classes`` and ``palette``) and
        ``cfg`` as the host sets them.

    Raises:
        FixkitError: nothing says what the classes are, the checkpoint has no rows for one of
            them, or something cannot be read or built.
        CheckpointMismatch: the checkpoint does not fit the model otherwise.
    """
    read = _for_inference(read_config(config))
    given = given_names(classes)
    if checkpoint is None:
        labels = _space(given, None, _of_config(read))
        model = build(_sized(read, labels))
    else:
        file = read_checkpoint(checkpoint, trust=trust)
        plan, several = _plan(file, read, given, mapping)
        labels = _space(plan.new[several:], file, _of_config(read))
        model = build(_sized(read, labels))
        _load(model, file, plan)
    palette = [list(color) for color in labels.colors]
    model.dataset_meta = {"classes": labels.classes, "palette": palette}
    model.cfg = read
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


def _of_config(config: Config) -> Optional[LabelSpace]:
    context, notes = context_of(load(config))
    return None if context is None or notes else context.labels


def _space(
    names: Optional[Sequence[str]], file: Optional[Checkpoint], own: Optional[LabelSpace]
) -> LabelSpace:
    """Return names with the colours that the checkpoint or the config has for them."""
    if names is None:
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


def _plan(
    file: Checkpoint, config: Config, given: Optional[tuple[str, ...]], mapping: MappingLike
) -> tuple[RowPlan, bool]:
    """Return where rows come from, and whether the first of the model is the background's."""
    source = source_of(file.unprefixed(), file.path.name, file.meta)
    needs = needs_of(build_shapes(config))
    count = class_count(source, needs)
    names, several = names_in_meta(file.meta), needs.several
    said, _ = named_rows(source, needs, names, None)
    old = said if said and count in (None, len(said)) else None
    if old is None:
        own = _of_config(config)
        found = given or (own.classes if own else None)
        rows = with_background(found) if found and several else found
        if rows is None or count not in (None, len(rows)):
            raise _unnamed(file, count, said, found)
        return plan_rows(rows, rows), several
    own_rows = names if several and old != names else old
    labels = given or tuple(n for n in own_rows or () if not (several and n == BACKGROUND))
    plan = plan_rows(old, with_background(labels) if several else labels, mapping)
    if plan.fresh:
        raise FixkitError(
            f"{file.path}: it was not trained on {', '.join(plan.fresh)}; its classes are "
            f"{', '.join(old)}. Leave them out, or give mapping={{old: new}} for other names"
        )
    return plan, several


def _unnamed(
    file: Checkpoint, count: Optional[int], said: Optional[Sequence[str]], found: Any
) -> FixkitError:
    names = said or found
    what = f"names {len(names)}" if names and said else "does not name them"
    config = f", and {len(found)} are given or in the config" if found else ""
    hint = suggestion(count or 0, "classes=")
    return FixkitError(f"{file.path} has {count} classes but {what}{config}; {hint}")


def _sized(config: Config, labels: LabelSpace) -> Config:
    """Return the config with heads for ``labels``."""
    shapes = build_shapes(config)
    heads = [h for h in find_heads(shapes) if h.follows_dataset]
    rows = labels.num_classes + has_several_labels(shapes)
    texts = any(head.spec.kind is HeadKind.TEXT for head in heads)
    if not texts and all(head.module.num_classes == rows for head in heads):
        return config
    from mmseg_fixkit.api import patch

    sized: Config = patch(config, labels, guards=False).config
    return sized


def _load(model: nn.Module, file: Checkpoint, plan: RowPlan) -> None:
    tensors, report = adapt_state_dict(file.unprefixed(), model, plan.old, plan.new, _pairs(plan))
    lacking = [name for name in report.missing if not name.startswith("auxiliary_head")]
    if lacking:
        raise CheckpointMismatch(
            f"{file.path} lacks {len(lacking)} tensors of the model, such as {lacking[0]}: it was "
            "written by another head, neck or backbone"
        )
    model.load_state_dict(tensors, strict=False)


def _pairs(plan: RowPlan) -> tuple[tuple[str, str], ...]:
    return tuple((old, new) for i, new in enumerate(plan.new) for old in plan.source_names(i))
