"""One real training step, and one prediction, for every distinct head type of the zoo."""

from __future__ import annotations

import contextlib
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmseg_fixkit.models.heads import class_tensors
from tests.helpers.runs import run_portable
from tests.zoo.build import build
from tests.zoo.configs import ROOT, head_types, lacks
from tests.zoo.modes import MODES, read

CLASSES = 7
BATCH = 2
IGNORED = 255


@dataclass(frozen=True)
class Step:
    """A config that is trained.

    Args:
        config: the one with the fewest parameters among those with its head types.
        size: height and width of the images: the smallest that the model takes.
        quick: whether the step takes a few seconds at most.
    """

    config: str
    size: int = 64
    quick: bool = True


STEPS = (
    Step("ann/ann_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("apcnet/apcnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py"),
    Step("bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py"),
    Step("ccnet/ccnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py"),
    Step("danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py"),
    Step("deeplabv3/deeplabv3_r18b-d8_4xb2-80k_cityscapes-512x1024.py"),
    Step("deeplabv3plus/deeplabv3plus_r18b-d8_4xb2-80k_cityscapes-512x1024.py"),
    Step("dmnet/dmnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("dnlnet/dnl_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("dpt/dpt_vit-b16_8xb2-160k_ade20k-512x512.py", quick=False),
    Step("emanet/emanet_r50-d8_4xb2-80k_cityscapes-512x1024.py"),
    Step("encnet/encnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py"),
    Step("gcnet/gcnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("isanet/isanet_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("knet/knet-s3_r50-d8_deeplabv3_8xb2-adamw-80k_ade20k-512x512.py", quick=False),
    Step("knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py"),
    Step("knet/knet-s3_r50-d8_pspnet_8xb2-adamw-80k_ade20k-512x512.py", quick=False),
    Step("knet/knet-s3_swin-t_upernet_8xb2-adamw-80k_ade20k-512x512.py", quick=False),
    Step("mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"),
    Step("maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py"),
    Step("mobilenet_v2/mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024.py"),
    # Its pooling window is 49 pixels at an eighth of the image.
    Step("mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024.py", 392, False),
    Step("nonlocal_net/nonlocal_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    Step("ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py"),
    Step("pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py"),
    Step("point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py"),
    Step("psanet/psanet_r50-d8_4xb4-80k_ade20k-512x512.py"),
    Step("pspnet/pspnet_r18b-d8_4xb2-80k_cityscapes-512x1024.py"),
    Step("san/san-vit-b16_coco-stuff164k-640x640.py", quick=False),
    Step("segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py"),
    Step("segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py"),
    Step("segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512.py"),
    Step("setr/setr_vit-l-mla_8xb1-160k_ade20k-512x512.py", quick=False),
    Step("setr/setr_vit-l_naive_8xb2-160k_ade20k-512x512.py", quick=False),
    Step("stdc/stdc1_4xb12-80k_cityscapes-512x1024.py"),
    Step("twins/twins_svt-s_fpn_fpnhead_8xb4-80k_ade20k-512x512.py"),
    Step("upernet/upernet_r18_4xb2-40k_cityscapes-512x1024.py"),
)


@dataclass
class Trained:
    """What came of one step.

    Args:
        config: ``method/file.py``.
        heads: see :func:`tests.zoo.configs.head_types`.
        size: of the images.
        losses: by the name that the host logs them under.
        class_tensors: how many parameters follow the classes; all of them have a gradient.
        needs: the package without which its model cannot be built here.
        problems: what is wrong.
    """

    config: str
    heads: str = ""
    size: int = 0
    losses: dict[str, float] = field(default_factory=dict)
    class_tensors: int = 0
    needs: str = ""
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def train(step: Step) -> Trained:
    """Patch, write, read, build and train; whatever goes wrong becomes a problem of the result."""
    result = Trained(step.config, size=step.size)
    try:
        _train(result, step)
    except Exception:  # one broken config does not stop the others
        result.problems.append(traceback.format_exc(limit=-3))
    return result


def _train(result: Trained, step: Step) -> None:
    import torch

    model_config = read(ROOT / step.config).model.to_dict()
    result.heads, result.needs = head_types(model_config), lacks(step.config, model_config)
    if result.needs:
        return
    with tempfile.TemporaryDirectory() as folder:
        config = MODES[0].write(ROOT / step.config, CLASSES, Path(folder)).config
    torch.manual_seed(0)
    model = build(_small(run_portable(config, step.size)).model)
    _initialise(model)
    model.train()
    total, result.losses = _losses(model, step.size)
    total.backward()
    result.problems += _wrong_gradients(result, model)
    result.problems += _wrong_answers(model, step.size)


def _small(config: Any) -> Any:
    # SAN pads to 640; without a divisor the size that is asked for holds.
    if "size_divisor" in config.model.data_preprocessor:
        config.model.data_preprocessor.size_divisor = None
    return config


def _initialise(model: Any) -> None:
    """Initialise as training does before it loads a backbone.

    SAN cannot: without the weights of CLIP, ``RecWithAttnbias.init_weights`` of 1.2.2 calls a
    method that ``nn.Module`` lacks. Small random numbers stand for them.
    """
    from torch import nn

    if not hasattr(model, "text_encoder"):
        with _quiet():
            model.init_weights()
        return
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.02)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """MMEngine logs how each tensor was initialised."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def _losses(model: Any, size: int) -> tuple[Any, dict[str, float]]:
    batch = model.data_preprocessor(samples(size), training=True)
    total, logged = model.parse_losses(model.loss(**batch))
    return total, {name: float(value) for name, value in logged.items() if "loss" in name}


def samples(size: int) -> dict[str, list[Any]]:
    """Return a batch in which every class has pixels, and one row of each label is ignored."""
    import torch

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, size, size), generator=generator, dtype=torch.uint8)
    return {
        "inputs": list(images),
        "data_samples": [_sample(size, generator) for _ in range(BATCH)],
    }


def _sample(size: int, generator: Any) -> Any:
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    blocks = torch.randperm(16, generator=generator).reshape(1, 4, 4) % CLASSES
    label = blocks.repeat_interleave(size // 4, 1).repeat_interleave(size // 4, 2)
    label[:, 0] = IGNORED
    # PIDNet's pipeline makes an edge map.
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=label), gt_edge_map=PixelData(data=(label == 0).long())
    )
    shape = (size, size)
    sample.set_metainfo({"img_shape": shape, "ori_shape": shape, "pad_shape": shape})
    return sample


def _wrong_gradients(result: Trained, model: Any) -> Iterator[str]:
    sized = class_tensors(model)
    yield from (f"{k} is {v}" for k, v in result.losses.items() if not abs(v) < float("inf"))
    for name, parameter in model.named_parameters():
        if name not in sized:
            continue
        result.class_tensors += 1
        grad = parameter.grad
        if grad is None or not grad.isfinite().all() or not grad.any():
            yield f"{name} has no finite gradient"


def _wrong_answers(model: Any, size: int) -> Iterator[str]:
    import torch

    model.eval()
    with torch.no_grad():
        answers = model.test_step(samples(size))
    for answer in answers:
        labels = answer.pred_sem_seg.data
        if labels.shape != (1, size, size) or not 0 <= labels.min() <= labels.max() < CLASSES:
            yield f"answers {tuple(labels.shape)} with labels up to {int(labels.max())}"
