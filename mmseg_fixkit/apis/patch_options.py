"""What a patch is asked for beyond its classes: checked, completed, with notes for the user.

The options are class weights (numbers, or a method that reads the training labels), and labels that
may overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Union

from mmseg_fixkit.config.context import (
    ClassWeight,
    ConfigContext,
    MultiLabelFormat,
)
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.multilabel import CLASS_LOSSES, LOSS, SEGMENTORS, named_background
from mmseg_fixkit.config.nodes import is_step
from mmseg_fixkit.config.plan import make_plan
from mmseg_fixkit.config.tree import lookup
from mmseg_fixkit.core.diagnostics import format_key
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import counted, listed
from mmseg_fixkit.rules import select_rules
from mmseg_fixkit.rules.channels import decode_losses, samples_by_label, weight_fault
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
    from mmseg_fixkit.datasets.label_bits import label_bits

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
        from mmseg_fixkit.datasets.multilabel_files import checked_format

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
