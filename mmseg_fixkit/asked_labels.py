"""What ``--multilabel`` says: whether a config can have it, and what the user should know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Union

from mmseg_fixkit.core.text import listed
from mmseg_fixkit.diagnostics import format_key
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.host import type_name
from mmseg_fixkit.label_bits import label_bits
from mmseg_fixkit.label_planes import checked_format
from mmseg_fixkit.rules.channels import weight_fault
from mmseg_fixkit.rules.context import Context, LabelFiles
from mmseg_fixkit.rules.multilabel import unfit_heads
from mmseg_fixkit.rules.multilabel_losses import decode_losses, samples_by_label
from mmseg_fixkit.several_labels import (
    CLASS_LOSSES,
    LOSS,
    SEGMENTORS,
    named_background,
)
from mmseg_fixkit.steps import is_step
from mmseg_fixkit.tree import lookup

#: Losses that learn from a label map in their own way beside those on classes.
_STAY = frozenset({"BoundaryLoss", LOSS})

_OPTION = "--multilabel"


def check_asked(context: Context, files: LabelFiles, others: dict[str, Any]) -> None:
    """Look whether a config can have several labels a pixel.

    Args:
        context: the config and the labels.
        files: how label files are read.
        others: option -> value of what else was asked for.

    Raises:
        FixkitError: it cannot, or something that was asked for does not go with it.
    """
    for fault in _faults(context, files, others):
        raise FixkitError(f"{_OPTION}: {fault}")
    label_bits(context.num_classes)
    _check_format(context, files)


def _faults(context: Context, files: LabelFiles, others: dict[str, Any]) -> Iterator[str]:
    yield from _other_faults(context, others)
    if not context.document.multilabel:  # else the rules say what is wrong
        yield from _config_faults(context)


def _config_faults(context: Context) -> Iterator[str]:
    name = context.document.name
    for label in named_background(context.labels.classes):
        yield (
            f"{label!r} is given as a label, but the background is where no label is, and has a "
            "channel of its own already: leave it out (files that have a plane or a bit for it are "
            "written anew by `mmseg-fix convert-labels`)"
        )
    for key, _, fault in unfit_heads(context):
        yield f"{format_key(key)} of {name}: {fault}"
    kind = type_name(lookup(context.document.tree, ("model", "type"), ""))
    if kind not in {*SEGMENTORS, ""}:
        yield (
            f"model.type of {name} is {kind!r}, but only {listed(list(SEGMENTORS))} have a form "
            "for several labels a pixel"
        )
    for loss in _losses(context):
        if loss.type in CLASS_LOSSES and CLASS_LOSSES[loss.type] is None:
            yield (
                f"{format_key(loss.key)} of {name} is {loss.type}, and no term of {LOSS} learns "
                "the same; leave it out, or put another loss there"
            )


def _other_faults(context: Context, others: dict[str, Any]) -> Iterator[str]:
    if others.get("binary"):
        yield "--binary is for one of two classes a pixel; leave it out"
    if context.labels.ignore_index != 255:
        yield (
            f"--ignore-index is {context.labels.ignore_index}, but ignored pixels of a map of "
            "label bits are 255 always; leave it out"
        )
    if others.get("reduce_zero_label") or context.labels.reduce_zero_label:
        yield (
            "--reduce-zero-label is for class numbers, but 0 is a pixel without labels; leave it "
            "out"
        )


def _check_format(context: Context, files: LabelFiles) -> None:
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


def _losses(context: Context) -> Iterator[Any]:
    for head in context.document.class_heads:
        yield from decode_losses(context, head)


def check_files_asked(files: LabelFiles) -> None:
    """Refuse what is only said of several labels a pixel where one is meant.

    Raises:
        FixkitError: something is given.
    """
    options = {
        "--label-format": files.label_format,
        "--file-pattern": files.file_pattern,
        "--label-file": files.label_file,
        "--label-values": files.label_values,
    }
    for option, value in options.items():
        if value is not None:
            raise FixkitError(f"{option} is for several labels a pixel; give --multilabel too")


def weights_asked(
    context: Context, wish: Union[str, Sequence[Any], None]
) -> Union[str, tuple[float, ...], None]:
    """Read ``--class-weight``: one weight a label, or one more with the background's first.

    Raises:
        FixkitError: it is a method, or no such numbers.
    """
    if wish is None or wish in ("keep", "none"):
        return wish if wish is None else str(wish)
    parts = wish.split(",") if isinstance(wish, str) else list(wish)
    said = ",".join(str(part) for part in parts)
    weights = [_number(part) for part in parts]
    count = context.num_classes
    fault = weight_fault(weights)
    if fault or len(weights) not in (count, count + 1):
        raise FixkitError(
            f"--class-weight {said}: {fault or f'{len(weights)} weights are given'}; with several "
            f"labels a pixel give {count} numbers, one for each label, or {count + 1} with the "
            "background's first. The methods count labels of one class a pixel"
        )
    return tuple(float(weight) for weight in weights)


def _number(text: Any) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def notes_on(context: Context, files: LabelFiles) -> tuple[str, ...]:
    """Return what the user should know of a config that gets several labels a pixel."""
    return tuple(_notes(context, files))


def _notes(context: Context, files: LabelFiles) -> Iterator[str]:
    if context.document.multilabel:
        return
    chosen = files.label_format or "bits"
    also = "" if files.label_format else "; --label-format says how else"
    yield (
        f"{context.num_classes} labels, so {context.channels} channels: channel 0 is the "
        f"background; label files are read in the format {chosen!r}{also}"
    )
    for head in context.document.class_heads:
        if samples_by_label(head):
            yield (
                f"{format_key((*head.key, 'sampler'))} is removed, as it looks chances up by the "
                "label: all pixels are learned"
            )
    for loss in _losses(context):
        if loss.type not in {*CLASS_LOSSES, *_STAY}:
            yield (
                f"{format_key(loss.key)} is {loss.type}, which is not known here and stays; it "
                "gets maps of label bits"
            )
