"""``check``: a config held against the classes that it declares, or that the user gives."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.label_space import context_of, palette_for
from mmseg_fixkit.config.load import ConfigLike, load
from mmseg_fixkit.config.plan import diagnose, located
from mmseg_fixkit.core.diagnostics import Report
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelsLike, LabelSpace, label_space
from mmseg_fixkit.rules import select_rules


def check(
    config: ConfigLike,
    labels: Optional[LabelsLike] = None,
    *,
    select: Optional[Iterable[str]] = None,
    ignore: Optional[Iterable[str]] = None,
) -> Report:
    """Diagnose a config without changing anything. Configs of PaddleSeg are read too.

    Args:
        config: a path, a zoo name such as ``mmseg::pspnet/….py``, or a ``mmengine.Config``.
        labels: what the classes are; those of the config's own dataset where left out.
        select: prefixes of the rule codes to run; all where left out.
        ignore: prefixes of the rule codes not to run.

    Raises:
        FixkitError: the config cannot be read, or nothing in it can be checked.
    """
    if isinstance(config, (str, Path)) and str(config).endswith((".yml", ".yaml")):
        from mmseg_fixkit.apis.paddleseg import check_paddleseg
        from mmseg_fixkit.config.paddleseg import is_paddleseg

        if is_paddleseg(str(config)):
            return check_paddleseg(str(config))
    document = load(config)
    context, notes = config_context(document, labels)
    found = diagnose(context, select_rules(select, ignore))
    return Report(document.name, context.labels, located(document, found), notes)


def config_context(
    document: ConfigDocument, labels: Optional[LabelsLike]
) -> tuple[ConfigContext, tuple[str, ...]]:
    """Return a config with the label space that it is held against, and notes for the user.

    Raises ``FixkitError`` where the config says no classes, or ``labels`` are no label space.
    """
    if labels is not None:
        space = labels_for(document, labels)
        context = ConfigContext(document, space, "your label space has", labels_given=True)
        return context, document.unread_weights
    found, notes = context_of(document)
    if found is None:
        raise FixkitError(f"{notes[0]}; give them with --classes or --num-classes")
    return found, notes + document.unread_weights


def labels_for(document: ConfigDocument, labels: LabelsLike) -> LabelSpace:
    """Return the label space that is meant for a config, whose datasets have colours for names.

    Raises ``FixkitError`` as :class:`~mmseg_fixkit.core.labels.LabelSpace` does.
    """
    named = () if isinstance(labels, (LabelSpace, int, str)) else tuple(labels)
    palette = palette_for(document.datasets, named)
    return label_space(labels, palette, multilabel=document.multilabel)
