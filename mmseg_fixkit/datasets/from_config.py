"""A config -> the label files of its datasets, and how their pipelines read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from mmseg_fixkit.config import host
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.label_space import class_names, palette_for
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.datasets.label_file import LabelReading
from mmseg_fixkit.datasets.listing import (
    Inventory,
    LabelOverrides,
    Part,
    check_source,
    source_of,
)
from mmseg_fixkit.datasets.recode import read_table

#: What MMSegmentation's own loader of label maps is called.
LOADER = "LoadAnnotations"
IMAGE_LOADER = "LoadImageFromFile"
#: This package's own step after it.
REMAPPER = "RemapLabels"


def of_config(
    document: ConfigDocument,
    splits: Optional[Sequence[str]] = None,
    asked: Optional[LabelOverrides] = None,
) -> Inventory:
    """Return the label files of a config's datasets.

    Without ``splits`` those whose files are here, but no test split with the files of validation.

    Raises:
        FixkitError: the config has several labels a pixel; there is no such split, no dataset
            whose files can be listed, or a folder or list is not there.
    """
    if document.multilabel:
        raise FixkitError(
            f"{document.name} has several labels a pixel, and its label files are bits or planes, "
            "not numbers of classes; `mmseg-fix convert-labels` reads and checks those"
        )
    asked = asked or LabelOverrides()
    datasets = _of_splits(document, splits)
    known = tuple(dataset for dataset in datasets if not _unlisted(dataset))
    unknown = [_unlisted(dataset) for dataset in datasets if _unlisted(dataset)]
    names = asked.classes or _names_in(document, known or datasets)
    parts = tuple(_part(dataset, names, asked) for dataset in known)
    notes = [*unknown, *(note for dataset in known for note in _notes(dataset))]
    if not parts:
        raise FixkitError("; ".join(notes))
    if splits is None:
        parts, left_out = _worth_reading(parts)
        notes += left_out
    palette = asked.palette or palette_for(known, names or ())
    return Inventory(_distinguished(parts), names, palette, tuple(dict.fromkeys(notes)))


def _of_splits(document: ConfigDocument, splits: Optional[Sequence[str]]) -> tuple[Dataset, ...]:
    have = tuple(dict.fromkeys(dataset.split for dataset in document.datasets))
    if not have:
        raise FixkitError(
            f"{document.name} has no dataset; scan the folder of the label maps instead: "
            "mmseg-fix scan DIR"
        )
    for split in splits or ():
        if split not in have:
            raise FixkitError(f"--split is {split!r}, but the config has {', '.join(have)}")
    return tuple(d for d in document.datasets if d.split in (splits or have))


def _names_in(document: ConfigDocument, datasets: Iterable[Dataset]) -> Optional[tuple[str, ...]]:
    """Return the first classes that a dataset names; else as many as the first head has."""
    found = next((names for names in map(class_names, datasets) if names), None)
    counts = (head.num_classes for head in document.class_heads)
    count = next((count for count in counts if isinstance(count, int)), None)
    return LabelSpace.of(count).classes if found is None and count else found


def _endings(dataset: Dataset) -> tuple[str, str]:
    return dataset.suffix("img_suffix") or "", dataset.suffix("seg_map_suffix") or ""


def _unlisted(dataset: Dataset) -> str:
    """Say why the label files of a dataset are not listed; empty if they are.

    A type that the host does not have is taken to list as ``BaseSegDataset`` does, as the guide to
    own datasets has it, where the config says all that its class could say otherwise.
    """
    instead = "or scan the folder of its label maps: mmseg-fix scan DIR"
    known = host.lists_as_base(dataset.type)
    prefix = dataset.config.get("data_prefix")
    labelled = isinstance(prefix, dict) and prefix.get("seg_map_path") is not None
    if known is False:
        return f"{dataset.split}: {dataset.type} lists its files in its own way; {instead[3:]}"
    if known is None and not (labelled and all(_endings(dataset))):
        return (
            f"{dataset.split}: {dataset.type} is not a dataset of MMSegmentation, and its class is "
            "not imported here; write img_suffix, seg_map_suffix and data_prefix into the config, "
            f"{instead}"
        )
    if prefix is not None and not labelled:
        return f"{dataset.split}: {dataset.type} has no data_prefix.seg_map_path, so no label maps"
    if dataset.split != "train" and dataset.config.get("pipeline") and not _loaders(dataset):
        return f"{dataset.split}: its pipeline loads no label maps"
    return ""


def _loaders(dataset: Dataset) -> list[str]:
    """Name the steps that load label maps, as far as their names tell."""
    steps = (type_name(step.get("type", "")) for _, step in dataset.transforms)
    return [name for name in steps if "Annotation" in name or ("Load" in name and "Seg" in name)]


def _notes(dataset: Dataset) -> Iterator[str]:
    if host.lists_as_base(dataset.type) is None:
        yield (
            f"{dataset.split}: {dataset.type} is not a dataset of MMSegmentation; its files are "
            "listed as BaseSegDataset lists them"
        )
    loaders = _loaders(dataset)
    if loaders and LOADER not in loaders:
        yield (
            f"{dataset.split}: labels are loaded by {loaders[0]}, whose way is not known here; "
            f"they are read as {LOADER} reads them"
        )
    remap = _step(dataset, REMAPPER)
    if remap and remap_table(remap) is None:
        yield (
            f"{dataset.split}: {REMAPPER} turns colours into labels after loading, which is not "
            "followed here: label files are judged as they are"
        )
    if dataset.foreign:
        yield (
            f"{dataset.split}: some classes are not among those of {dataset.type}, so the run "
            "cannot start (MSF204); labels are read as they are"
        )


def _part(dataset: Dataset, names: Optional[tuple[str, ...]], asked: LabelOverrides) -> Part:
    key = f"{dataset.split}_dataloader.dataset"
    source = source_of(dataset.split, key, dataset.config, _endings(dataset))
    return Part(source, label_reading(dataset, names, asked))


def label_reading(
    dataset: Dataset, names: Optional[tuple[str, ...]], asked: LabelOverrides
) -> LabelReading:
    """Return how the pipeline of a dataset reads its label files, if not ``asked`` otherwise."""
    step = _step(dataset, LOADER)
    own = asked.classes or class_names(dataset) or names
    ignore = asked.ignore_index
    if ignore is None:
        ignore = dataset.config.get("ignore_index", 255)
    reduce = asked.reduce_zero_label
    kept = label_map(dataset.info.classes if dataset.info else None, own)
    return LabelReading(
        num_classes=len(own) if own else None,
        ignore_index=ignore,
        reduce_zero_label=dataset.reduces_zero_label if reduce is None else reduce,
        label_map=_remapped(kept, _step(dataset, REMAPPER)),
        backend=step.get("imdecode_backend") or "pillow",
        backend_args=tuple(sorted((step.get("backend_args") or {}).items())),
        turns_images=_turns(_step(dataset, IMAGE_LOADER)),
    )


def _step(dataset: Dataset, name: str) -> Mapping[str, Any]:
    steps = (step for _, step in dataset.transforms if type_name(step.get("type", "")) == name)
    return next(steps, {})


def _turns(step: Mapping[str, Any]) -> bool:
    """Whether an image is turned as its EXIF data says (``mmcv.imfrombytes`` of mmcv 2.1.0)."""
    turning = step.get("color_type", "color") in ("color", "grayscale")
    return turning and step.get("imdecode_backend", "cv2") in ("cv2", "pillow")


def label_map(
    old: Optional[Sequence[str]], new: Optional[Sequence[str]]
) -> tuple[tuple[int, int], ...]:
    """Return old and new labels as ``BaseSegDataset.get_label_map`` of mmsegmentation 1.2.2 does.

    ``old`` are the classes that the dataset type declares. Those that are left out become 255,
    whatever the ignored label is. Classes that the type does not have stop the host; here they are
    read as they are.
    """
    if not old or not new or list(old) == list(new) or not set(new) <= set(old):
        return ()
    places = {name: label for label, name in enumerate(new)}
    return tuple((label, places.get(name, 255)) for label, name in enumerate(old))


def remap_table(step: Mapping[str, Any]) -> Optional[dict[int, int]]:
    """Return old label -> new label of a ``RemapLabels`` step; None if it is about colours."""
    given = step.get("mapping")
    if isinstance(step.get("table"), str):
        given = read_table(Path(step["table"]))
    pairs = given.items() if isinstance(given, Mapping) else given or ()
    try:
        return {int(old): int(new) for old, new in pairs} or None
    except (TypeError, ValueError):
        return None


def _remapped(
    pairs: tuple[tuple[int, int], ...], step: Mapping[str, Any]
) -> tuple[tuple[int, int], ...]:
    """Return the label map with that of a ``RemapLabels`` step after it.

    Its own ``ignore_index`` counts there, whatever that of the dataset is.
    """
    table = remap_table(step)
    if table is None:
        return pairs
    before = dict(pairs)
    ignore, default = step.get("ignore_index", 255), step.get("default")
    others = ignore if default == "ignore" else default

    def new(label: int) -> int:
        other = others if isinstance(others, int) and label != ignore else label
        return table.get(label, other)

    both = ((label, new(before.get(label, label))) for label in range(256))
    return tuple((old, label) for old, label in both if old != label or old in before)


def _worth_reading(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], list[str]]:
    """Leave out what is not here, and a test split that is validation once more.

    Raises FixkitError if nothing is here.
    """
    kept: list[Part] = []
    notes: list[str] = []
    validation = [part.source for part in parts if part.source.split == "val"]
    for part in parts:
        source = part.source
        try:
            check_source(source)
        except FixkitError as error:
            notes.append(f"{source.split} is not scanned: {error}")
            continue
        if source.split != "test" or not any(source.same_files(v) for v in validation):
            kept.append(part)
    if not kept:
        first = notes[0].partition(": ")[2]
        raise FixkitError(
            f"{first}; run this where training runs, or scan the folder of the labels"
        )
    return tuple(kept), notes


def _distinguished(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Give the datasets of a split that are read in different ways names of their own."""
    readings: dict[str, list[LabelReading]] = {}
    for part in parts:
        seen = readings.setdefault(part.source.split, [])
        if part.reading not in seen:
            seen.append(part.reading)
    return tuple(_named(part, readings[part.source.split]) for part in parts)


def _named(part: Part, readings: list[LabelReading]) -> Part:
    if len(readings) == 1:
        return part
    name = f"{part.source.split}[{readings.index(part.reading)}]"
    return replace(part, source=replace(part.source, split=name))
