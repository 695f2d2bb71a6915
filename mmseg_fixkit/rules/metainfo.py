"""Family 2: how ``metainfo`` is written."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg_fixkit.diagnostics import Diagnostic, Edit, EditKind, finding
from mmseg_fixkit.parts import Dataset
from mmseg_fixkit.registry import rule
from mmseg_fixkit.rules.context import Context


@rule("MSF203", "classes-not-a-list")
def classes_not_a_list(context: Context) -> Iterator[Diagnostic]:
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


@rule("MSF210", "metainfo-names")
def metainfo_names(context: Context) -> Iterator[Diagnostic]:
    """The classes or the palette have their names of MMSegmentation 0.x, which 1.x overlooks.

    ## What it does
    Finds `CLASSES` and `PALETTE` in `metainfo`; 1.x reads `classes` and `palette`.

    ## Why is this bad?
    `BaseSegDataset` is built without classes then, and validation stops with `dataset metainfo
    classes should be specified when testing`. A dataset type with classes of its own goes on
    with those, and nothing is said.

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


def metainfo_edits(context: Context, dataset: Dataset) -> Iterator[Edit]:
    """Write classes and palette of the label space into a dataset."""
    metainfo = (*dataset.key, "metainfo")
    if not isinstance(dataset.config.get("metainfo"), dict):
        yield Edit(metainfo, {})
    yield Edit((*metainfo, "classes"), context.labels.classes)
    yield Edit((*metainfo, "palette"), palette_of(context))


def palette_of(context: Context) -> list[list[int]]:
    """Return the colours of the label space as configs write them."""
    return [list(color) for color in context.labels.colors]


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
