"""Family 2: where the files of a dataset are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Optional

from mmseg_fixkit.config.context import ConfigContext, OwnFiles, SplitFiles, own_files
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, KeyPath, finding
from mmseg_fixkit.core.rule import rule

#: Types that assert that ``ann_file`` is a file.
_NEEDS_LIST = frozenset({"PascalVOCDataset", "PascalContextDataset", "PascalContextDataset59"})

_PLACES = (("data_prefix", "img_path"), ("data_prefix", "seg_map_path"), ("ann_file",))


@rule("MSF206", "data-not-as-asked", requested=True)
def data_not_as_asked(context: ConfigContext) -> Iterator[Diagnostic]:
    """A dataset reads other folders, lists or file suffixes than you asked for.

    ## What it does
    Speaks only in `mmseg-fix patch` with `--data-root`, `--img-dir`, `--ann-dir`, `--ann-file`,
    `--img-suffix` or `--seg-map-suffix`. Compares them, and what the layout of the folder in
    `--data-root` says where it is recognised, with every dataset. `{split}` stands for `train`,
    `val` and `test`; a test dataset that reads the files of the validation dataset goes on doing
    so. Of several datasets of one split that would then read the same files, one stays.

    ## Why is this bad?
    It is no fault of the config; it is a change that you asked for.

    ## Example
    `mmseg-fix patch config.py --data-root data/farm`

    ## Use instead
    The same command writes the change.

    ## Fix safety
    Safe, as you asked for it.

    ## References
    `BaseSegDataset` of mmsegmentation 1.2.2; the page on your own data in this documentation.
    """
    for dataset in context.document.datasets:
        twin = _twin(context, dataset)
        if twin is not None:
            yield _read_twice(dataset, twin)
            continue
        for key, expected in _requested(context, dataset).items():
            written = lookup(dataset.config, key)
            in_force = dataset.suffix(key[-1]) if key[-1].endswith("_suffix") else written
            if expected not in (written, in_force) and (expected or written):
                yield _not_as_asked(dataset, key, written, expected)
        yield from _list_needed(context, dataset)


@rule("MSF211", "data-root-twice")
def data_root_twice(context: ConfigContext) -> Iterator[Diagnostic]:
    """A folder is written with the `data_root` that is put before it anyway.

    ## What it does
    Looks for `data_prefix` and `ann_file` that begin with `data_root`, where that has at least
    two parts (`data/farm`; a folder `farm` in a folder `farm` is nothing unusual).

    ## Why is this bad?
    The two are joined: `data/farm/data/farm/images`, and the run stops with `FileNotFoundError`.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(
            data_root='data/farm',
            data_prefix=dict(img_path='data/farm/images', seg_map_path='labels')))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            data_root='data/farm',
            data_prefix=dict(img_path='images', seg_map_path='labels')))
    ```

    ## Fix safety
    Safe: the run could not have started.

    ## References
    `BaseDataset._join_prefix` of mmengine 0.10.7.
    """
    if (
        context.options.data.img_dir
        or context.options.data.ann_dir
        or context.options.data.ann_file
    ):
        return  # folders as asked for, MSF206
    for dataset in context.document.datasets:
        root = dataset.config.get("data_root")
        for place in _PLACES if isinstance(root, str) else ():
            written = lookup(dataset.config, place)
            shorter = below_root(str(root), written)
            if shorter is not None and len(PurePosixPath(str(root)).parts) > 1:
                key = (*dataset.key, *place)
                yield finding(
                    key,
                    written,
                    f"data_root {root!r} is put before it, so that MMSegmentation needs",
                    shorter,
                    edits=[Edit(key, shorter)],
                    title=f"Take data_root out of {place[-1]}",
                )


def below_root(root: str, path: Any) -> Optional[str]:
    """Return ``path`` without ``root`` before it; None where it does not begin with it."""
    if not isinstance(path, str) or PurePosixPath(path).is_absolute():
        return None
    try:
        return PurePosixPath(path).relative_to(PurePosixPath(root)).as_posix()
    except ValueError:
        return None


def _requested(context: ConfigContext, dataset: Dataset) -> dict[tuple[str, ...], str]:
    """What was asked for of one dataset: from the folder where it was looked at, else in words."""
    data = context.options.data
    split = _folder_split(context, dataset)
    words = (data.img_dir, data.ann_dir, data.ann_file)
    in_words = {
        key: None if text is None else text.replace("{split}", split)
        for key, text in zip(_PLACES, words)
    }
    found = data.splits.get(split)
    wanted: dict[tuple[str, ...], Optional[str]] = {("data_root",): data.data_root, **in_words}
    if found is not None:
        if own_files(dataset) not in data.keep:
            wanted.update(zip(_PLACES, (found.img_path, found.seg_map_path, found.ann_file)))
        # A class of the user's own may have suffixes of its own and take none.
        wanted.update(_suffixes(found) if dataset.info else {})
    given = {"img_suffix": data.img_suffix, "seg_map_suffix": data.seg_map_suffix}
    wanted.update({(name,): value for name, value in given.items() if value is not None})
    return {key: value for key, value in wanted.items() if value is not None}


def _suffixes(found: SplitFiles) -> dict[tuple[str, ...], str]:
    return {("img_suffix",): found.img_suffix, ("seg_map_suffix",): found.seg_map_suffix}


def _not_as_asked(
    dataset: Dataset, key: tuple[str, ...], written: Any, expected: str
) -> Diagnostic:
    path = (*dataset.key, *key)
    return finding(
        path,
        written,
        "you asked for",
        expected,
        edits=[Edit(path, expected)],
        title=f"Set {key[-1]} of the {dataset.role} dataset",
    )


def _folder_split(context: ConfigContext, dataset: Dataset) -> str:
    """The split whose folders a dataset reads: configs often test on the validation files."""
    if dataset.split == "test":
        for other in context.document.datasets:
            if other.split == "val" and own_files(other) == own_files(dataset):
                return "val"
    return dataset.split


def _files(dataset: Dataset, asked: dict[tuple[str, ...], str]) -> tuple[str, OwnFiles]:
    """The files that a dataset reads once it is as asked for."""
    root = asked.get(("data_root",), str(dataset.config.get("data_root") or ""))
    own = own_files(dataset)
    files = tuple(asked.get(key, old) for key, old in zip(_PLACES, own))
    return root, (files[0], files[1], files[2])


def _twin(context: ConfigContext, dataset: Dataset) -> Optional[Dataset]:
    """An earlier dataset of the same list that comes to read the same files, if not on purpose."""
    item = list_item(dataset.key)
    asked = _requested(context, dataset)
    if item is None or not asked:
        return None
    for other in context.document.datasets:
        if other.key == dataset.key:
            break
        changed = _siblings(other.key, item) and _files(dataset, {}) != _files(other, {})
        if changed and _files(dataset, asked) == _files(other, _requested(context, other)):
            return other
    return None


def list_item(key: KeyPath) -> Optional[KeyPath]:
    """Return the part of a dataset's key that ends in its place in a list; None outside one."""
    place = next((i for i in reversed(range(len(key))) if isinstance(key[i], int)), None)
    return None if place is None else key[: place + 1]


def _siblings(key: KeyPath, item: KeyPath) -> bool:
    other = list_item(key)
    return other is not None and other[:-1] == item[:-1] and other != item


def _read_twice(dataset: Dataset, twin: Dataset) -> Diagnostic:
    item = list_item(dataset.key) or dataset.key
    own = "/".join(part for part in own_files(dataset)[1:] if part)
    return finding(
        item,
        own,
        "you asked for files that",
        None,
        shown=f"the dataset {(list_item(twin.key) or twin.key)[-1]} of the same list reads already",
        edits=[Edit(item, kind=EditKind.REMOVE)],
        title="Read every file once",
    )


def _list_needed(context: ConfigContext, dataset: Dataset) -> Iterator[Diagnostic]:
    asked = _requested(context, dataset).get(("ann_file",))
    if asked == "" and dataset.type in _NEEDS_LIST:
        yield finding(
            (*dataset.key, "ann_file"),
            None,
            f"{dataset.type} needs",
            "a list of names",
            shown="a list of names, one a line",
            then="write one and give it with --ann-file, or give classes of your own",
        )
