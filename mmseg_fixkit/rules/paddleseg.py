"""What is wrong with a PaddleSeg config, of classes or of labels that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from mmseg_fixkit.config.paddleseg import DATASETS, PaddleConfig
from mmseg_fixkit.core.diagnostics import (
    Applicability,
    Diagnostic,
    Edit,
    EditKind,
    Severity,
    finding,
)
from mmseg_fixkit.core.rule import reported_rules, rule

AUXILIARY = "AddMultiLabelAuxiliaryCategory"

#: Losses that take labels that overlap, and the one that holds others.
MULTI_LABEL_LOSSES = frozenset({"BCELoss", "LovaszHingeLoss"})
_HOLDER = "MixedLoss"

#: What PaddleSeg's own multi-label configs train with.
MIXED = {
    "type": _HOLDER,
    "losses": [{"type": "BCELoss"}, {"type": "LovaszHingeLoss"}],
    "coef": [0.5, 0.5],
}


@dataclass(frozen=True)
class PaddleSegContext:
    """A config, and what is known of its classes."""

    config: PaddleConfig
    multilabel: bool
    channels: Optional[int] = None  # how many the model needs; None where only the config says
    expected_by: str = ""  # who says so, with its verb


def looks_multilabel(config: PaddleConfig) -> bool:
    """Whether a config is made for labels that overlap: by its transforms or its losses."""
    if any(has_auxiliary(config, dataset) for dataset in DATASETS):
        return True
    names = {name for _, name in config.losses} - {_HOLDER}
    return bool(names) and names <= MULTI_LABEL_LOSSES


def has_auxiliary(config: PaddleConfig, dataset: str) -> bool:
    """Whether the background is added as a channel."""
    return any(_type(step) == AUXILIARY for step in config.transforms(dataset))


def _type(step: object) -> str:
    return str(step.get("type", "")) if isinstance(step, dict) else ""


@rule("MSF651", "paddleseg-class-count", reported=True)
def class_count(context: PaddleSegContext) -> Iterator[Diagnostic]:
    """`num_classes` of a PaddleSeg config is not the same in model and datasets.

    ## What it does
    Compares `model.num_classes`, `train_dataset.num_classes` and `val_dataset.num_classes`. In a
    multi-label config, each has to be the number of labels and 1 more, for the background.

    ## Why is this bad?
    With L labels and L channels, training ends in an assertion of a scatter kernel on the GPU;
    with counts that differ, in a shape error of the loss or a wrong table of the evaluation.

    ## Example
    Two labels, and `num_classes: 2` in the model.

    ## Use instead
    `num_classes: 3` in all three places: `mmseg-fix patch x.yml --classes vessel,tumour`.

    ## Fix safety
    Safe: the run could not have started, or you asked for it.

    ## References
    PaddleSeg pull request 3479; `configs/multilabelseg/README.md`.
    """
    counts = context.config.counts
    wanted, who = context.channels, context.expected_by
    if wanted is None:
        wanted, who = counts.get("train_dataset"), "train_dataset.num_classes has"
    for section, found in counts.items():
        # A model takes the count of its training data where it has none (paddleseg.cvlibs).
        inherits = found is None and section == "model" and context.channels is None
        if found != wanted and wanted is not None and not inherits:
            key = (section, "num_classes")
            shown = f"{wanted}: the background and {wanted - 1} labels"
            yield finding(
                key,
                found,
                who,
                wanted,
                shown=shown if context.multilabel else None,
                edits=[Edit(key, wanted)],
                title=f"Set {section}.num_classes to {wanted}",
            )


@rule("MSF652", "paddleseg-auxiliary-category-missing", reported=True)
def auxiliary_missing(context: PaddleSegContext) -> Iterator[Diagnostic]:
    """The background channel is not added first in the transforms of a multi-label config.

    ## What it does
    Looks for `AddMultiLabelAuxiliaryCategory` at the head of the transforms of both datasets.

    ## Why is this bad?
    It makes the background of the labels as they are in the file: after a step that pads, padded
    pixels would get none. In one of the two lists only, labels and channels are not equally many.

    ## Example
    The transform in `train_dataset` alone.

    ## Use instead
    `- type: AddMultiLabelAuxiliaryCategory` as the first entry of both lists.

    ## Fix safety
    Safe where one list has it, or you asked for it; unsafe otherwise: it changes what is learned.

    ## References
    PaddleSeg pull request 3479; `paddleseg/transforms/transforms.py`.
    """
    if not context.multilabel:
        return
    present = [dataset for dataset in DATASETS if has_auxiliary(context.config, dataset)]
    asked = context.channels is not None
    for dataset in (name for name in DATASETS if name in context.config.tree):
        steps = context.config.transforms(dataset)
        places = [i for i, step in enumerate(steps) if _type(step) == AUXILIARY]
        if places == [0]:
            continue
        key = (dataset, "transforms")
        moved = [Edit((*key, i), kind=EditKind.REMOVE) for i in reversed(places)]
        yield finding(
            key,
            [_type(step) for step in steps],
            "a multi-label config needs",
            AUXILIARY,
            shown=f"{AUXILIARY} as the first step",
            edits=[*moved, Edit((*key, 0), {"type": AUXILIARY}, EditKind.INSERT)],
            title=f"Put {AUXILIARY} first",
            applicability=Applicability.SAFE if asked or present else Applicability.UNSAFE,
            severity=Severity.ERROR if present else Severity.WARNING,
        )


@rule("MSF653", "paddleseg-lovasz-hinge-two-channels", reported=True)
def lovasz_hinge_two_channels(context: PaddleSegContext) -> Iterator[Diagnostic]:
    """`LovaszHingeLoss` is used with two channels.

    ## What it does
    Speaks where the model has two channels and `LovaszHingeLoss` is among the losses.

    ## Why is this bad?
    With two channels PaddleSeg takes them for a binary problem of one label per pixel, and folds
    them into one: training ends in `scatter_i >= 0 && scatter_i < output_count`.

    ## Example
    `num_classes: 2` with `BCELoss` and `LovaszHingeLoss`.

    ## Use instead
    Two labels and their background, which is three channels; or without `LovaszHingeLoss`.

    ## Fix safety
    There is no fix here: `mmseg-fix patch x.yml --classes a,b` makes three channels of two labels.

    ## References
    PaddleSeg #3646; `paddleseg/models/losses/lovasz_loss.py`.
    """
    channels = context.channels or context.config.counts.get("model")
    channels = channels or context.config.counts.get("train_dataset")
    for key, name in context.config.losses:
        if name == "LovaszHingeLoss" and channels == 2:
            yield finding(
                (*key, "type"),
                name,
                "the model has",
                channels,
                shown="2 channels, which this loss folds into one",
                then="two labels need three channels: `mmseg-fix patch` with --classes makes them",
            )


@rule("MSF654", "paddleseg-loss-of-one-label", reported=True)
def loss_of_one_label(context: PaddleSegContext) -> Iterator[Diagnostic]:
    """A loss of a multi-label config takes one label per pixel.

    ## What it does
    Names losses that are neither `BCELoss` nor `LovaszHingeLoss`, in a config that adds the
    background channel, or that is to be made one for labels that overlap.

    ## Why is this bad?
    A softmax over labels that overlap makes them exclude each other.

    ## Example
    `CrossEntropyLoss` beside `AddMultiLabelAuxiliaryCategory`.

    ## Use instead
    `MixedLoss` of `BCELoss` and `LovaszHingeLoss`, half of each.

    ## Fix safety
    Safe: with labels of several planes the loss could not have been computed.

    ## References
    `configs/_base_/uwmgi.yml` of PaddleSeg.
    """
    if not context.multilabel:
        return
    for key, name in context.config.losses:
        if name in MULTI_LABEL_LOSSES or name == _HOLDER:
            continue
        outermost = len(key) == 3
        yield finding(
            key if outermost else (*key, "type"),
            name,
            "a multi-label config needs",
            MIXED,
            shown="BCELoss or LovaszHingeLoss",
            edits=[Edit(key, MIXED)] if outermost else (),
            title="Train with BCELoss and LovaszHingeLoss",
        )


def diagnose(context: PaddleSegContext) -> tuple[Diagnostic, ...]:
    """Return the findings, in the order of the codes."""
    return tuple(d for each in reported_rules("MSF65") for d in each.run(context))
