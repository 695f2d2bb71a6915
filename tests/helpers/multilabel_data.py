"""A small dataset of overlapping labels, and runs of models on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import ConfigDict
from PIL import Image

from mmseg_fixkit.datasets.label_bits import pack
from tests.helpers.runs import run_config, run_head, run_model

NAMES = ("red", "green", "blue")
LABELS = len(NAMES)


def write_data(root: Path, images: int = 4, size: int = 32) -> Path:
    """Write discs that overlap: each adds light to the channel of its label."""
    for folder in ("img", "ann"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(images):
        rng = np.random.default_rng(index)
        planes = np.stack([_disc(rng, size) for _ in NAMES])
        picture = 40 + 170 * planes.transpose(1, 2, 0) + rng.integers(0, 30, (size, size, 3))
        ignored = np.zeros((size, size), bool)
        ignored[0] = True
        Image.fromarray(picture.astype(np.uint8)).save(root / "img" / f"{index:02}.png")
        Image.fromarray(pack(planes, ignored)).save(root / "ann" / f"{index:02}.png")
    return root


def _disc(rng: Any, size: int) -> Any:
    y, x = np.mgrid[:size, :size]
    cx, cy = rng.uniform(0.25 * size, 0.75 * size, 2)
    return (x - cx) ** 2 + (y - cy) ** 2 < (rng.uniform(0.2, 0.4) * size) ** 2


def dataset_config(root: Path, *, names: Sequence[str] = NAMES, steps: Sequence[Any] = ()) -> Any:
    return dict(
        type="BaseSegDataset",
        data_root=str(root),
        data_prefix={"img_path": "img", "seg_map_path": "ann"},
        img_suffix=".png",
        metainfo={
            "classes": tuple(names),
            "palette": [[200, 40, 60], [40, 180, 90], [50, 110, 230]],
        },
        pipeline=[
            {"type": "LoadImageFromFile"},
            *steps,
            {"type": "LoadMultiLabelAnnotations", "labels": tuple(names)},
            {"type": "PackMultiLabelInputs"},
        ],
    )


def head_config(labels: int = LABELS, **options: Any) -> dict[str, Any]:
    return run_head(labels + 1, loss_decode={"type": "MultiLabelLoss"}, **options)


def model_config(**options: Any) -> Any:
    head = options.pop("decode_head", None) or head_config()
    model = {**run_model(head), "type": "MultiLabelEncoderDecoder", **options}
    normalise = {"mean": [127.0] * 3, "std": [60.0] * 3, "bgr_to_rgb": True}
    return ConfigDict({**model, "data_preprocessor": {**model["data_preprocessor"], **normalise}})


def config_of(tmp_path: Path, images: int = 4, **options: Any) -> Any:
    """Return the config of a run that is validated with our metric."""
    root = write_data(tmp_path / "data", images)
    model = options.pop("model", None) or model_config()
    data = dataset_config(root)
    config = run_config(tmp_path / "work", model, data, data, **options)
    for split in ("val", "test"):
        config[f"{split}_evaluator"] = {"type": "MultiLabelIoUMetric", "classwise": True}
    config.dump(config.filename)
    return config
