"""The label space that a config itself declares, and the colours that it has for class names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import is_file
from mmseg_fixkit.core.labels import DEFAULT_IGNORE, LabelSpace, read_class_names


def context_of(document: ConfigDocument) -> tuple[Optional[ConfigContext], tuple[str, ...]]:
    """Return the context for holding a config against itself, and notes for the user.

    The label space is that of the first dataset whose classes are known, training first. Where
    none is known, it has as many classes as the first head, so that heads and losses are still
    held against each other; where there is no head either, there is no context.

    Raises:
        FixkitError: the classes of a dataset are no label space, or their file cannot be read.
    """
    for dataset in document.datasets:
        names = class_names(dataset)
        if names is not None:
            expected_by = f"the {dataset.role} dataset has"
            return ConfigContext(document, _space(document, dataset, names), expected_by), ()
    counted = [h for h in document.class_heads if isinstance(h.num_classes, int)]
    types = ", ".join(dict.fromkeys(d.type for d in document.datasets)) or "no dataset"
    if not counted:
        return None, (f"{document.name}: neither its heads nor {types} say what the classes are",)
    head = counted[0]
    note = (
        f"{document.name}: the classes of {types} are not known here, so heads and losses are "
        f"only held against each other ({head.type} has {head.num_classes} classes)"
    )
    labels = LabelSpace.of(max(1, int(head.num_classes or 0) - document.multilabel))
    labels = labels.as_multilabel() if document.multilabel else labels
    return ConfigContext(document, labels, f"{head.type} has"), (note,)


def class_names(dataset: Dataset) -> Optional[tuple[str, ...]]:
    """Return the classes of a dataset; None if they are not known.

    A text is a file of names, which MMEngine reads, or a list in which the commas are lacking.

    Raises:
        FixkitError: the file cannot be read as text.
    """
    classes = dataset.classes
    if isinstance(classes, str):
        source = Path(classes) if is_file(classes) else classes
        return tuple(filter(None, read_class_names(source)))
    return tuple(classes) if isinstance(classes, (list, tuple)) and classes else None


def palette_for(datasets: Iterable[Dataset], names: Sequence[str]) -> Optional[tuple[Any, ...]]:
    """Return the colours of the first dataset that has one for each name; None if none has.

    A palette that is written in a dataset counts if the dataset's classes are these, in this
    order; one that its type declares counts class by class.
    """
    palettes = (_palette_of(dataset, tuple(names)) for dataset in datasets if names)
    return next((palette for palette in palettes if palette is not None), None)


def _palette_of(dataset: Dataset, names: tuple[str, ...]) -> Optional[tuple[Any, ...]]:
    written = dataset.metainfo.get("palette")
    fits = isinstance(written, (list, tuple)) and len(written) == len(names)
    if fits and class_names(dataset) in (names, None):
        return tuple(tuple(color) for color in written or ())
    info = dataset.info
    if not info or not info.classes or not info.palette:
        return None
    table = dict(zip(info.classes, info.palette))
    return tuple(table[n] for n in names) if set(names) <= set(table) else None


def _ignored(dataset: Dataset) -> int:
    label = dataset.config.get("ignore_index")
    return DEFAULT_IGNORE if label is None else int(label)


def _space(document: ConfigDocument, dataset: Dataset, names: tuple[str, ...]) -> LabelSpace:
    several = document.multilabel
    try:
        return LabelSpace(
            names,
            palette_for((dataset,), names),
            ignore_index=255 if several else _ignored(dataset),
            reduce_zero_label=not several and dataset.reduces_zero_label,
            multilabel=several,
        )
    except FixkitError as error:
        raise FixkitError(f"{dataset.split}_dataloader.dataset: {error}") from None
