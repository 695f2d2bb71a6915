"""Two classes in one sigmoid channel: what the host does, and that a patched config trains."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.demo.data import make_shapes
from mmseg_fixkit.hooks.built_classes import check_classes
from mmseg_fixkit.runtime import OneChannelLoss
from tests.helpers.runs import run_config, run_head, run_model, run_runner, run_zoo_model

NAMES = ("background", "thing")
SIGMOID = {"type": "CrossEntropyLoss", "use_sigmoid": True}
ONE = {"out_channels": 1, "threshold": 0.5}


def build(config: Any) -> Any:
    import mmseg.models  # noqa: F401 - registers
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope

    torch.set_num_threads(1)
    init_default_scope("mmseg")
    return MODELS.build(ConfigDict(config))


def batch(size: int, share: float = 0.8) -> dict[str, Any]:
    """Two pictures whose pixels are class 1 in this share, and ignored in the first rows."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(0)
    shape = (size, size)
    samples = []
    for _ in range(2):
        label = (torch.rand(1, *shape, generator=generator) < share).long()
        edges = label.clone()
        label[:, : size // 8] = 255
        meta = {"img_shape": shape, "ori_shape": shape, "pad_shape": shape}
        sample = SegDataSample(gt_sem_seg=PixelData(data=label), metainfo=meta)
        sample.set_data({"gt_edge_map": PixelData(data=edges)})
        samples.append(sample)
    pictures = [torch.rand(3, *shape, generator=generator) * 255 for _ in range(2)]
    return {"inputs": pictures, "data_samples": samples}


def train_once(model: Any, size: int) -> Tensor:
    model.train()
    data = model.data_preprocessor(batch(size), True)
    total, _ = model.parse_losses(model.loss(**data))
    total.backward()
    return total


def predict(model: Any, size: int) -> list[Any]:
    model.eval()
    with torch.no_grad():
        return model.predict(**model.data_preprocessor(batch(size), False))


# The zoo: a method for each head that can have one channel

CAN = {
    "ANNHead": "ann/ann_r50-d8_4xb4-80k_ade20k-512x512",
    "APCHead": "apcnet/apcnet_r50-d8_4xb4-80k_ade20k-512x512",
    "ASPPHead": "unet/unet-s5-d16_deeplabv3_4xb4-ce-1.0-dice-3.0-40k_drive-64x64",
    "CCHead": "ccnet/ccnet_r50-d8_4xb4-80k_ade20k-512x512",
    "DAHead": "danet/danet_r50-d8_4xb4-80k_ade20k-512x512",
    "DDRHead": "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024",
    "DMHead": "dmnet/dmnet_r50-d8_4xb4-80k_ade20k-512x512",
    "DNLHead": "dnlnet/dnl_r50-d8_4xb4-80k_ade20k-512x512",
    "DepthwiseSeparableASPPHead": "deeplabv3plus/deeplabv3plus_r18-d8_4xb4-80k_isaid-896x896",
    "DepthwiseSeparableFCNHead": "fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024",
    "EMAHead": "emanet/emanet_r50-d8_4xb2-80k_cityscapes-769x769",
    "EncHead": "encnet/encnet_r50-d8_4xb4-80k_ade20k-512x512",
    "FCNHead": "stdc/stdc1_4xb12-80k_cityscapes-512x1024",
    "FPNHead": "sem_fpn/fpn_r50_4xb4-160k_ade20k-512x512",
    "GCHead": "gcnet/gcnet_r50-d8_4xb4-80k_ade20k-512x512",
    "ISAHead": "isanet/isanet_r50-d8_4xb4-80k_ade20k-512x512",
    "LightHamHead": "segnext/segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512",
    "NLHead": "nonlocal_net/nonlocal_r50-d8_4xb4-80k_ade20k-512x512",
    "PIDHead": "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes",
    "PSAHead": "psanet/psanet_r50-d8_4xb4-80k_ade20k-512x512",
    "PSPHead": "pspnet/pspnet_r18-d8_4xb4-80k_isaid-896x896",
    "SegformerHead": "segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512",
    "UPerHead": "upernet/upernet_r18_4xb4-80k_ade20k-512x512",
}
SIZES = {"FCNHead": 128, "DepthwiseSeparableFCNHead": 128}

CANNOT = {
    "ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512": "CascadeEncoderDecoder has no threshold",
    "point_rend/pointrend_r50_4xb4-160k_ade20k-512x512": "CascadeEncoderDecoder has no threshold",
    "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512": "IterativeDecodeHead has a kernel",
    "segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512": "HeadTransformer|makes a mask",
    "mask2former/mask2former_r50_8xb2-160k_ade20k-512x512": "Mask2FormerHead scores masks",
    "maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512": "MaskFormerHead scores masks",
    "san/san-vit-b16_voc12aug-640x640": "SideAdapterCLIPHead compares masks with the words",
}


def portable(name: str, size: int) -> Any:
    """Return a zoo config whose model builds offline, for small pictures."""
    config = run_zoo_model(zoo_path(f"mmseg::{name}"), size)
    for key in ("size_divisor", "test_cfg"):
        config.model.data_preprocessor.pop(key, None)
    return config


@pytest.mark.parametrize("head", CAN)
def test_a_patched_zoo_model_trains_and_predicts_two_classes(head: str) -> None:
    size = SIZES.get(head, 64)
    planned = patch(portable(CAN[head], size), NAMES, binary="sigmoid", guards=False)
    assert planned.plan.remaining == ()
    model = build(planned.config.model)
    main = model.decode_head
    assert type(main).__name__ == head
    assert (main.num_classes, main.out_channels, main.threshold) == (2, 1, 0.5)
    for parameter in main.conv_seg.parameters():  # sure of nothing yet
        torch.nn.init.zeros_(parameter)
    total = train_once(model, size)
    assert torch.isfinite(total)
    assert total > 0
    # Most pixels are class 1, so the one channel has to rise.
    assert main.conv_seg.bias.shape == (1,)
    assert main.conv_seg.bias.grad < 0
    for sample in predict(model, size):
        assert sample.seg_logits.data.shape == (1, size, size)
        assert set(sample.pred_sem_seg.data.unique().tolist()) <= {0, 1}


@pytest.mark.parametrize("name", CANNOT)
def test_other_heads_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(FixkitError, match=CANNOT[name]) as caught:
        patch(f"mmseg::{name}.py", NAMES, binary="sigmoid")
    assert "two channels distinguish two classes" in str(caught.value)
    assert patch(f"mmseg::{name}.py", NAMES, binary="softmax").plan.remaining == ()


@pytest.mark.parametrize("name", [*CAN.values(), "stdc/stdc1_4xb12-80k_cityscapes-512x1024"])
def test_sigmoid_is_whole_and_softmax_takes_it_back(name: str) -> None:
    path = f"mmseg::{name}.py"
    one = patch(path, NAMES, binary="sigmoid")
    assert check(one.config).diagnostics == ()
    assert patch(one.config, NAMES, binary="sigmoid").plan.empty
    back = patch(one.config, NAMES, binary="softmax")
    again = patch(back.config, NAMES, binary="sigmoid")
    assert again.config.model.to_dict() == one.config.model.to_dict()
    assert not {"threshold", "out_channels"} & set(back.config.model.decode_head)


def test_boundary_heads_keep_their_channels() -> None:
    path = f"mmseg::{CAN['FCNHead']}.py"
    before = patch(path, NAMES, guards=False).config.model.auxiliary_head
    after = patch(path, NAMES, binary="sigmoid", guards=False).config.model.auxiliary_head
    assert [h["type"] for h in after] == ["FCNHead", "FCNHead", "STDCHead"]
    assert [h.get("out_channels") for h in after] == [1, 1, None]
    assert after[2] == before[2]


# What the host does with halves of the set-up


@cache
def scores_and_label(only_one: bool = False) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, 2, (2, 6, 8), generator=generator)
    if only_one:
        label = label.where(label == 0, torch.full_like(label, 255))
    label[:, 0] = 255
    return torch.randn(2, 1, 6, 8, generator=generator), label


def loss_of(config: dict[str, Any], scores: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss, and the gradient of the scores."""
    given = scores.clone().requires_grad_()
    loss = build(config)(given, label, **_options(config))
    (gradient,) = torch.autograd.grad(loss, given)
    return loss.detach(), gradient


def _options(config: dict[str, Any]) -> dict[str, int]:
    """What heads hand over; those of OhemCrossEntropy and TverskyLoss know their own."""
    kind = config.get("loss", config)["type"]
    return {} if kind == "OhemCrossEntropy" else {"ignore_index": 255}


STOPS = {
    "CrossEntropyLoss": (IndexError, "Target 1 is out of bounds"),
    "ClassWeightedCrossEntropyLoss": (IndexError, "Target 1 is out of bounds"),
    "OhemCrossEntropy": (IndexError, "Target 1 is out of bounds"),
    "HuasdorffDisstanceLoss": (AttributeError, "mean"),
    "LovaszLoss": (ValueError, "only with 1 class"),
}


@pytest.mark.parametrize("kind", STOPS)
def test_these_losses_stop_at_one_channel(kind: str) -> None:
    config = {"type": kind} | ({"reduction": "none"} if kind == "LovaszLoss" else {})
    error, text = STOPS[kind]
    with pytest.raises(error, match=text):
        loss_of(config, *scores_and_label())


def test_a_softmax_over_one_channel_is_0_with_labels_0_and_255() -> None:
    scores, label = scores_and_label(only_one=True)
    loss, gradient = loss_of({"type": "CrossEntropyLoss"}, scores, label)
    assert loss == 0
    assert not gradient.any()


def test_tversky_trains_nothing_in_one_channel() -> None:
    _, gradient = loss_of({"type": "TverskyLoss"}, *scores_and_label())
    assert not gradient.any()


@pytest.mark.parametrize(("kind", "sign"), [("DiceLoss", 1), ("OneChannelLoss", -1)])
def test_dice_learns_the_background_unless_it_gets_two_channels(kind: str, sign: int) -> None:
    dice = {"type": "DiceLoss"}
    config = dice if kind == "DiceLoss" else {"type": kind, "loss": {**dice, "use_sigmoid": False}}
    scores, label = scores_and_label()
    _, gradient = loss_of(config, scores, label)
    assert bool((sign * gradient[:, 0][label == 1] > 0).all())


@pytest.mark.parametrize(
    "config",
    [
        {"type": "OhemCrossEntropy", "min_kept": 10, "class_weight": [1.0, 3.0]},
        {"type": "DiceLoss", "use_sigmoid": False},
        {"type": "LovaszLoss", "reduction": "none", "class_weight": [1.0, 3.0]},
        {"type": "TverskyLoss"},
        {"type": "HuasdorffDisstanceLoss"},
        {"type": "ClassWeightedCrossEntropyLoss", "class_weight": [0.0, 3.0]},
    ],
    ids=lambda c: c["type"],
)
def test_one_channel_loss_is_the_loss_of_two_channels(config: dict[str, Any]) -> None:
    scores, label = scores_and_label()
    found, ours = loss_of({"type": "OneChannelLoss", "loss": config}, scores, label)
    expected, theirs = loss_of(config, two_channels(scores), label)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours, theirs[:, 1:])
    assert theirs.any()


def two_channels(scores: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(scores), scores], dim=1)


def test_one_channel_loss_passes_two_channels_on_and_keeps_the_name() -> None:
    scores, label = scores_and_label()
    inner = {"type": "DiceLoss", "use_sigmoid": False, "loss_name": "loss_d"}
    loss = build({"type": "OneChannelLoss", "loss": inner})
    assert isinstance(loss, OneChannelLoss)
    assert loss.loss_name == "loss_d"
    both = two_channels(scores)
    assert loss(both, label) == build(inner)(both, label)


def test_the_sigmoid_of_one_channel_is_the_softmax_of_two() -> None:
    scores, label = scores_and_label()
    found, ours = loss_of(SIGMOID, scores, label)
    expected, theirs = loss_of({"type": "CrossEntropyLoss"}, two_channels(scores), label)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(ours, theirs[:, 1:])


def test_one_weight_is_the_ratio_of_two() -> None:
    scores, label = scores_and_label()
    _, ours = loss_of({**SIGMOID, "class_weight": [4.0]}, scores, label)
    pair = {"type": "ClassWeightedCrossEntropyLoss", "class_weight": [0.25, 1.0]}
    _, theirs = loss_of(pair, two_channels(scores), label)
    counts = label != 255
    ratio = ours[:, 0][counts] / theirs[:, 1][counts]
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))
    with pytest.raises(RuntimeError, match=r"tensor a \(2\) must match"):
        loss_of({**SIGMOID, "class_weight": [0.25, 1.0]}, scores, label)


OHEM = {"type": "OHEMPixelSampler", "min_kept": 100}


def test_ohem_stops_at_one_channel_only_with_a_threshold() -> None:
    head = run_head(2, **ONE, loss_decode=SIGMOID, sampler={**OHEM, "thresh": 0.7})
    with pytest.raises(RuntimeError, match="index 1 is out of bounds"):
        train_once(build(run_model(head)), 32)
    assert train_once(build(run_model({**head, "sampler": OHEM})), 32) > 0


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("ocrnet/ocrnet_hr18_4xb4-80k_ade20k-512x512", AttributeError, "threshold"),
        ("point_rend/pointrend_r50_4xb4-160k_ade20k-512x512", RuntimeError, "out of range"),
        ("knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512", AttributeError, "threshold"),
    ],
)
def test_heads_that_are_refused_stop_with_one_channel(name: str, error: Any, text: str) -> None:
    model = patch(portable(name, 64), NAMES, guards=False).config.model
    for head in heads_of(model.decode_head):
        head.update(ONE, loss_decode=SIGMOID)
    built = build(model)
    with pytest.raises(error, match=text):  # noqa: PT012 - in training or in the first prediction
        train_once(built, 64)
        predict(built, 64)


def heads_of(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value.kernel_generate_head]


def test_segmenter_makes_two_masks_all_the_same() -> None:
    mask = {
        "type": "SegmenterMaskTransformerHead",
        "in_channels": 64,
        "channels": 16,
        "num_layers": 1,
        "num_heads": 2,
        "embed_dims": 16,
        "num_classes": 2,
        **ONE,
        "loss_decode": SIGMOID,
    }
    head = build(mask)
    assert head.out_channels == 1
    assert head.forward([torch.rand(1, 64, 4, 4)]).shape[1] == 2


def test_a_metric_of_one_class_counts_the_background_too() -> None:
    from mmseg.evaluation import IoUMetric

    found, label = torch.tensor([0.0, 0.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, 1.0, 1.0])
    one = IoUMetric.intersect_and_union(found, label, 1, 255)
    two = IoUMetric.intersect_and_union(found, label, 2, 255)
    assert [area.tolist() for area in one[:2]] == [[3.0], [5.0]]
    assert [area.tolist() for area in two[:2]] == [[2.0, 1.0], [3.0, 2.0]]


def test_a_missing_threshold_is_the_one_that_is_written_out() -> None:
    config = config_of(run_head(2, out_channels=1, loss_decode=SIGMOID))
    planned = patch(config, guards=False)
    with pytest.warns(UserWarning, match="threshold is not defined"):
        before = build(config.model)
    assert build(planned.config.model).decode_head.threshold == before.decode_head.threshold == 0.3


# Configs


def config_of(head: Any, auxiliary: Optional[Any] = None, classes: Any = NAMES) -> Any:
    from mmengine.config import Config

    data = {"type": "BaseSegDataset", "metainfo": {"classes": classes}}
    return Config({"model": run_model(head, auxiliary), "train_dataloader": {"dataset": data}})


def test_num_classes_1_with_a_sigmoid_stays_one_channel() -> None:
    config = config_of(run_head(1, loss_decode=SIGMOID))
    planned = patch(config, guards=False)
    torch.manual_seed(0)
    before = build(config.model)
    torch.manual_seed(0)
    after = build(planned.config.model)
    assert (after.decode_head.num_classes, after.decode_head.out_channels) == (2, 1)
    assert train_once(before, 32) == train_once(after, 32)
    assert planned.plan.remaining == ()


def test_num_classes_1_with_a_softmax_becomes_two_channels() -> None:
    planned = patch(config_of(run_head(1)), guards=False)
    assert "out_channels" not in planned.config.model.decode_head
    assert planned.config.model.decode_head.num_classes == 2


def test_heads_may_differ_in_their_channels() -> None:
    config = config_of(run_head(2, **ONE, loss_decode=SIGMOID), [run_head(2)])
    assert check(config).diagnostics == ()
    model = build(config.model)
    assert train_once(model, 32) > 0
    assert all(head.conv_seg.bias.grad.any() for head in (model.decode_head, *model.auxiliary_head))


@pytest.mark.parametrize(
    ("weights", "loss"),
    [
        ("0.25,1", {"type": "CrossEntropyLoss", "use_sigmoid": True, "class_weight": [4.0]}),
        (
            "0,1",  # no ratio: the loss of two channels is held, with both weights
            {
                "type": "OneChannelLoss",
                "loss": {"type": "ClassWeightedCrossEntropyLoss", "class_weight": [0.0, 1.0]},
            },
        ),
        ("none", {"type": "CrossEntropyLoss", "use_sigmoid": True}),
    ],
)
def test_class_weights_with_one_channel(weights: str, loss: dict[str, Any]) -> None:
    given = {"class_weight": weights, "binary": "sigmoid", "guards": False}
    planned = patch(config_of(run_head(2)), **given)
    assert planned.config.model.decode_head.loss_decode == loss
    assert planned.plan.remaining == ()
    assert torch.isfinite(train_once(build(planned.config.model), 32))
    assert patch(planned.config, **given).plan.empty


def test_the_background_needs_a_weight_where_a_ratio_is_taken() -> None:
    config = config_of(run_head(2, **ONE, loss_decode=SIGMOID))
    with pytest.raises(FixkitError, match="divided by that of the background"):
        patch(config, class_weight="0,1")


def test_softmax_gives_the_ratio_back_as_weights() -> None:
    config = config_of(run_head(2, **ONE, loss_decode={**SIGMOID, "class_weight": [4.0]}))
    loss = patch(config, binary="softmax", guards=False).config.model.decode_head.loss_decode
    assert loss.class_weight == [1.0, 4.0]
    assert loss.use_sigmoid is False


def test_more_classes_take_a_binary_config_back_to_a_softmax() -> None:
    config = config_of(run_head(2, **ONE, loss_decode={**SIGMOID, "class_weight": [4.0]}))
    head = patch(config, ["a", "b", "c"], guards=False).config.model.decode_head
    assert (head.loss_decode.use_sigmoid, head.loss_decode.class_weight) == (False, None)
    assert "out_channels" not in head
    assert "threshold" not in head


@pytest.mark.parametrize(
    ("labels", "binary", "text"),
    [
        (["a", "b", "c"], "sigmoid", "for two classes, but there are 3"),
        (6, "softmax", "for two classes, but there are 6"),
        (["a", "b"], "hinge", "it has to be sigmoid or softmax"),
    ],
)
def test_what_makes_no_sense_is_refused(labels: Any, binary: str, text: str) -> None:
    with pytest.raises(FixkitError, match=text):
        patch(config_of(run_head(2)), labels, binary=binary)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (run_head(2, loss_decode={"type": "MyLoss"}), "what MyLoss does with one channel"),
        (run_head(2, type="MyHead", out_channels=256), "how MyHead follows out_channels"),
    ],
)
def test_what_is_not_known_is_refused(head: Any, text: str) -> None:
    with pytest.raises(FixkitError, match=text):
        patch(config_of(head), binary="sigmoid")


def test_one_class_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config_of(run_head(19), [run_head(19)], None).dump("c.py")
    options = ["patch", "c.py", "--classes", "weed", "--binary", "sigmoid"]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.output
    assert "background, weed (labels 0 and 1)" in done.stderr
    assert check("c_fixed.py").diagnostics == ()


def test_a_refusal_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    knet = "mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py"
    options = ["patch", knet, "--classes", "weed", "--binary", "sigmoid"]
    command = [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", *options]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "IterativeDecodeHead has a kernel for each class" in done.stderr
    assert list(tmp_path.iterdir()) == []


# In training


@pytest.mark.parametrize(
    ("loss", "codes"),
    [
        (SIGMOID, []),
        ({"type": "CrossEntropyLoss"}, ["MSF109"]),
        ([SIGMOID, {"type": "DiceLoss"}], ["MSF109"]),
        ({"type": "OneChannelLoss", "loss": {"type": "OhemCrossEntropy"}}, []),
    ],
)
def test_the_hook_knows_losses_that_cannot_teach_one_channel(loss: Any, codes: list[str]) -> None:
    model = build(run_model(run_head(2, **ONE, loss_decode=loss)))
    assert [d.code for d in check_classes(model, [split_of(NAMES)])] == codes


def test_the_hook_knows_a_single_class() -> None:
    model = build(run_model(run_head(1)))
    assert [d.code for d in check_classes(model, [split_of(("weed",))])] == ["MSF108"]


def split_of(classes: tuple[str, ...]) -> Any:
    from types import SimpleNamespace

    from mmseg_fixkit.hooks.built_classes import Split

    dataset = SimpleNamespace(metainfo={"classes": classes})
    return Split("train", ("train_dataloader", "dataset"), dataset)


def shapes_dataset(root: Path, split: str) -> dict[str, Any]:
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}, {"type": "PackSegInputs"}]
    return {
        "type": "BaseSegDataset",
        "data_root": str(root),
        "data_prefix": {"img_path": f"images/{split}", "seg_map_path": f"labels/{split}"},
        "img_suffix": ".jpg",
        "seg_map_suffix": ".png",
        "metainfo": {"classes": NAMES},
        "pipeline": steps,
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_one_sigmoid_channel_learns(tmp_path: Path) -> None:
    make_shapes(tmp_path / "data", classes=2, train=16, val=6, size=64)
    train, val = (shapes_dataset(tmp_path / "data", split) for split in ("train", "val"))
    losses = [
        {"type": "CrossEntropyLoss", "loss_name": "loss_ce"},
        {"type": "DiceLoss", "loss_name": "loss_dice"},
    ]
    early = {"in_index": 1, "in_channels": 16}
    model = run_model(run_head(2, loss_decode=losses, **early), [run_head(2)])
    model["data_preprocessor"] |= {"size": (64, 64), "mean": [128.0] * 3, "std": [64.0] * 3}
    adam = {"type": "OptimWrapper", "optimizer": {"type": "Adam", "lr": 0.01}}
    config = run_config(tmp_path / "work", model, train, val, iters=60, optim_wrapper=adam)
    config.train_dataloader.sampler = {"type": "InfiniteSampler"}
    patched = patch(config, binary="sigmoid")
    assert patched.config.model.decode_head.loss_decode[1].type == "OneChannelLoss"
    runner = run_runner(patched.config)
    runner.train()
    iou = foreground_iou(runner)
    share = np.mean([foreground(s) for s in runner.val_dataloader.dataset])
    assert share < 0.4  # what marking every pixel would reach
    assert iou > 0.7


def foreground(item: dict[str, Any]) -> float:
    label = item["data_samples"].gt_sem_seg.data
    return float((label == 1).sum() / (label != 255).sum())


def foreground_iou(runner: Any) -> float:
    runner.model.eval()
    both = either = 0
    for data in runner.val_dataloader:
        for sample in runner.model.test_step(data):
            label, found = sample.gt_sem_seg.data, sample.pred_sem_seg.data
            both += int(((found == 1) & (label == 1)).sum())
            either += int((((found == 1) | (label == 1)) & (label != 255)).sum())
    return both / either
