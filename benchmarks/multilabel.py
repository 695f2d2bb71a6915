"""Measures labels as bits of one map against planes (H, W, C) of 8 bit, for 4, 8 and 16 labels.

Memory of a batch of labels; CPU seconds of the loader (reading, resizing, cropping, flipping and
packing the labels, without their images) and of a training step. The step is also measured against
that of the same model with one class a pixel and the host's cross entropy. The sides take turns
(A B C A B C …), so that a machine that slows down slows all. Prints Markdown.

    python benchmarks/multilabel.py [rounds]
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from PIL import Image

import mmseg_fixkit.runtime  # noqa: F401 - registers
from mmseg_fixkit.datasets.label_bits import pack
from mmseg_fixkit.models.multilabel_loss import MultiLabelLoss

COUNTS = (4, 8, 16)
SIZE = (512, 1024)
CROP = (256, 256)
BATCH = 2

STEPS = (
    {"type": "RandomResize", "scale": (1024, 512), "ratio_range": (0.5, 2.0), "keep_ratio": True},
    {"type": "RandomCrop", "crop_size": CROP},
    {"type": "RandomFlip", "prob": 0.5},
)


class LoadPlanes:
    """Reads planes that stand side by side into (H, W, C), as PaddleSeg does."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        wide = np.array(Image.open(results["seg_map_path"]))
        planes = wide.reshape(len(wide), self.count, -1).transpose(0, 2, 1)
        results["gt_seg_map"] = np.ascontiguousarray(planes)
        results["seg_fields"].append("gt_seg_map")
        return results


class PackPlanes:
    """Makes a tensor (C, H, W) of 8 bit."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        planes = np.ascontiguousarray(results["gt_seg_map"].transpose(2, 0, 1))
        sample = SegDataSample(gt_sem_seg=PixelData(data=torch.from_numpy(planes)))
        return {"data_samples": sample}


def blocks(count: int, seed: int) -> Any:
    """Return planes (C, H, W) of overlapping blocks."""
    coarse = np.random.default_rng(seed).random((count, SIZE[0] // 64, SIZE[1] // 64)) < 0.3
    return coarse.repeat(64, 1).repeat(64, 2).astype(np.uint8)


def write(folder: Path, count: int) -> dict[str, str]:
    planes = blocks(count, count)
    paths = {kind: str(folder / f"{kind}_{count}.png") for kind in ("bits", "planes")}
    if count <= 15:
        Image.fromarray(pack(planes)).save(paths["bits"])
    else:
        paths["bits"] = paths["planes"]  # a PNG has no bits for more
    Image.fromarray(np.concatenate(planes, axis=1)).save(paths["planes"])
    return paths


def pipelines(count: int) -> dict[str, list[Any]]:
    kind = "bits" if count <= 15 else "planes"
    load = {"type": "LoadMultiLabelAnnotations", "labels": count, "label_format": kind}
    middle = [TRANSFORMS.build(dict(step)) for step in STEPS]
    pack_bits = {"type": "PackMultiLabelInputs", "meta_keys": ()}
    return {
        "bits": [TRANSFORMS.build(load), *middle, TRANSFORMS.build(pack_bits)],
        "planes": [LoadPlanes(count), *middle, PackPlanes()],
    }


def load(pipeline: list[Any], path: str, seed: int) -> Any:
    """Return the label tensor of one image; the picture is small, as it is none of the matter."""
    np.random.seed(seed)
    results: dict[str, Any] = {
        "img": np.zeros((*SIZE, 1), np.uint8),
        "img_shape": SIZE,
        "ori_shape": SIZE,
        "seg_map_path": path,
        "seg_fields": [],
    }
    for step in pipeline:
        results = step(results)
    return results["data_samples"].gt_sem_seg.data


def load_some(pipeline: list[Any], path: str) -> None:
    for seed in range(8):
        load(pipeline, path, seed)


def cpu_seconds(action: Callable[[], Any]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def alternately(actions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the best time of each."""
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            times[name].append(cpu_seconds(action))
    return {name: min(found) for name, found in times.items()}


def model_of(classes: int, loss: dict[str, Any], kind: str) -> Any:
    head = {
        "type": "PSPHead",
        "in_channels": 512,
        "channels": 128,
        "pool_scales": (1, 2, 3, 6),
        "num_classes": classes,
        "norm_cfg": {"type": "BN"},
        "align_corners": False,
        "loss_decode": loss,
    }
    backbone = {
        "type": "ResNetV1c",
        "depth": 18,
        "strides": (1, 2, 1, 1),
        "dilations": (1, 1, 2, 4),
        "norm_cfg": {"type": "BN"},
        "style": "pytorch",
    }
    torch.manual_seed(0)
    config = {
        "type": kind,
        "backbone": backbone,
        "decode_head": head,
        "test_cfg": {"mode": "whole"},
    }
    return MODELS.build(ConfigDict(config)).train()


def samples(labels: Any) -> list[Any]:
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def steps_of(count: int, batch: dict[str, Any], device: str) -> dict[str, Callable[[], Any]]:
    """Return one training step of each kind, on the same images."""
    ours = {"type": "MultiLabelLoss"}
    bits = model_of(count + 1, ours, "MultiLabelEncoderDecoder").to(device)
    single = model_of(count + 1, {"type": "CrossEntropyLoss"}, "EncoderDecoder").to(device)
    images = torch.randn(BATCH, 3, *CROP, device=device)
    classes = [torch.randint(0, count + 1, (1, *CROP), device=device) for _ in range(BATCH)]

    def step(model: Any, labels: Any) -> None:
        total, _ = model.parse_losses(model.loss(images, samples([x.to(device) for x in labels])))
        total.backward()

    def on_planes() -> None:
        # The host's heads take no labels (B, C, H, W), so its loss is computed beside the head.
        logits = bits.decode_head.forward(bits.extract_feat(images))
        logits = F.interpolate(logits, CROP, mode="bilinear", align_corners=False)
        planes = torch.stack([x.to(device) for x in batch["planes"]])
        valid = ~(planes == 255).any(1)
        target = torch.cat([~planes.any(1, keepdim=True), planes.bool()], 1).to(logits.dtype)
        losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
        ((losses * valid).sum() / valid.sum()).backward()

    return {
        "single": lambda: step(single, classes),
        "bits": lambda: step(bits, batch["bits"]),
        "planes": on_planes,
    }


def loss_alone(count: int, batch: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    logits = torch.randn(BATCH, count + 1, *CROP, requires_grad=True)
    packed = torch.cat(list(batch["bits"]))
    classes = torch.randint(0, count + 1, (BATCH, *CROP))
    ours = MultiLabelLoss()
    return {
        "single": lambda: F.cross_entropy(logits, classes).backward(),
        "bits": lambda: ours(logits, packed).backward(),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    init_default_scope("mmseg")
    memory, loading, training = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            paths, lines = write(Path(folder), count), pipelines(count)
            batch = {k: [load(lines[k], paths[k], i) for i in range(BATCH)] for k in lines}
            size = {k: sum(x.numel() * x.element_size() for x in batch[k]) for k in batch}
            memory.append(
                f"| {count} | {batch['bits'][0].dtype} | {size['bits'] / 1024:.0f} | "
                f"{size['planes'] / 1024:.0f} | **{size['bits'] / size['planes']:.2f}** |"
            )
            found = alternately({k: partial(load_some, lines[k], paths[k]) for k in lines}, rounds)
            loading.append(
                f"| {count} | {found['bits'] / 8 * 1000:.1f} | {found['planes'] / 8 * 1000:.1f} | "
                f"**{found['bits'] / found['planes']:.2f}** |"
            )
            took = alternately(steps_of(count, batch, "cpu"), rounds)
            alone = alternately(loss_alone(count, batch), rounds)
            training.append(
                f"| {count} | {took['bits'] * 1000:.0f} | {took['planes'] * 1000:.0f} | "
                f"{took['single'] * 1000:.0f} | **{took['bits'] / took['single']:.2f}** | "
                f"{alone['bits'] * 1000:.1f} | {alone['single'] * 1000:.1f} |"
            )
    tell(rounds, memory, loading, training)


def tell(rounds: int, memory: list[str], loading: list[str], training: list[str]) -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}, one thread of")
    print(f"{os.cpu_count()} cores, torch {version('torch')}, {time.strftime('%Y-%m-%d')}. Best of")
    print(
        f"{rounds} rounds. Labels of {SIZE[1]} x {SIZE[0]} pixels, crops of {CROP[1]} x {CROP[0]},"
    )
    print(f"batches of {BATCH}; PSPNet on ResNet-18.\n")
    print("| labels | type | bits, KiB a batch | planes, KiB | ratio |\n|---|---|---|---|---|")
    print("\n".join(memory))
    print("\n| labels | loading bits, ms an image | planes, ms | ratio |\n|---|---|---|---|")
    print("\n".join(loading))
    print(
        "\n| labels | step with bits, ms | planes, ms | one class a pixel, ms | bits / one class ",
        end="",
    )
    print("| loss alone, ms | cross entropy alone, ms |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(training))


if __name__ == "__main__":
    main()
