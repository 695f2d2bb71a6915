"""What a patch is asked for beyond its classes: checked, completed, with notes for the user.

The options are class weights (numbers, or a method that reads the training labels), labels that may
overlap, and the user's data folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union

from mmseg_fixkit.config.context import (
    ClassWeight,
    ConfigContext,
    DataLocation,
    MultiLabelFormat,
    SplitFiles,
    own_files,
)
from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.multilabel import CLASS_LOSSES, LOSS, SEGMENTORS, named_background
from mmseg_fixkit.config.nodes import Dataset, is_step
from mmseg_fixkit.config.plan import make_plan
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import format_key
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import LabelSpace
from mmseg_fixkit.core.text import counted, listed
from mmseg_fixkit.datasets.label_bits import label_bits
from mmseg_fixkit.datasets.layout import (
    ALL,
    SPELLINGS,
    Folder,
    KnownPaths,
    Layout,
    Split,
    detect_layout,
)
from mmseg_fixkit.datasets.multilabel_files import checked_format
from mmseg_fixkit.rules import select_rules
from mmseg_fixkit.rules.channels import decode_losses, samples_by_label, weight_fault
from mmseg_fixkit.rules.data_files import below_root, list_item
from mmseg_fixkit.rules.loss_weights import checked_class_weight, no_object_weight
from mmseg_fixkit.rules.multilabel import unfit_heads

if TYPE_CHECKING:
    from mmseg_fixkit.datasets.stats import LabelStats

# --- class weights -------------------------------------------------------------------------------

#: What may stand beside numbers and the methods of ``datasets.class_weights``.
WORDS = ("keep", "none")


def read_class_weight(
    context: ConfigContext, given: Union[str, Sequence[Any], None]
) -> ClassWeight:
    """Check the class weights that are asked for; a text is read as the command line gives it.

    They are N numbers, one of :data:`WORDS`, or a method, which :func:`with_computed_weights`
    replaces; where labels may overlap no method, and N + 1 numbers too, the background's first.
    Raises ``FixkitError`` for other words, or numbers that do not fit the config.
    """
    if given is None or given in WORDS:
        return given if given is None else str(given)
    if isinstance(given, str) and not context.labels.multilabel and _is_word(given):
        return _checked_method(context, given)
    parts = given.split(",") if isinstance(given, str) else list(given)
    text = ",".join(str(part) for part in parts)
    weights = [_number(part) for part in parts]
    if context.labels.multilabel:
        return _checked_label_weights(context, weights, text)
    return checked_class_weight(context.document, context.num_classes, weights, text)


def _is_word(given: str) -> bool:
    return "," not in given and bool(given.strip()) and isinstance(_number(given), str)


def _checked_method(context: ConfigContext, given: str) -> str:
    # The formulas are not needed for numbers.
    from mmseg_fixkit.datasets.class_weights import METHODS, known

    try:
        method = known(given.strip(), (*METHODS, *WORDS), "method")
    except FixkitError as error:
        raise FixkitError(f"--class-weight: {error}; or give the numbers") from None
    # A config whose losses take no weights is refused before its labels are read.
    count = context.num_classes
    checked_class_weight(context.document, count, [1.0] * count, method)
    return method


def _number(text: Any) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _checked_label_weights(
    context: ConfigContext, weights: list[Any], text: str
) -> tuple[float, ...]:
    count = context.num_classes
    fault = weight_fault(weights)
    if fault or len(weights) not in (count, count + 1):
        raise FixkitError(
            f"--class-weight {text}: {fault or f'{len(weights)} weights are given'}; where labels "
            f"may overlap give {count} numbers, one for each label, or {count + 1} with the "
            "background's first. The methods count single-label maps"
        )
    return tuple(float(weight) for weight in weights)


def with_computed_weights(context: ConfigContext) -> tuple[ConfigContext, tuple[str, ...]]:
    """Return the context with numbers where a method was asked for, and notes on them.

    The labels are those of the training split, read as the patched config reads them. Raises
    ``FixkitError`` where they cannot be read, or hold none of the classes.
    """
    method = context.options.class_weight
    if not isinstance(method, str) or method in WORDS:
        return context, ()
    from mmseg_fixkit.datasets.class_weights import class_counts, class_weights, remarks, rounded

    stats = _scanned(context, method)
    weights = rounded(class_weights(stats, method, split="train"))
    counts = class_counts(stats, "train")
    queries = no_object_weight(context.document) is not None
    notes = (
        f"class weights by {method} from {counted(counts.files, 'training label file')}: "
        f"{', '.join(f'{w:g}' for w in weights)}",
        *remarks(counts, weights, queries=queries),
    )
    options = replace(context.options, class_weight=tuple(weights))
    return replace(context, options=options), notes


def _scanned(context: ConfigContext, method: str) -> LabelStats:
    from mmseg_fixkit.datasets.listing import LabelOverrides
    from mmseg_fixkit.datasets.scan_files import scan_document

    without = replace(context, options=replace(context.options, class_weight=None))
    patched = context.document.with_tree(make_plan(without, select_rules()).after)
    try:
        return scan_document(patched, ("train",), LabelOverrides(context.labels.classes))
    except FixkitError as error:
        raise FixkitError(
            f"--class-weight {method} reads the training labels, but {error}; --data-root says "
            "where they are"
        ) from None


# --- labels that may overlap ---------------------------------------------------------------------

#: Losses that learn from a label map in their own way beside those on classes.
_STAY = frozenset({"BoundaryLoss", LOSS})

_OPTION = "--multilabel"


def check_label_format(
    context: ConfigContext, files: MultiLabelFormat, others: Mapping[str, Any]
) -> None:
    """Look whether a config can have labels that overlap, read from such files.

    Raises ``FixkitError`` where it cannot, or where something asked for does not go with it.
    """
    if not context.labels.multilabel:
        _check_nothing_given(files)
        return
    for fault in _faults(context, files, others):
        raise FixkitError(f"{_OPTION}: {fault}")
    label_bits(context.num_classes)
    _check_format(context, files)


def _check_nothing_given(files: MultiLabelFormat) -> None:
    given = next((name for name, value in vars(files).items() if value is not None), None)
    if given is not None:
        option = given.replace("_", "-")
        raise FixkitError(f"--{option} is for labels that may overlap; give --multilabel too")


def _faults(
    context: ConfigContext, files: MultiLabelFormat, others: Mapping[str, Any]
) -> Iterator[str]:
    yield from _other_faults(context, others)
    if not context.document.multilabel:  # else the rules say what is wrong
        yield from _config_faults(context)


def _config_faults(context: ConfigContext) -> Iterator[str]:
    name = context.document.name
    for label in named_background(context.labels.classes):
        yield (
            f"{label!r} is given as a label, but the background is where no label is, and has a "
            "channel of its own already: leave it out (files that have a plane or a bit for it are "
            "written again by `mmseg-fix convert-labels`)"
        )
    for key, _, fault in unfit_heads(context):
        yield f"{format_key(key)} of {name}: {fault}"
    kind = type_name(lookup(context.document.tree, ("model", "type"), ""))
    if kind not in {*SEGMENTORS, ""}:
        yield (
            f"model.type of {name} is {kind!r}, but only {listed(list(SEGMENTORS))} have a form "
            "for labels that overlap"
        )
    for loss in _losses(context):
        if loss.type in CLASS_LOSSES and CLASS_LOSSES[loss.type] is None:
            yield (
                f"{format_key(loss.key)} of {name} is {loss.type}, and no term of {LOSS} learns "
                "the same; leave it out, or put another loss there"
            )


def _other_faults(context: ConfigContext, others: Mapping[str, Any]) -> Iterator[str]:
    if others.get("binary"):
        yield "--binary is for single-label maps of two classes; leave it out"
    if context.labels.ignore_index != 255:
        yield (
            f"--ignore-index is {context.labels.ignore_index}, but ignored pixels of a map of "
            "label bits are 255 always; leave it out"
        )
    if others.get("reduce_zero_label") or context.labels.reduce_zero_label:
        yield (
            "--reduce-zero-label is for class indices, but 0 is a pixel without labels; leave it "
            "out"
        )


def _check_format(context: ConfigContext, files: MultiLabelFormat) -> None:
    chosen = files.label_format
    reads = (s for d in context.document.datasets for _, s in d.transforms if _loads(s))
    if chosen is None and any(is_step(step, "LoadAnnotations") for step in reads):
        chosen = "bits"
    if chosen is not None:
        checked_format(chosen, context.num_classes)
    if files.label_values is not None and chosen in ("bits", "coco"):
        raise FixkitError(f"--label-values is for planes and files, but --label-format is {chosen}")
    if files.label_values not in (None, 1, 255):
        raise FixkitError(f"--label-values is {files.label_values}, but it has to be 1 or 255")
    needs = {"coco": ("--label-file", files.label_file), "files": ("--file-pattern", "")}
    for kind, (option, value) in needs.items():
        given = files.label_file if kind == "coco" else files.file_pattern
        if given is not None and chosen not in (kind, None):
            raise FixkitError(f"{option} is for --label-format {kind}, but that is {chosen}")
        if chosen == kind and value is None:
            raise FixkitError(
                f"--label-format {kind} needs {option}, the JSON of each split below --data-root: "
                f"{option} 'annotations/{{split}}.json'"
            )


def _loads(step: Any) -> bool:
    return is_step(step, "LoadAnnotations", "LoadMultiLabelAnnotations")


def _losses(context: ConfigContext) -> Iterator[Any]:
    for head in context.document.class_heads:
        yield from decode_losses(context.document, head)


def multilabel_notes(context: ConfigContext, files: MultiLabelFormat) -> tuple[str, ...]:
    """Return what the user should know of a config whose labels come to overlap."""
    comes = context.labels.multilabel and not context.document.multilabel
    return tuple(_multilabel_notes(context, files)) if comes else ()


def _multilabel_notes(context: ConfigContext, files: MultiLabelFormat) -> Iterator[str]:
    chosen = files.label_format or "bits"
    also = "" if files.label_format else "; --label-format says how else"
    yield (
        f"{context.num_classes} labels, so {context.channels} channels: channel 0 is the "
        f"background; label files are read in the format {chosen!r}{also}"
    )
    for head in context.document.class_heads:
        if samples_by_label(head):
            yield (
                f"{format_key((*head.key, 'sampler'))} is removed, as it indexes probabilities "
                "with the label: all pixels are learned"
            )
    for loss in _losses(context):
        if loss.type not in {*CLASS_LOSSES, *_STAY}:
            yield (
                f"{format_key(loss.key)} is {loss.type}, which is not known here and stays; it "
                "gets maps of label bits"
            )


# --- the data folder -----------------------------------------------------------------------------

#: What a split reads where the folder has none of its name.
_INSTEAD = {"train": ("train", ALL), "val": ("val", ALL, "test", "train")}
_INSTEAD["test"] = ("test", *_INSTEAD["val"])


def inspect_data_root(
    document: ConfigDocument, asked: DataLocation, labels: Optional[LabelSpace] = None
) -> tuple[DataLocation, tuple[str, ...]]:
    """Return what was asked for with what the data folder holds, and notes to check it by.

    The config's own folders are kept where nothing is recognised. ``labels`` are the classes that
    the user gives, if any. Raises ``FixkitError`` where the folder is a file or cannot be read.
    """
    location, notes = _inspected(document, asked)
    if labels is not None and asked.data_root is not None:
        notes += _dataset_id_notes(document, labels)
    return location, notes


def _inspected(
    document: ConfigDocument, asked: DataLocation
) -> tuple[DataLocation, tuple[str, ...]]:
    root = _root(document, asked)
    if root is None:
        return asked, ()
    if asked.data_root is not None:
        asked = replace(asked, data_root=root)
    if "://" in root:
        return asked, (f"{root} is not on this machine and was not looked at; {_own_kept(asked)}",)
    folder = Path(root or ".")
    asked = _below(asked, root, folder)
    if not folder.exists():
        note = f"{root} is not here, so its layout was not looked at; {_own_kept(asked)}"
        return asked, () if asked.data_root is None else (note,)
    if not folder.is_dir():
        raise FixkitError(f"{root} is a file, but --data-root is to be a folder")
    if any(_of_two_images(dataset) for dataset in document.datasets):
        return asked, (f"{root} was not looked at: pairs of images are not recognised",)
    return _recognised(document, asked, root, Folder(folder))


def _root(document: ConfigDocument, asked: DataLocation) -> Optional[str]:
    if asked.data_root is not None:
        given = asked.data_root
        return str(Path(given).expanduser()) if given.startswith("~") else given
    if (asked.img_dir, asked.ann_dir, asked.ann_file) == (None, None, None):
        return None
    roots = {dataset.config.get("data_root") for dataset in document.datasets}
    root = roots.pop() if len(roots) == 1 else None
    return root if isinstance(root, str) else None


def _below(asked: DataLocation, root: str, folder: Path) -> DataLocation:
    """Take the root out of folders that were given with it, as a shell completes them."""

    def shorter(path: Optional[str]) -> Optional[str]:
        rest = below_root(root, path) if path and root else None
        nested = path is not None and (folder / path.split("{")[0]).exists()
        return path if rest is None or nested else rest

    return replace(
        asked,
        img_dir=shorter(asked.img_dir),
        ann_dir=shorter(asked.ann_dir),
        ann_file=shorter(asked.ann_file),
    )


def _own_kept(asked: DataLocation) -> str:
    if asked.img_dir and asked.ann_dir:
        return "the folders that you gave are written as they are"
    return "folders, lists and suffixes that you did not give stay as the config has them"


def _of_two_images(dataset: Dataset) -> bool:
    plain = dataset.info.plain_type if dataset.info else ""
    return plain == "BaseCDDataset" or "img_path2" in (dataset.config.get("data_prefix") or {})


def _recognised(
    document: ConfigDocument, asked: DataLocation, root: str, disk: Folder
) -> tuple[DataLocation, tuple[str, ...]]:
    suffixes = (asked.img_suffix, asked.seg_map_suffix)
    layout, reason = detect_layout(
        disk, KnownPaths(asked.img_dir, asked.ann_dir, asked.ann_file, suffixes)
    )
    if layout is None:
        return asked, (_not_recognised(root, asked, reason),)
    if layout.base:
        root = f"{root.rstrip('/')}/{layout.base}"
        asked, disk = replace(asked, data_root=root), Folder(Path(root))
    splits = {role: _files_of(split) for role in SPELLINGS for split in _read_by(layout, role)}
    given = (asked.img_dir, asked.ann_dir, asked.ann_file) != (None, None, None)
    kept = frozenset() if given else frozenset(_kept(document, disk))
    notes = (_summary(root, layout), *_missing(document, layout), *_details(root, layout))
    return replace(asked, splits=splits, keep=kept), notes


def _read_by(layout: Layout, role: str) -> Iterator[Split]:
    splits = (layout.split(name) for name in _INSTEAD[role])
    first = next((split for split in splits if split is not None), None)
    if first is not None:
        yield first


def _files_of(split: Split) -> SplitFiles:
    folders = (split.img_path, split.seg_map_path, split.ann_file)
    return SplitFiles(*folders, split.img_suffix, split.seg_map_suffix)


def _kept(document: ConfigDocument, disk: Folder) -> Iterator[tuple[str, str, str]]:
    """The files of datasets that share their split with others, where they are all there.

    What one split was recognised as cannot stand for several datasets: ``train`` and ``aug`` of
    PASCAL VOC stay what they are.
    """
    for dataset in document.datasets:
        images, labels, names = own_files(dataset)
        there = all((disk.root / path).is_dir() for path in (images, labels))
        if list_item(dataset.key) and there and (not names or disk.has(names)):
            yield images, labels, names


def _not_recognised(root: str, asked: DataLocation, reason: str) -> str:
    given = asked.img_dir and asked.ann_dir
    todo = "check --img-dir and --ann-dir" if given else "give --img-dir and --ann-dir"
    return (
        f"the layout of {root} is not recognised: {reason}; usual are images/train + labels/train, "
        f"train/images + train/masks, and images + labels with splits/train.txt; {todo} "
        f"(--img-dir 'images/{{split}}'); {_own_kept(asked)}"
    )


def _summary(root: str, layout: Layout) -> str:
    first = layout.splits[0]
    splits = ", ".join(f"{_name(split)}{_amount(split)}" for split in layout.splits)
    endings = Counter(split.pairing.suffixes for split in layout.splits)
    ends = "; ".join(
        f"images end with {image!r}, label maps with {label!r}" for image, label in endings
    )
    names = f", listed in {_shape(first, first.ann_file)}" if first.ann_file else ""
    shape = f"{_shape(first, first.img_path)} + {_shape(first, first.seg_map_path)}{names}"
    return f"{root} looks like {shape}: {splits}; {ends}"


def _name(split: Split) -> str:
    return "" if split.name == ALL else f"{split.name} "


def _amount(split: Split) -> str:
    pairing = split.pairing
    pairs = counted(pairing.pairs, "pair")
    return pairs if pairing.complete or split.ann_file else f"many files ({pairs} looked at)"


def _shape(split: Split, path: str) -> str:
    """Write a path with ``{split}`` where the split is spelt."""
    words = sorted(SPELLINGS.get(split.name, ()), key=len, reverse=True)
    parts = path.split("/")
    for i, part in reversed(list(enumerate(parts))):
        word = next((w for w in words if w in part.lower()), None)
        if word:
            place = part.lower().index(word)
            parts[i] = f"{part[:place]}{{split}}{part[place + len(word) :]}"
            break
    return "/".join(parts)


def _missing(document: ConfigDocument, layout: Layout) -> Iterator[str]:
    """Say what a split reads that the folder does not have."""
    have = {split.name for split in layout.splits}
    if layout.split("train") is None and ALL not in have:
        yield "there is no training split in it: the training dataset keeps its own folders"
    if "val" in have or not any(dataset.split == "val" for dataset in document.datasets):
        return
    instead = next(_read_by(layout, "val"), None)
    if instead is None:
        return
    if instead.name == "test":
        yield "there is no validation split in it: validation reads the test files"
    else:
        yield (
            "there is no validation split in it: validation reads the training files, so its "
            "scores say nothing about other images; put some of them into a split of their own "
            "(lists such as splits/train.txt and splits/val.txt do)"
        )


def _details(root: str, layout: Layout) -> Iterator[str]:
    for split in layout.splits:
        yield from _files_left(split)
    if any(split.seg_map_suffix.endswith("_gtFine_labelIds.png") for split in layout.splits):
        yield (
            "the label maps end with _gtFine_labelIds.png, which hold the 34 ids of Cityscapes and "
            "not its 19 classes: run tools/dataset_converters/cityscapes.py of MMSegmentation, "
            "which writes _gtFine_labelTrainIds.png beside them"
        )
    if layout.others:
        above = root.rstrip("/").removesuffix(layout.base)
        others = ", ".join(f"{above}{other}" for other in layout.others)
        yield f"{others} would fit as well; give one as --data-root to choose it"


def _files_left(split: Split) -> Iterator[str]:
    """Name the files that are not read, and those that stop the run."""
    pairing = split.pairing
    where, what = (split.ann_file, "name") if split.ann_file else (split.img_path, "image")
    lost = "without its image or label map" if split.ann_file else "without label map"
    if pairing.unlabelled:
        yield f"{where}: {_some(pairing.unlabelled, what)} {lost}; the run stops when it loads one"
    if pairing.other:
        end = repr(split.img_suffix)
        yield f"{where}: {_some(pairing.other, 'image')} not read: only {end} is"
    if pairing.spare:
        yield f"{split.seg_map_path}: {_some(pairing.spare, 'label map')} without image, not read"


def _some(names: tuple[str, ...], what: str) -> str:
    first = names[0] or "an empty line"
    return f"{counted(len(names), what)} ({first}{', …' if len(names) > 1 else ''})"


def _dataset_id_notes(document: ConfigDocument, labels: LabelSpace) -> tuple[str, ...]:
    """Say so where a dataset type stays because the classes are some of its own.

    Its label files hold its own ids then. Own files with classes of the same names do not.
    """
    for dataset in document.datasets[:1]:
        own = dataset.own_classes
        if own and labels.classes != own and set(labels.classes) <= set(own):
            first = labels.classes[0]
            return (
                f"your classes are some of {dataset.type}'s, so its type stays and the label maps "
                f"are read by its ids ({first} is {own.index(first)}); for files that hold 0 to "
                f"{labels.num_classes - 1} give another name to one class at least",
            )
    return ()
