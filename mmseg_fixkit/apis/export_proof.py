"""The judge of an exported file: the host's own inference on image files.

It builds its own model, reads the checkpoint and decodes the images itself, and ends at labels:
nothing that the export reads of a model has a part in it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmengine.utils import digit_version
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.models.safe_load import allow_checkpoints

#: Batch, height and width of images.
Batch = tuple[int, int, int]

_LOAD, _PACK = {"type": "LoadImageFromFile"}, {"type": "PackSegInputs"}

#: Steps of a test pipeline that change labels alone; loaders of annotations besides.
_LABEL_STEPS = frozenset({"AssertLabelBounds", "RemapLabels", "AddMultiLabelAuxiliaryCategory"})

#: What decodes images -> the only kind of file that it takes; others take PNG.
_SUFFIXES = {"tifffile": ".tif"}

_WEIGHTS_GIVEN = (
    "MMSegmentation could not read this checkpoint by itself, or would have run what it asks for: "
    "its inference, which the file was compared with, was given the weights as mmseg-fixkit reads "
    "them"
)


@dataclass(frozen=True)
class Judged:
    """Image files of one size, and what the host gives for them."""

    images: NDArray[np.float32]  # (B, 3, H, W), RGB of 0 to 255, as Pillow decodes the files
    logits: NDArray[np.float32]  # (B, C, H, W), ``seg_logits``
    labels: NDArray[Any]  # (B, H, W), ``pred_sem_seg``


@dataclass(frozen=True)
class Judge:
    """A model of ``mmseg.apis.init_model``, and what its inference gave so far."""

    model: nn.Module
    notes: tuple[str, ...]  # what the user should know of the comparison
    _looks: dict[Batch, Judged] = field(default_factory=dict)

    def look(self, batch: Batch) -> Judged:
        """Return what ``mmseg.apis.inference_model`` gives for so many images of a size.

        Raises whatever the host raises.
        """
        if batch not in self._looks:
            self._looks[batch] = _inferred(self.model, batch)
        return self._looks[batch]


def judge_of(config: Config, checkpoint: Path, weights: Mapping[str, Any], *, trust: bool) -> Judge:
    """Build the model of ``config`` as the host does, with the weights that it reads itself.

    Args:
        config: heads are sized as in the checkpoint; it is not changed.
        checkpoint: the file.
        weights: for the model, where the host cannot read the file.
        trust: whether the file may run whatever it asks for.
    """
    from mmseg.apis import init_model

    own = copy.deepcopy(config)
    own.model.test_cfg = {"mode": "whole"}
    steps = own.get("test_pipeline") or [_LOAD, _PACK]
    own.test_pipeline = [steps[0], steps[-1]]
    model = init_model(own, None, device="cpu")
    notes = [_left_out(step) for step in steps[1:-1] if not _is_for_labels(step)]
    if not _reads(model, checkpoint, trust):
        model.load_state_dict(weights)
        notes.append(_WEIGHTS_GIVEN)
    return Judge(model, tuple(notes))


def _is_for_labels(step: Mapping[str, Any]) -> bool:
    name = type_name(step["type"])
    return name in _LABEL_STEPS or "Annotation" in name


def _left_out(step: Mapping[str, Any]) -> str:
    options = ", ".join(f"{key}={value!r}" for key, value in step.items() if key != "type")
    return (
        f"the test pipeline runs {type_name(step['type'])}({options}), but the file takes an image "
        "as it is then: do the same before"
    )


def _reads(model: nn.Module, checkpoint: Path, trust: bool) -> bool:
    """Whether the host finds all weights in a file; they are in ``model`` then.

    What ``init_model`` does with a checkpoint, which needs its ``meta`` besides. Before torch 2.6
    it would run whatever the file asks for.
    """
    if not trust and digit_version(torch.__version__) < digit_version("2.6.0"):
        return False
    allow_checkpoints()
    try:
        read = load_checkpoint(model, str(checkpoint), map_location="cpu", logger="silent")
    except Exception:  # whatever torch says of a file
        return False
    names = {str(name).removeprefix("module.") for name in read.get("state_dict", read)}
    return model.state_dict().keys() <= names


def _inferred(model: Any, batch: Batch) -> Judged:
    from mmseg.apis import inference_model

    with TemporaryDirectory() as folder:
        backend = model.cfg.test_pipeline[0].get("imdecode_backend")
        files = list(_files(Path(folder), batch, _SUFFIXES.get(backend, ".png")))
        results = inference_model(model, [str(file) for file in files])
        images = [np.asarray(Image.open(file), np.float32).transpose(2, 0, 1) for file in files]
    return Judged(
        images=np.stack(images),
        logits=np.stack([result.seg_logits.data.float().numpy() for result in results]),
        labels=np.stack([result.pred_sem_seg.data[0].numpy() for result in results]),
    )


def _files(folder: Path, batch: Batch, suffix: str) -> Iterator[Path]:
    """Write smooth images whose red, green and blue have nothing in common.

    In noise alone few classes are predicted.
    """
    random = np.random.default_rng(0)
    count, height, width = batch
    for index in range(count):
        coarse = random.integers(0, 256, (max(height // 16, 2), max(width // 16, 2), 3))
        image = Image.fromarray(coarse.astype(np.uint8))
        path = folder / f"{index}{suffix}"
        image.resize((width, height), Image.Resampling.BICUBIC).save(path)
        yield path
