"""Class names that a checkpoint carries, or that the host knows for a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Callable, Optional, Union

from mmseg_fixkit.config.host import known_class_names
from mmseg_fixkit.config.multilabel import OWN_SEGMENTORS
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace

#: Said in ``dataset_meta`` of a checkpoint whose labels may overlap.
MULTILABEL = "multilabel"

#: Names in the order of the rows, or the name of a dataset that the host knows.
NamesLike = Union[Sequence[str], str, None]


def names_in_meta(meta: Any) -> Optional[tuple[str, ...]]:
    """Return the class names that ``meta`` of a checkpoint holds; None where it holds none.

    MMSegmentation 1.x writes ``dataset_meta``, 0.x wrote ``CLASSES``.
    """
    if not isinstance(meta, Mapping):
        return None
    of_dataset = meta.get("dataset_meta")
    found = of_dataset.get("classes") if isinstance(of_dataset, Mapping) else None
    return _names(found) or _names(meta.get("CLASSES"))


def palette_in_meta(meta: Any) -> Optional[tuple[Any, ...]]:
    """Return the colours that ``meta`` holds, if there is one for each class."""
    names = names_in_meta(meta) or ()
    for source in (meta.get("dataset_meta"), {"palette": meta.get("PALETTE")}):
        palette = source.get("palette") if isinstance(source, Mapping) else None
        if isinstance(palette, (list, tuple)) and len(palette) == len(names) > 0:
            return tuple(tuple(color) for color in palette)
    return None


def _names(value: Any) -> Optional[tuple[str, ...]]:
    fits = isinstance(value, (list, tuple)) and value and all(isinstance(n, str) for n in value)
    return tuple(value) if fits else None


def multilabel_in_meta(meta: Any) -> Optional[bool]:
    """Say whether a checkpoint is of a multi-label model; None if it does not tell.

    MMEngine writes the config into it; :func:`~mmseg_fixkit.adapt_file` a word of its own.
    """
    if not isinstance(meta, Mapping):
        return None
    of_dataset = meta.get("dataset_meta")
    if isinstance(of_dataset, Mapping) and MULTILABEL in of_dataset:
        return bool(of_dataset[MULTILABEL])
    config = meta.get("cfg")
    return None if config is None else any(name in str(config) for name in OWN_SEGMENTORS)


def meta_with(
    meta: Mapping[str, Any], labels: LabelSpace, config: Callable[[], str]
) -> dict[str, Any]:
    """Return what a file says about itself, with new classes in the place of the old.

    ``config`` gives the text of the config that has them, which takes a third of a second.
    """
    classes, palette = list(labels.classes), [list(color) for color in labels.colors]
    multilabel = {MULTILABEL: True} if labels.multilabel else {}
    new = {**meta, "dataset_meta": {"classes": classes, "palette": palette, **multilabel}}
    if "CLASSES" in new:
        new.update(CLASSES=classes, PALETTE=palette)
    if "cfg" in new:  # MMEngine's inferencers build their model from it
        new["cfg"] = config()
    return new


def given_names(names: NamesLike) -> Optional[tuple[str, ...]]:
    """Return the names that a user gave, themselves or by a dataset of the host.

    Raises:
        FixkitError: there is no such dataset.
    """
    if isinstance(names, str):
        return names_of_dataset(names)
    return None if names is None else tuple(names)


def names_of_dataset(name: str) -> tuple[str, ...]:
    """Return the classes of a dataset, named as the host does or without ``Dataset``.

    Raises:
        FixkitError: the installed host has no such dataset with classes.
    """
    known = {_short(kind): kind for kind in known_class_names()}
    wanted = _short(name)
    if wanted not in known:
        near = get_close_matches(wanted, known, 3)
        listed = ", ".join(known[n] for n in near or sorted(known))
        raise FixkitError(
            f"{name!r} is no dataset whose classes MMSegmentation knows; "
            f"{'near it are' if near else 'it knows'} {listed}. Or give the names themselves"
        )
    return known_class_names()[known[wanted]]


def _short(kind: str) -> str:
    return kind.lower().replace("dataset", "").replace("_", "")


def datasets_of(count: int) -> tuple[str, ...]:
    """Return the datasets of the host that have ``count`` classes."""
    return tuple(kind for kind, names in known_class_names().items() if len(names) == count)


def suggestion(count: int, option: str) -> str:
    """Say how to name ``count`` unknown classes; a known dataset is offered, never taken."""
    sets = datasets_of(count)
    if not sets:
        return f"give their names in the order of the rows with {option}"
    which = f"{sets[0]} has" if len(sets) == 1 else f"{', '.join(sets)} have"
    return (
        f"give their names in the order of the rows with {option}, or the name of a dataset: "
        f"{which} {count} classes"
    )
