"""A small model, trained on the demo's shapes, and what is left of it with half of its classes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmseg_fixkit.demo.data import CLASSES, IGNORED, ShapesDataset, make_shapes
from mmseg_fixkit.models.adapt import adapt_state_dict
from tests.helpers.runs import run_head, run_model
from tests.zoo.build import build

KEPT = ("star", "background", "square", "circle")
ITERATIONS = 120
_SIZE = 64
_BATCH = 8


@dataclass(frozen=True)
class Trained:
    """mIoU of the kept classes, counted on pixels that are labelled with one of them.

    Args:
        all_classes: of the trained model, which may still say any of its classes.
        only_kept: of the trained model, where the best of the kept classes counts.
        adapted: of the adapted model, not trained.
        started_anew: of a model whose class layer starts anew, as ``strict=False`` leaves it.
        same_pixels: share of the pixels in which adapted and trained model (only kept) agree.
    """

    all_classes: float
    only_kept: float
    adapted: float
    started_anew: float
    same_pixels: float


def measure(iterations: int = ITERATIONS) -> Trained:
    """Train, adapt and count."""
    with tempfile.TemporaryDirectory() as folder:
        data = make_shapes(Path(folder), classes=len(CLASSES), train=32, val=12, size=_SIZE)
        images, labels = _split(data, "train")
        torch.manual_seed(0)
        model = _model(len(CLASSES))
        _train(model, images, labels, iterations)
        return _count(model.eval(), *_split(data, "val"))


def _count(model: Any, images: Tensor, labels: Tensor) -> Trained:
    kept = [CLASSES.index(name) for name in KEPT]
    adapted, anew = _model(len(KEPT)), _model(len(KEPT))
    state, _ = adapt_state_dict(model.state_dict(), adapted, CLASSES, KEPT)
    adapted.load_state_dict(state)
    rest = {n: v for n, v in model.state_dict().items() if "conv_seg" not in n}
    anew.load_state_dict(rest, strict=False)
    target = torch.full_like(labels, IGNORED)
    for new, old in enumerate(kept):
        target[labels == old] = new
    answers = _answers(model, images)
    said = torch.full_like(target, len(KEPT))
    for new, old in enumerate(kept):
        said[answers.argmax(1) == old] = new
    best = answers[:, kept].argmax(1)
    after = _answers(adapted.eval(), images).argmax(1)
    return Trained(
        all_classes=_mean_iou(said, target),
        only_kept=_mean_iou(best, target),
        adapted=_mean_iou(after, target),
        started_anew=_mean_iou(_answers(anew.eval(), images).argmax(1), target),
        same_pixels=float((after == best).float().mean()),
    )


def _model(classes: int) -> Any:
    config = run_model(run_head(classes, in_channels=128, in_index=3, channels=32))
    config["backbone"].update(base_channels=16, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    model = build(config)
    model._dump_init_info = lambda: None
    model.init_weights()
    return model


def _split(data: ShapesDataset, split: str) -> tuple[Tensor, Tensor]:
    files = data.images(split)
    pictures = np.stack([np.array(Image.open(f), np.float32) for f in files])
    labels = np.stack([np.array(Image.open(data.label_of(f))) for f in files])
    images = torch.from_numpy((pictures - 120) / 60).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(labels).long()


def _train(model: Any, images: Tensor, labels: Tensor, iterations: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, iterations)
    model.train()
    for _ in range(iterations):
        chosen = torch.randint(len(images), (_BATCH,))
        logits = model.decode_head(model.extract_feat(images[chosen]))
        logits = torch.nn.functional.interpolate(logits, (_SIZE, _SIZE), mode="bilinear")
        loss = torch.nn.functional.cross_entropy(logits, labels[chosen], ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def _answers(model: Any, images: Tensor) -> Tensor:
    shape = (_SIZE, _SIZE)
    metas = [dict(img_shape=shape, ori_shape=shape, pad_shape=shape)] * len(images)
    answers: Tensor = model.encode_decode(images, metas)
    return answers


def _mean_iou(predicted: Tensor, target: Tensor) -> float:
    counted = target != IGNORED
    scores = []
    for index in range(len(KEPT)):
        here, there = predicted[counted] == index, target[counted] == index
        scores.append(float((here & there).sum() / (here | there).sum()))
    return sum(scores) / len(scores)


def told() -> str:
    """Return the measurement as Markdown."""
    found = measure()
    return f"""\
A small FCN is trained for {ITERATIONS} iterations on the {len(CLASSES)} classes of the demo's
shapes (`mmseg_fixkit.demo.data`), then adapted to {len(KEPT)} of them in another order:
{", ".join(KEPT)}. mIoU of these, on validation pixels that are labelled with one of them:

| model | mIoU |
| --- | --- |
| trained, any of its {len(CLASSES)} classes | {found.all_classes:.1%} |
| trained, the best of the four counts | {found.only_kept:.1%} |
| **adapted, not trained** | **{found.adapted:.1%}** |
| class layer started anew, as `strict=False` leaves it | {found.started_anew:.1%} |

Of these four the adapted model chooses the same as the trained one in {found.same_pixels:.2%} of
the pixels."""
