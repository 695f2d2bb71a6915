"""What ``--class-weight`` says -> numbers: given, or by a method from the training labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Union

from mmseg_fixkit.core.text import counted
from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.plan import make_plan
from mmseg_fixkit.registry import select_rules
from mmseg_fixkit.rules.context import ClassWeight, Context
from mmseg_fixkit.rules.loss_weights import checked_class_weight, no_object_weight

if TYPE_CHECKING:
    from mmseg_fixkit.label_files.stats import LabelStats

#: What may be said beside numbers and the methods of ``class_balance``.
WORDS = ("keep", "none")

Notes = tuple[str, ...]


def read(
    document: ConfigDocument, num_classes: int, wish: Union[str, Sequence[Any], None]
) -> ClassWeight:
    """Check what was asked for; a text is read as the command line gives it.

    Returns:
        Numbers, or a word: one of :data:`WORDS`, or a method that :func:`weighed` replaces.

    Raises:
        FixkitError: it is no such word, or the numbers do not fit the config.
    """
    if wish is None or wish in WORDS:
        return wish
    if isinstance(wish, str) and _is_word(wish):
        method = _method(wish)
        # A config whose losses take no weights is refused before its labels are read.
        checked_class_weight(document, num_classes, [1.0] * num_classes, method)
        return method
    said = wish if isinstance(wish, str) else ",".join(str(w) for w in wish)
    weights = [_number(w) for w in wish.split(",")] if isinstance(wish, str) else list(wish)
    return checked_class_weight(document, num_classes, weights, said)


def _is_word(wish: str) -> bool:
    return "," not in wish and bool(wish.strip()) and isinstance(_number(wish), str)


def _method(wish: str) -> str:
    # The formulas are not needed for numbers.
    from mmseg_fixkit.class_balance import METHODS, known

    try:
        return known(wish.strip(), (*METHODS, *WORDS), "method")
    except FixkitError as error:
        raise FixkitError(f"--class-weight: {error}; or give the numbers") from None


def _number(text: str) -> Union[float, str]:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def weighed(context: Context) -> tuple[Context, Notes]:
    """Return the context with numbers where a method was asked for, and notes on them.

    The labels are those of the training split, read as the patched config reads them.

    Raises:
        FixkitError: they cannot be read, or hold none of the classes.
    """
    method = context.wishes.class_weight
    if not isinstance(method, str) or method in WORDS:
        return context, ()
    from mmseg_fixkit.class_balance import class_weights, rounded
    from mmseg_fixkit.class_counts import class_counts, remarks

    stats = _scanned(context, method)
    weights = rounded(class_weights(stats, method, split="train"))
    counts = class_counts(stats, "train")
    queries = no_object_weight(context.document) is not None
    notes = (
        f"class weights by {method} from {counted(counts.files, 'training label file')}: "
        f"{', '.join(f'{w:g}' for w in weights)}",
        *remarks(counts, weights, queries=queries),
    )
    wishes = replace(context.wishes, class_weight=tuple(weights))
    return replace(context, wishes=wishes), notes


def _scanned(context: Context, method: str) -> LabelStats:
    from mmseg_fixkit.label_files.listing import LabelOverrides
    from mmseg_fixkit.label_files.scan_files import scan_document

    without = replace(context, wishes=replace(context.wishes, class_weight=None))
    patched = context.document.with_tree(make_plan(without, select_rules()).after)
    try:
        return scan_document(patched, ("train",), LabelOverrides(context.labels.classes))
    except FixkitError as error:
        raise FixkitError(
            f"--class-weight {method} reads the training labels, but {error}; --data-root says "
            "where they are"
        ) from None
