"""Zoo models whose heads tell several labels a pixel, and one training step of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from mmseg_fixkit import patch
from mmseg_fixkit.config.host import HeadKind, head_spec, type_name
from mmseg_fixkit.config.multilabel import CLASS_LOSSES
from mmseg_fixkit.datasets.label_bits import pack
from tests.helpers.runs import run_portable
from tests.zoo.build import build
from tests.zoo.configs import ROOT
from tests.zoo.train import _initialise, _small

LABELS = 5
BATCH = 2


def multilabel_config(config: str, size: int, labels: int = LABELS) -> Any:
    """Return the model of a zoo config with L + 1 channels and our losses and segmentor."""
    patched = patch(ROOT / config, labels + 1, guards=False).config
    model = _small(run_portable(patched, size)).model.to_dict()
    kind = type_name(model["type"])
    model["type"] = f"MultiLabel{kind}" if kind.endswith("EncoderDecoder") else kind
    for key in ("decode_head", "auxiliary_head"):
        heads = model.get(key) or []
        for head in heads if isinstance(heads, (list, tuple)) else [heads]:
            set_losses(head)
    return ConfigDict(model)


def set_losses(head: dict[str, Any]) -> None:
    if head_spec(head["type"], head).kind is HeadKind.BOUNDARY:
        return
    head.pop("sampler", None)
    losses = head.get("loss_decode")
    if isinstance(losses, (list, tuple)):
        head["loss_decode"] = [_loss(loss) for loss in losses]
    elif losses is not None:
        head["loss_decode"] = _loss(losses)
    if "kernel_generate_head" in head:
        set_losses(head["kernel_generate_head"])


def _loss(loss: dict[str, Any]) -> dict[str, Any]:
    if type_name(loss["type"]) not in CLASS_LOSSES:
        return loss
    return {"type": "MultiLabelLoss", "loss_weight": loss.get("loss_weight", 1.0)}


def multilabel_model(config: str, size: int) -> Any:
    torch.manual_seed(0)
    model = build(multilabel_config(config, size))
    _initialise(model)
    return model.train()


def label_planes(size: int, seed: int) -> tuple[Any, Any]:
    """Return blocks of overlapping labels, and the first row, which is ignored."""
    rng = np.random.default_rng(seed)
    blocks = rng.random((LABELS, 4, 4)) < 0.4
    planes = blocks.repeat(size // 4, 1).repeat(size // 4, 2)
    ignored = np.zeros((size, size), bool)
    ignored[0] = True
    return planes, ignored


def samples(size: int) -> dict[str, list[Any]]:
    """Return a batch as a data loader gives it."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, size, size), generator=generator, dtype=torch.uint8)
    return {"inputs": list(images), "data_samples": [_sample(size, i) for i in range(BATCH)]}


def _sample(size: int, seed: int) -> Any:
    from mmseg.structures import SegDataSample

    label = torch.from_numpy(pack(*label_planes(size, seed)))[None]
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=label), gt_edge_map=PixelData(data=(label == 0).long())
    )
    shape = (size, size)
    sample.set_metainfo(
        {"img_shape": shape, "ori_shape": shape, "pad_shape": shape, "img_path": f"{seed}.png"}
    )
    return sample


def losses_of(model: Any, size: int) -> tuple[Any, dict[str, Any]]:
    batch = model.data_preprocessor(samples(size), training=True)
    total, logged = model.parse_losses(model.loss(**batch))
    return total, dict(logged)


def predictions_of(model: Any, size: int) -> list[Any]:
    model.eval()
    with torch.no_grad():
        found: list[Any] = model.test_step(samples(size))
    return found
