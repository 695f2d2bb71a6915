"""The whole way from a config or a folder to the statistics of its label files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.config_files import of_config
from mmseg_fixkit.label_files.fold import scan_files
from mmseg_fixkit.label_files.folder_files import of_folder
from mmseg_fixkit.label_files.inventory import Asked, Inventory
from mmseg_fixkit.label_files.stats import (
    KEPT,
    LabelStats,
    Offender,
    Problem,
    SplitStats,
    ordered_splits,
    worst,
)
from mmseg_fixkit.label_files.walking import Source, unpaired
from mmseg_fixkit.labels import Color, LabelSpace
from mmseg_fixkit.load import load
from mmseg_fixkit.pairing import PICTURES

if TYPE_CHECKING:
    from mmengine import Config

#: As ``patch`` takes them: a label space, names alone, or how many.
LabelsLike = Union[LabelSpace, Sequence[str], int]

#: Called with the number of files that are done.
Progress = Callable[[int], None]


def scan(
    config_or_folder: Union[str, Path, Config],
    labels: Optional[LabelsLike] = None,
    *,
    splits: Optional[Sequence[str]] = None,
    images: Union[str, Path, None] = None,
    palette: Optional[Sequence[Color]] = None,
    ignore_index: Optional[int] = None,
    reduce_zero_label: Optional[bool] = None,
    seg_map_suffix: Optional[str] = None,
    jobs: Optional[int] = None,
    executor: Optional[str] = None,
    cache: bool = True,
    progress: Optional[Progress] = None,
) -> LabelStats:
    """Read all label files of a config or a folder, and count what they hold.

    Args:
        config_or_folder: a config (a path, a zoo name or a ``mmengine.Config``), a data set of a
            known layout, or a folder of label maps, which needs no OpenMMLab.
        labels: what the classes are; those of the config where left out.
        splits: which; where left out, all whose files are here.
        images: the folder of the images, where a folder of label maps is given.
        palette: a colour for each class, for colour masks.
        ignore_index: the label that is not counted; that of ``labels`` or the config if left out.
        reduce_zero_label: whether files hold 0 for "ignored", likewise.
        seg_map_suffix: what the names of label maps in a folder end with, where others are there.
        jobs: how many workers; where left out, one for each core.
        executor: ``threads``, ``processes`` or ``dask://HOST:PORT``; chosen where left out.
        cache: whether what is known of unchanged files from an earlier scan is used.
        progress: called with the number of files that are done.

    Raises:
        FixkitError: the config or a folder cannot be read, or there are no label files.
    """
    asked = replace(
        asked_for(labels, palette, ignore_index, reduce_zero_label), seg_map_suffix=seg_map_suffix
    )
    source, inventory = inventory_of(config_or_folder, splits, images, asked)
    return scan_inventory(
        source, inventory, jobs=jobs, executor=executor, cache=cache, progress=progress
    )


def scan_document(
    document: ConfigDocument,
    splits: Optional[Sequence[str]] = None,
    asked: Optional[Asked] = None,
    **how: Any,
) -> LabelStats:
    """Scan the label files of a loaded config; ``how`` as in :func:`scan_inventory`."""
    return scan_inventory(document.name, of_config(document, splits, asked), **how)


def asked_for(
    labels: Optional[LabelsLike] = None,
    palette: Optional[Sequence[Color]] = None,
    ignore_index: Optional[int] = None,
    reduce_zero_label: Optional[bool] = None,
) -> Asked:
    """Return what the user says of the labels; single settings count before a label space's.

    Raises:
        FixkitError: see :class:`~mmseg_fixkit.labels.LabelSpace`.
    """
    colors = None if palette is None else tuple(palette)
    if labels is None:
        return Asked(None, colors, ignore_index, reduce_zero_label)
    if isinstance(labels, LabelSpace):
        return Asked(
            labels.classes,
            colors or labels.palette,
            labels.ignore_index if ignore_index is None else ignore_index,
            labels.reduce_zero_label if reduce_zero_label is None else reduce_zero_label,
        )
    space = LabelSpace.of(labels) if isinstance(labels, int) else LabelSpace(tuple(labels), colors)
    return Asked(space.classes, colors, ignore_index, reduce_zero_label)


def inventory_of(
    target: Union[str, Path, Config],
    splits: Optional[Sequence[str]] = None,
    images: Union[str, Path, None] = None,
    asked: Optional[Asked] = None,
) -> tuple[str, Inventory]:
    """Return the name of a config or folder, and its label files.

    Raises:
        FixkitError: as :func:`scan`.
    """
    if isinstance(target, (str, Path)) and os.path.isdir(os.path.expanduser(target)):
        beside = None if images is None else str(images)
        return str(target), of_folder(os.path.expanduser(target), beside, splits, asked)
    of_folders = {"--images": images, "--seg-map-suffix": asked and asked.seg_map_suffix}
    for option in (name for name, value in of_folders.items() if value):
        raise FixkitError(f"{option} is for a folder of label maps, but {target} is a config")
    if str(target).lower().endswith(PICTURES):
        raise FixkitError(f"{target} is one picture; give the folder of the label maps")
    document = load(target)
    return document.name, of_config(document, splits, asked)


def scan_inventory(
    source: str,
    inventory: Inventory,
    *,
    jobs: Optional[int] = None,
    executor: Optional[str] = None,
    cache: bool = True,
    progress: Optional[Progress] = None,
) -> LabelStats:
    """Read the label files of an inventory; see :func:`scan`.

    Raises:
        FixkitError: a split has no files.
    """
    found = scan_files(
        inventory.files,
        inventory.readings,
        jobs=jobs,
        executor=executor,
        cache=cache,
        progress=progress,
    )
    for part in inventory.parts:
        _check_not_empty(part.source, found)
    listed = _listed(tuple(part.source for part in inventory.parts))
    splits = {
        name: replace(split, problems={**split.problems, **listed.get(name, {})})
        for name, split in found.items()
    }
    first = inventory.parts[0].reading
    return LabelStats(
        source,
        ordered_splits(splits),
        inventory.classes,
        inventory.palette,
        first.ignore_index,
        first.reduce_zero_label,
    )


def _check_not_empty(source: Source, found: Mapping[str, SplitStats]) -> None:
    if found.get(source.split, SplitStats()).files:
        return
    if source.images is None:
        raise FixkitError(f"{source.labels} has no picture, but its label maps are to be read")
    where = source.ann_file or f"{source.images} (names that end with {source.img_suffix!r})"
    raise FixkitError(
        f"{source.split} has no image: {where} lists none, and training stops with num_samples=0; "
        "check data_prefix and img_suffix"
    )


# --- what listing tells -------------------------------------------------------------------------


def _listed(sources: tuple[Source, ...]) -> dict[str, dict[str, Problem]]:
    """Return split -> problem -> files, of what is not in the files themselves."""
    found: dict[str, dict[str, Problem]] = {}
    for split, same in _by_place(sources):
        problems = found.setdefault(split, {})
        for name, offenders in _gathered(unpaired(same)).items():
            problems[name] = problems.get(name, Problem()) + offenders
    return found


def _by_place(sources: tuple[Source, ...]) -> Iterator[tuple[str, Source]]:
    """Yield each place once, under the first split that reads it."""
    seen: list[Source] = []
    for source in sources:
        if not any(source.same_files(other) for other in seen):
            seen.append(source)
            yield source.split, source


def _gathered(found: Iterable[tuple[str, Offender]]) -> dict[str, Problem]:
    """Count offenders by problem, and keep the first of them."""
    counts: Counter[str] = Counter()
    kept: dict[str, list[Offender]] = {}
    for name, offender in found:
        counts[name] += 1
        if counts[name] <= KEPT:
            kept.setdefault(name, []).append(offender)
    return {name: Problem(counts[name], worst=worst(kept[name])) for name in counts}
