"""What takes the place of the host's parts where labels may overlap.

With L labels the heads have L + 1 channels, of which channel 0 is the background: on where a pixel
has no label. Names, colours and predictions are those of the L labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from mmseg_fixkit.config.host import HeadKind, head_spec, type_name

#: How channel 0 is called where rows are named.
BACKGROUND = "background"

#: Names that people give to what has no label.
BACKGROUND_NAMES = frozenset({BACKGROUND, "bg", "_background_"})

LOSS = "MultiLabelLoss"
LOADER = "LoadMultiLabelAnnotations"
PACKER = "PackMultiLabelInputs"
METRIC = "MultiLabelIoUMetric"
VISUALIZER = "MultiLabelLocalVisualizer"
TTA_MODEL = "MultiLabelTTAModel"

#: Segmentor of the host -> ours.
SEGMENTORS = {
    "EncoderDecoder": "MultiLabelEncoderDecoder",
    "CascadeEncoderDecoder": "MultiLabelCascadeEncoderDecoder",
}
OWN_SEGMENTORS = frozenset(SEGMENTORS.values())

#: Loss that takes a label for a class index -> the term of ``MultiLabelLoss`` that learns
#: the same of each label, and the name that the host logs it under; None: there is no such term.
CLASS_LOSSES: dict[str, Optional[tuple[str, str]]] = {
    "ClassWeightedCrossEntropyLoss": ("bce", "loss_ce"),
    "CrossEntropyLoss": ("bce", "loss_ce"),
    "DiceLoss": ("dice", "loss_dice"),
    "FocalLoss": ("bce", "loss_focal"),
    "HuasdorffDisstanceLoss": None,
    "KLDivLoss": None,
    "LovaszLoss": ("lovasz", "loss_lovasz"),
    "OhemCrossEntropy": ("bce", "loss_ohem"),
    "OneChannelLoss": ("bce", "loss_ce"),
    "TverskyLoss": ("dice", "loss_tversky"),
}

_ELSEWHERE = "take a per-pixel head, UPerHead or SegformerHead for one, over the same backbone"

_REASONS = {
    HeadKind.QUERY: "gives each query one class by a softmax over all and 'no object'",
    HeadKind.TEXT: "compares masks with words by a softmax over all and 'no object'",
    HeadKind.BOUNDARY: "predicts edges and no labels",
    HeadKind.DEPTH: "predicts depth and no labels",
}

#: Per-pixel heads that need to know the classes of a label map beside its loss.
_UNFIT = {"EncHead": "counts which classes are in the label map for its loss_se_decode"}


def head_fault(config: Any) -> Optional[str]:
    """Say why the head of this dict cannot predict labels that overlap; None if it can."""
    kind = config["type"]
    name = type_name(kind)
    reason = _UNFIT.get(name) or _REASONS.get(head_spec(kind, dict(config)).kind)
    return f"{name} {reason}, so labels cannot overlap; {_ELSEWHERE}" if reason else None


def is_multilabel(tree: Mapping[str, Any]) -> bool:
    """Whether a part of a config is for labels that overlap, so that all have to be."""
    return any(kind in _TELLING for kind in _types(_telling_parts(tree)))


_TELLING = OWN_SEGMENTORS | {LOSS, LOADER, PACKER, METRIC, "AddMultiLabelAuxiliaryCategory"}


def _telling_parts(tree: Mapping[str, Any]) -> list[Any]:
    loaders = (f"{split}_dataloader" for split in ("train", "val", "test"))
    evaluators = (f"{split}_evaluator" for split in ("val", "test"))
    return [tree.get(name) for name in ("model", *loaders, *evaluators)]


def _types(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "type" in value:
            yield type_name(value["type"])
        for child in value.values():
            yield from _types(child)
    elif isinstance(value, (list, tuple)):
        for child in value:
            yield from _types(child)


def named_background(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that mean the background."""
    return tuple(name for name in names if name.lower() in BACKGROUND_NAMES)


def with_background(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the L + 1 rows of a head for L labels."""
    return (BACKGROUND if BACKGROUND not in names else "no label", *names)
