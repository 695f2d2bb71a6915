"""Which heads can tell several labels a pixel, and what in them cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmseg_fixkit.config.host import HeadKind, head_spec, type_name
from mmseg_fixkit.config.multilabel import CLASS_LOSSES, head_fault
from mmseg_fixkit.core.errors import FixkitError


def check_heads(decode: Any, auxiliary: Any = None) -> None:
    """Look at the heads of a model before they are built.

    Raises:
        FixkitError: one of them cannot tell several labels a pixel, has a sampler or a loss that
            takes the label for the number of a class, or has another count than the others.
    """
    heads = {**_named("decode_head", decode), **_named("auxiliary_head", auxiliary)}
    for place, head in heads.items():
        boundary = head_spec(head["type"], dict(head)).kind is HeadKind.BOUNDARY
        if boundary and place.startswith("auxiliary_head"):
            continue  # it makes labels of its own
        for fault in _faults(place, head):
            raise FixkitError(fault)


def _named(place: str, heads: Any) -> dict[str, Any]:
    if isinstance(heads, (list, tuple)):
        return {f"{place}.{i}": head for i, head in enumerate(heads)}
    return {} if heads is None else {place: heads}


def _faults(place: str, head: Mapping[str, Any]) -> Iterator[str]:
    fault = head_fault(head)
    if fault:
        yield f"{place}: {fault}"
    sampler = head.get("sampler")
    if sampler and sampler.get("thresh") is not None:
        yield (
            f"{place}.sampler looks chances up by the label, which is a map of bits here; remove "
            "it, or its thresh: without one it keeps the pixels of the highest loss"
        )
    for loss in _losses(head):
        if type_name(loss["type"]) in CLASS_LOSSES:
            yield (
                f"{place}.loss_decode is {type_name(loss['type'])}, which takes a label for the "
                "number of a class, but labels are bits here; use MultiLabelLoss"
            )
    nested = head.get("kernel_generate_head")
    if nested:
        yield from _faults(f"{place}.kernel_generate_head", nested)


def _losses(head: Mapping[str, Any]) -> list[Any]:
    losses = head.get("loss_decode")
    if losses is None:  # BaseDecodeHead's default; K-Net's outer head has none of its own
        outer = "kernel_generate_head" in head
        return [] if outer else [{"type": "CrossEntropyLoss"}]
    return list(losses) if isinstance(losses, (list, tuple)) else [losses]
