"""Weights of labels where a pixel may have several: how many there are, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from mmseg_fixkit.diagnostics import KeyPath
from mmseg_fixkit.parts import Loss
from mmseg_fixkit.rules.channels import weight_fault
from mmseg_fixkit.rules.context import Context
from mmseg_fixkit.rules.loss_weights import old_classes
from mmseg_fixkit.several_labels import BACKGROUND


def weights_for(context: Context, old: Optional[list[Any]]) -> Optional[list[float]]:
    """Return the weights of the labels that a loss gets: those asked for, or old ones by name."""
    wish = context.wishes.class_weight
    if wish is not None and wish != "keep":
        return list(wish) if isinstance(wish, tuple) else None
    if not old or weight_fault(old):
        return None
    return _by_name(context, old)


def _by_name(context: Context, old: list[float]) -> Optional[list[float]]:
    """Return old weights in the order of the labels; None where one is new or all are the same."""
    names = old_classes(context)
    if len(old) == len(names) + 1:
        names = (BACKGROUND, *names)
    table = dict(zip(names, old))
    wanted = context.labels.classes
    if len(names) != len(old) or any(name not in table for name in wanted):
        return None
    found = [table[name] for name in wanted]
    if BACKGROUND in table:
        found.insert(0, table[BACKGROUND])
    return found if any(weight != 1 for weight in found) else None


def as_weights(context: Context, loss: Loss) -> Iterator[tuple[KeyPath, Any, Any, str]]:
    """Yield the weights of a ``MultiLabelLoss`` that are not right.

    That is: where they stand, what is there, what belongs there, and who says so.
    """
    wish, found = context.wishes.class_weight, loss.class_weight
    key = (*loss.key, "class_weight")
    if wish is not None and wish != "keep":
        wanted = list(wish) if isinstance(wish, tuple) else None
        if _plain(found) != wanted:
            yield key, found, wanted, "--class-weight asks for"
    elif not isinstance(found, str) and not _fits(context, found, alone=context.num_classes == 1):
        yield key, found, _moved(context, found), context.owner
    more = loss.config.get("pos_weight")
    if not isinstance(more, str) and not _fits(context, more, alone=True):
        yield (*loss.key, "pos_weight"), more, _moved(context, more), context.owner


def _moved(context: Context, weights: Any) -> Optional[list[float]]:
    listed = isinstance(weights, (list, tuple)) and not weight_fault(weights)
    return _by_name(context, list(weights)) if listed else None


def _plain(weights: Any) -> Any:
    return list(weights) if isinstance(weights, tuple) else weights


def _fits(context: Context, weights: Any, *, alone: bool) -> bool:
    if weights is None:
        return True
    if not isinstance(weights, (list, tuple)):
        return alone and not weight_fault([weights])
    if weight_fault(weights):
        return False
    old = old_classes(context)
    if context.labels_given and old and old != context.labels.classes:
        return False  # they belong to the labels that the data set has so far
    return len(weights) in (context.num_classes, context.channels)
