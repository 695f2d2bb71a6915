"""Segmentors that give a pixel every label whose score is above a threshold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional, Union

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import CascadeEncoderDecoder, EncoderDecoder, SegTTAModel
from torch import Tensor

from mmseg_fixkit.config.host import HeadKind, head_spec, type_name
from mmseg_fixkit.config.multilabel import CLASS_LOSSES, head_fault
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.models.label_bits import pack

Thresholds = Union[float, Sequence[float]]


class _MultiLabel:
    """What both segmentors do in the place of softmax and argmax."""

    out_channels: int

    def __init__(self, *args: Any, threshold: Thresholds = 0.5, **options: Any) -> None:
        check_heads(options.get("decode_head"), options.get("auxiliary_head"))
        super().__init__(*args, **options)
        if self.out_channels < 2:
            raise FixkitError(
                f"decode_head has {self.out_channels} output channel, but L labels need L + 1: set "
                "num_classes to the number of labels and 1 more, and leave out_channels out"
            )
        self.threshold = checked_thresholds(threshold, self.num_labels)

    @property
    def num_labels(self) -> int:
        """How many labels there are: the channels but the background's."""
        return self.out_channels - 1

    def labels_of(self, scores: Tensor) -> Tensor:
        """Return the map (1, H, W) of scores (L, H, W) of 0 to 1."""
        limits = scores.new_tensor(self.threshold).view(-1, 1, 1)
        return pack(scores > limits).unsqueeze(0)

    def loss(self, inputs: Tensor, data_samples: Any) -> dict[str, Any]:
        """Return the host's losses, without its accuracy of the highest score.

        That compares the number of a channel with a map of bits.
        """
        losses: dict[str, Any] = super().loss(inputs, data_samples)  # type: ignore[misc]
        return {name: value for name, value in losses.items() if not _is_accuracy(name)}

    def postprocess_result(self, seg_logits: Tensor, data_samples: Any = None) -> Any:
        """Take padding and flips back as the host does, then put the labels in the results.

        Each result has ``seg_logits`` (L, H, W) of the real labels, before the sigmoid, and
        ``pred_sem_seg`` (1, H, W), a map of bits.
        """
        results = super().postprocess_result(seg_logits, data_samples)  # type: ignore[misc]
        for result in results:
            logits = result.seg_logits.data[1:]
            labels = self.labels_of(logits.float().sigmoid())
            # PixelData keeps to one shape, but for a new one.
            result.seg_logits = PixelData(data=logits)
            result.pred_sem_seg = PixelData(data=labels)
        return results

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Any:
        """Return the head's own output for ``mode='tensor'``, without the background."""
        return _without_background(super()._forward(inputs, data_samples))  # type: ignore[misc]


class MultiLabelEncoderDecoder(_MultiLabel, EncoderDecoder):
    """``EncoderDecoder`` for labels that may overlap.

    The heads have L + 1 channels, of which channel 0 is the background; predictions are without it.

    Args:
        args: as in ``EncoderDecoder``.
        threshold: the score above which a pixel has a label: one number, or one for each label.
        options: as in ``EncoderDecoder``.

    Raises:
        FixkitError: a head, sampler or loss takes a pixel to have one class; or thresholds are not
            as many as labels, or not between 0 and 1.
    """


class MultiLabelCascadeEncoderDecoder(_MultiLabel, CascadeEncoderDecoder):
    """``CascadeEncoderDecoder`` for labels that may overlap; see ``MultiLabelEncoderDecoder``."""


class MultiLabelTTAModel(SegTTAModel):
    """``SegTTAModel`` for labels that may overlap: the mean of the scores, then the threshold.

    ``SegTTAModel`` takes a softmax over the labels, and the highest.
    """

    def merge_preds(self, data_samples_list: Any) -> Any:
        """Merge what was predicted for the same image, turned in several ways."""
        return [self._merged(samples) for samples in data_samples_list]

    def _merged(self, samples: Any) -> Any:
        scores = torch.stack([s.seg_logits.data.float().sigmoid() for s in samples]).mean(0)
        merged = samples[0]
        merged.seg_logits = PixelData(data=scores.logit())
        merged.pred_sem_seg = PixelData(data=self.module.labels_of(scores))
        return merged


def checked_thresholds(threshold: Thresholds, labels: int) -> list[float]:
    """Return a threshold for each label; raise ``FixkitError`` unless as many, between 0 and 1."""
    alone = isinstance(threshold, (int, float))
    limits = [float(threshold)] * labels if alone else [float(t) for t in threshold]  # type: ignore[arg-type,union-attr]
    if len(limits) != labels:
        raise FixkitError(
            f"threshold has {len(limits)} entries, but the decode head has {labels + 1} channels, "
            f"the background and {labels} labels; give one number, or {labels}"
        )
    odd: Optional[float] = next((t for t in limits if not 0 < t < 1), None)
    if odd is not None:
        raise FixkitError(f"threshold is {odd:g}, but a score is between 0 and 1")
    return limits


def _is_accuracy(name: str) -> bool:
    return any(part.startswith("acc_") for part in name.split("."))


def _without_background(outputs: Any) -> Any:
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(_without_background(output) for output in outputs)
    return outputs[:, 1:]


# Heads before they are built


def check_heads(decode: Any, auxiliary: Any = None) -> None:
    """Look at the heads of a model before they are built.

    Raises ``FixkitError`` where one cannot be multi-label, has a sampler or a loss that takes the
    label for a class index, or has another count than the others.
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
            f"{place}.sampler indexes probabilities by the label, a map of bits here; remove "
            "it, or its thresh: without one it keeps the pixels of the highest loss"
        )
    for loss in _losses(head):
        if type_name(loss["type"]) in CLASS_LOSSES:
            yield (
                f"{place}.loss_decode is {type_name(loss['type'])}, which takes a label for a "
                "class index, but labels are bits here; use MultiLabelLoss"
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
