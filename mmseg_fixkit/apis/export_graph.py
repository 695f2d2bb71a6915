"""The module that is exported: from pixels of a picture to scores or labels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Optional

import torch
from torch import Tensor, nn

from mmseg_fixkit.config.host import HeadKind
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.models.heads import find_heads

#: What may be asked for: a number for each class and pixel, or what is there.
OUTPUTS = ("labels", "scores")

_MULTI_LABEL = ("MultiLabelEncoderDecoder", "MultiLabelCascadeEncoderDecoder")


class Task(str, Enum):
    """How the numbers of a model become labels."""

    SOFTMAX = "softmax"  # logits of classes that exclude each other
    SIGMOID = "sigmoid"  # one channel tells two classes apart
    QUERY = "query"  # masks weighed with classes: scores as they come
    MULTI_LABEL = "multi-label"  # a sigmoid for each label, background in channel 0


@dataclass(frozen=True)
class Form:
    """What an exported model gives.

    Args:
        task: how it comes to it.
        output: one of :data:`OUTPUTS`.
        classes: names of the channels, or of the values of a map.
        thresholds: of each label, or of the one channel; empty where the highest score counts.
    """

    task: Task
    output: str
    classes: tuple[str, ...]
    thresholds: tuple[float, ...] = ()
    keep_background: bool = False


def form_of(model: Any, output: str, *, keep_background: bool = False) -> Form:
    """Return how the numbers of ``model`` become what was asked for.

    Raises:
        FixkitError: it has no classes, or no background to keep.
    """
    head = next((h for h in reversed(find_heads(model)) if h.path.startswith("decode_head")), None)
    if head is None or head.spec.kind is HeadKind.DEPTH:
        raise FixkitError(f"{type(model).__name__} has no head that tells classes apart")
    classes = tuple(model.dataset_meta["classes"])
    if type(model).__name__ in _MULTI_LABEL:
        names = ("background", *classes) if keep_background else classes
        limits = tuple(model.threshold)
        own = (0.5, *limits) if keep_background else limits
        return Form(Task.MULTI_LABEL, output, names, own, keep_background)
    if keep_background:
        raise FixkitError(
            f"--keep-background is for multi-label models, but {type(model).__name__} has one "
            "class for each pixel, and exports all of them"
        )
    if model.out_channels == 1:
        return Form(Task.SIGMOID, output, classes, (float(model.decode_head.threshold),))
    kinds = {HeadKind.QUERY: Task.QUERY, HeadKind.TEXT: Task.QUERY}
    return Form(kinds.get(head.spec.kind, Task.SOFTMAX), output, classes)


class Exported(nn.Module):
    """``image`` (B, 3, H, W), RGB of 0 to 255 -> scores or labels of the same height and width.

    Scores are float32 (B, C, H, W); labels uint8: (B, H, W) with a class in each pixel, or
    (B, L, H, W) of 0 and 1 for a multi-label model. The host's normalisation is part of it.
    """

    mean: Optional[Tensor]
    std: Tensor

    def __init__(self, model: Any, form: Form) -> None:
        super().__init__()
        self.model = model
        self.form = form
        before = model.data_preprocessor
        normalised = getattr(before, "_enable_normalize", False)
        self.register_buffer("mean", before.mean.clone() if normalised else None)
        self.register_buffer("std", before.std.clone() if normalised else None)
        # What the host reads is BGR; a preprocessor that turns it leaves RGB.
        self.turned = not bool(getattr(before, "channel_conversion", False))

    def forward(self, image: Tensor) -> Tensor:
        """Run the model; see the class."""
        pixels = image.flip(1) if self.turned else image
        if self.mean is not None:
            pixels = (pixels - self.mean) / self.std
        size = pixels.shape[2:]
        meta = {"img_shape": size, "ori_shape": size, "pad_shape": size, "batch_input_shape": size}
        logits = self.model.whole_inference(pixels, [dict(meta)] * len(image))
        scores = self._scores(logits)
        return scores if self.form.output == "scores" else self._labels(scores)

    def _scores(self, logits: Tensor) -> Tensor:
        if self.form.task is Task.SOFTMAX:
            return logits.softmax(dim=1)
        if self.form.task is Task.QUERY:
            return logits
        if self.form.task is Task.SIGMOID:
            return logits.sigmoid()
        return (logits if self.form.keep_background else logits[:, 1:]).sigmoid()

    def _labels(self, scores: Tensor) -> Tensor:
        if not self.form.thresholds:
            return scores.argmax(dim=1).to(torch.uint8)
        limits = scores.new_tensor(self.form.thresholds).view(1, -1, 1, 1)
        found = (scores > limits).to(torch.uint8)
        return found[:, 0] if self.form.task is Task.SIGMOID else found
