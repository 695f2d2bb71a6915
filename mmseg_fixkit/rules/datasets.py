"""Family 2: the datasets, their classes, files and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Any

from mmseg_fixkit.config import host
from mmseg_fixkit.config.context import ConfigContext
from mmseg_fixkit.config.nodes import Dataset, Metric
from mmseg_fixkit.core.diagnostics import Diagnostic, Edit, EditKind, finding
from mmseg_fixkit.core.rule import rule
from mmseg_fixkit.core.text import counted


@rule("MSF201", "dataset-classes")
def dataset_classes(context: ConfigContext) -> Iterator[Diagnostic]:
    """A dataset has other classes, or another order of them, than the label space.

    ## What it does
    Compares the class names in force in the dataset of every split, below wrappers such as
    `RepeatDataset`, with the label space: `metainfo.classes` where it is written, else `METAINFO`
    of the dataset's class. In `check` the label space is that of the training dataset.

    ## Why is this bad?
    `IoUMetric` counts with the classes of the validation dataset, not with those of the head, and
    drops labels beyond them silently: the table then names the wrong classes, or leaves some out.

    ## Example
    ```python
    val_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'soil'))))
    ```

    ## Use instead
    ```python
    val_dataloader = dict(
        dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('soil', 'weed'))))
    ```

    ## Fix safety
    Safe for training, which only the training dataset takes part in.

    ## References
    mmdetection issues 4828 and 6532; `intersect_and_union` of mmsegmentation 1.2.2.
    """
    expected = context.labels.classes
    for dataset in context.document.datasets:
        classes = dataset.classes
        if isinstance(classes, str) or _as_tuple(classes) == expected:
            continue
        if classes is None and not context.labels_given:
            continue  # a dataset class of the user's own: its METAINFO is not known here
        yield finding(
            (*dataset.key, "metainfo", "classes"),
            _as_tuple(classes),
            context.expected_by,
            expected,
            shown=f"{counted(context.num_classes, 'class')} {expected}",
            edits=metainfo_edits(context, dataset),
            title=f"Set classes and palette of the {dataset.role} dataset",
        )


@rule("MSF202", "palette-length")
def palette_length(context: ConfigContext) -> Iterator[Diagnostic]:
    """A palette has another number of colours than there are classes.

    ## What it does
    Counts `metainfo.palette` of every dataset against its classes. In `mmseg-fix patch --palette`
    it compares the colours too.

    ## Why is this bad?
    MMSegmentation refuses it when the dataset is built: `palette does not match classes`.

    ## Example
    ```python
    train_dataloader = dict(dataset=dict(metainfo=dict(palette=[[128, 64, 128]])))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(dataset=dict(metainfo=dict(palette=[[0, 0, 0], [128, 0, 0]])))
    ```

    ## Fix safety
    Safe: the run could not have started, and colours are only for images.

    ## References
    mmsegmentation issues 3505, 3029 and 3285.
    """
    expected = palette_of(context)
    for dataset in context.document.datasets:
        palette = dataset.metainfo.get("palette")
        if context.options.palette:
            yield from _other_colours(dataset, palette, expected)
            continue
        if not isinstance(palette, (list, tuple)) or len(palette) == context.num_classes:
            continue
        if not palette or _host_takes_subset(dataset, len(palette)):
            continue
        if _fits_other_classes(dataset, len(palette)):
            continue
        key = (*dataset.key, "metainfo", "palette")
        colours = counted(context.num_classes, "colour")
        yield finding(
            key,
            list(palette),
            context.expected_by,
            expected,
            shown=f"{counted(context.num_classes, 'class')}, so {colours} are needed",
            edits=[Edit(key, expected)],
            title=f"Give the palette {colours}",
        )


@rule("MSF203", "classes-not-a-list")
def classes_not_a_list(context: ConfigContext) -> Iterator[Diagnostic]:
    """The classes are one text instead of a list of names.

    ## What it does
    Finds `metainfo.classes` written as a text: `('water')` is no tuple without a comma. A text
    that names an existing file is right: MMEngine reads one class a line from it. With the comma
    there still is one class only (MSF108), so that a patch names the background as well.

    ## Why is this bad?
    The letters of the text become the classes: `water` has five of them, and the palette does
    not fit any more.

    ## Example
    ```python
    train_dataloader = dict(dataset=dict(metainfo=dict(classes=('water'))))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(dataset=dict(metainfo=dict(classes=('background', 'water'))))
    ```

    ## Fix safety
    Safe: the run could not have started with a palette, and meant nothing without one.

    ## References
    mmsegmentation issues 3505 and 3029; mmdeploy issue 877.
    """
    for dataset in context.document.datasets:
        if isinstance(dataset.classes, str):
            yield finding(
                (*dataset.key, "metainfo", "classes"),
                dataset.classes,
                "MMSegmentation needs",
                context.labels.classes,
                shown=f"a list of names: {context.labels.classes!r}, with a comma after each",
                edits=metainfo_edits(context, dataset),
                title=f"Write the classes of the {dataset.role} dataset as a tuple",
            )


@rule("MSF204", "foreign-classes")
def foreign_classes(context: ConfigContext) -> Iterator[Diagnostic]:
    """A dataset type of MMSegmentation is given classes that are not its own.

    ## What it does
    Looks for classes that the `METAINFO` of a registered dataset type does not have.

    ## Why is this bad?
    Such a type takes a subset of its own classes only; anything else stops the run with `new
    classes … is not a subset of classes … in METAINFO`. Classes of your own need a type without
    classes, `BaseSegDataset`, which in turn has other file suffixes and does not reduce the zero
    label.

    ## Example
    ```python
    train_dataloader = dict(dataset=dict(type='CityscapesDataset'))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(
        dataset=dict(
            type='BaseSegDataset',
            img_suffix='_leftImg8bit.png',
            seg_map_suffix='_gtFine_labelTrainIds.png'))
    ```

    ## Fix safety
    Safe: the run could not have started. The suffixes of the old type are written out, so that
    the same files are found; give `--img-suffix` and `--seg-map-suffix` where yours differ.

    ## References
    `BaseSegDataset.get_label_map` of mmsegmentation 1.2.2.
    """
    for dataset in context.document.datasets:
        if dataset.foreign:
            who = f"its classes are not among those of {dataset.type}, which needs"
            yield from plain_type_findings(dataset, who)


@rule("MSF205", "metric-of-another-dataset", labels="exclusive")
def metric_of_another_dataset(context: ConfigContext) -> Iterator[Diagnostic]:
    """An evaluator has a metric that only fits the dataset it is named for.

    ## What it does
    Finds `CityscapesMetric` in a config whose dataset is not Cityscapes.

    ## Why is this bad?
    `CityscapesMetric` converts predictions to the label ids of Cityscapes and calls that dataset's
    own scripts on its file names; with other data it fails, or scores other classes.

    ## Example
    ```python
    test_evaluator = dict(type='CityscapesMetric', output_dir='out')
    ```

    ## Use instead
    ```python
    test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
    ```

    ## Fix safety
    Safe: metrics have no part in training.

    ## References
    `CityscapesMetric` of mmsegmentation 1.2.2.
    """
    known = host.dataset_info("CityscapesDataset")
    if known and known.classes == context.labels.classes:
        return
    new = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}
    for metric, edit in replaced_metrics(context, host.DATASET_METRICS, new):
        twice = edit.kind is EditKind.REMOVE
        yield finding(
            (*metric.key, "type"),
            metric.type,
            context.expected_by,
            "IoUMetric",
            shown="other classes than Cityscapes, which needs 'IoUMetric'",
            edits=[edit],
            title="Leave it to IoUMetric" if twice else "Evaluate with IoUMetric",
        )


def replaced_metrics(
    context: ConfigContext, kinds: Set[str], new: dict[str, Any], keep: Sequence[str] = ()
) -> Iterator[tuple[Metric, Edit]]:
    """Yield the metrics of these kinds, and what puts ``new`` there, with the arguments to keep.

    MMEngine refuses two metrics of one kind, whose results have the same names: the second goes.
    """
    scored = {metric.split for metric in context.document.metrics if metric.type == new["type"]}
    for metric in context.document.metrics:
        if metric.type in kinds:
            kept = {name: metric.config[name] for name in keep if name in metric.config}
            twice = metric.split in scored
            scored.add(metric.split)
            whole = Edit(metric.key, {**new, **kept})
            yield metric, Edit(metric.key, kind=EditKind.REMOVE) if twice else whole


@rule("MSF210", "metainfo-names")
def metainfo_names(context: ConfigContext) -> Iterator[Diagnostic]:
    """The classes or the palette have their names of MMSegmentation 0.x, which 1.x overlooks.

    ## What it does
    Finds `CLASSES` and `PALETTE` in `metainfo`; 1.x reads `classes` and `palette`.

    ## Why is this bad?
    `BaseSegDataset` is built without classes then, and validation stops with `dataset metainfo
    classes should be specified when testing`. A dataset type with classes of its own goes on with
    those, and nothing is reported.

    ## Example
    ```python
    train_dataloader = dict(
        dataset=dict(metainfo=dict(_delete_=True, CLASSES=('soil', 'weed'))))
    ```

    ## Use instead
    ```python
    train_dataloader = dict(dataset=dict(metainfo=dict(classes=('soil', 'weed'))))
    ```

    ## Fix safety
    Safe: a type without classes of its own does not learn by their names. For another type
    nothing is changed unless you give the classes, because the run learns others today.

    ## References
    mmsegmentation issue 2646; `BaseSegDataset.__init__` of mmsegmentation 1.2.2.
    """
    for dataset in context.document.datasets:
        plain = dataset.info is not None and not dataset.info.classes
        for name in ("CLASSES", "PALETTE"):
            if name in dataset.metainfo:
                yield _renamed(dataset, name, mend=plain or context.labels_given)


def _renamed(dataset: Dataset, name: str, *, mend: bool) -> Diagnostic:
    metainfo, new = (*dataset.key, "metainfo"), name.lower()
    value = dataset.metainfo[name]
    edits = [Edit((*metainfo, name), kind=EditKind.REMOVE)]
    if new not in dataset.metainfo:
        edits.append(Edit((*metainfo, new), value))
    return finding(
        (*metainfo, name),
        value,
        "MMSegmentation 1.x reads",
        new,
        then="" if mend else "give the classes to `mmseg-fix patch --classes`",
        edits=edits if mend else (),
        title=f"Call it {new}",
    )


def metainfo_edits(context: ConfigContext, dataset: Dataset) -> Iterator[Edit]:
    """Write classes and palette of the label space into a dataset."""
    metainfo = (*dataset.key, "metainfo")
    if not isinstance(dataset.config.get("metainfo"), dict):
        yield Edit(metainfo, {})
    yield Edit((*metainfo, "classes"), context.labels.classes)
    yield Edit((*metainfo, "palette"), palette_of(context))


def palette_of(context: ConfigContext) -> list[list[int]]:
    """Return the colours of the label space as configs write them."""
    return [list(color) for color in context.labels.colors]


def plain_type_findings(dataset: Dataset, who: str) -> Iterator[Diagnostic]:
    """Yield a finding whose fix makes a dataset one of the plain type that finds the same files."""
    info = dataset.info
    if info is not None:
        yield finding(
            (*dataset.key, "type"),
            dataset.type,
            who,
            info.plain_type,
            edits=_plain_type_edits(dataset, info),
            title=f"Use {info.plain_type} with the suffixes of {dataset.type}",
        )


def _plain_type_edits(dataset: Dataset, info: host.DatasetInfo) -> Iterator[Edit]:
    yield Edit((*dataset.key, "type"), info.plain_type)
    plain = host.dataset_info("BaseSegDataset")
    for name in ("img_suffix", "seg_map_suffix"):
        suffix = dataset.suffix(name)
        if name not in dataset.config and plain and suffix != getattr(plain, name):
            yield Edit((*dataset.key, name), suffix)


def _as_tuple(classes: Any) -> Any:
    return tuple(classes) if isinstance(classes, (list, tuple)) else classes


def _other_colours(
    dataset: Dataset, palette: Any, expected: list[list[int]]
) -> Iterator[Diagnostic]:
    if palette is None or [list(color) for color in palette] != expected:
        key = (*dataset.key, "metainfo", "palette")
        yield finding(
            key,
            palette,
            "you asked for",
            expected,
            edits=[Edit(key, expected)],
            title=f"Set the palette of the {dataset.role} dataset",
        )


def _fits_other_classes(dataset: Dataset, colors: int) -> bool:
    # They come with classes that are not the right ones, which MSF201 says of both.
    classes = dataset.classes
    return isinstance(classes, (list, tuple)) and colors == len(classes)


def _host_takes_subset(dataset: Dataset, colors: int) -> bool:
    # A palette for all of METAINFO's classes is cut down by the host to those in use.
    own = dataset.own_classes
    return bool(own) and dataset.classes != own and colors == len(own)
