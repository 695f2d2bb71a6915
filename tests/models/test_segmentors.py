"""Segmentors that give a pixel several labels: whole, slide, flips, several views, real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmseg_fixkit import FixkitError
from mmseg_fixkit.datasets.label_bits import label_mask, pack
from tests.helpers.multilabel_data import (
    LABELS,
    NAMES,
    config_of,
    dataset_config,
    head_config,
    model_config,
)
from tests.helpers.runs import run_log, run_runner
from tests.zoo.build import build

SIZE = 32


def model(**options: Any) -> Any:
    torch.manual_seed(0)
    built = build(model_config(**options))
    built.init_weights()
    # An untrained head gives much the same everywhere.
    torch.nn.init.normal_(built.decode_head.conv_seg.weight)
    return built.eval()


def cascade(**options: Any) -> Any:
    ocr = {
        "type": "OCRHead",
        "in_channels": 64,
        "channels": 8,
        "ocr_channels": 8,
        "num_classes": LABELS + 1,
        "norm_cfg": {"type": "BN"},
        "loss_decode": {"type": "MultiLabelLoss"},
    }
    kind = {"type": "MultiLabelCascadeEncoderDecoder", "num_stages": 2}
    return build(model_config(decode_head=[head_config(), ocr], **kind, **options)).eval()


def sample(**meta: Any) -> Any:
    from mmseg.structures import SegDataSample

    shape = (SIZE, SIZE)
    made = SegDataSample()
    made.set_metainfo({"img_shape": shape, "ori_shape": shape, "pad_shape": shape, **meta})
    return made


def images(count: int = 1) -> Any:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def predicted(built: Any, inputs: Any, **meta: Any) -> Any:
    return built.predict(inputs, [sample(**meta) for _ in inputs])[0]


def test_labels_are_what_is_above_the_threshold() -> None:
    built = model(threshold=[0.2, 0.5, 0.8])
    result = predicted(built, images())
    with torch.no_grad():
        logits = built.encode_decode(images(), [sample().metainfo])[0, 1:]
    assert torch.allclose(result.seg_logits.data, logits, atol=1e-5)
    limits = torch.tensor([0.2, 0.5, 0.8]).view(-1, 1, 1)
    planes = (result.seg_logits.data.sigmoid() > limits).numpy()
    assert (result.pred_sem_seg.data[0].numpy() == pack(planes)).all()
    assert (planes.sum(0) > 1).any()
    assert result.seg_logits.data.shape == (LABELS, SIZE, SIZE)


@pytest.mark.parametrize("maker", [model, cascade])
def test_slide_mode_is_whole_mode_where_one_window_is_the_image(maker: Any) -> None:
    slide = {"mode": "slide", "crop_size": (SIZE, SIZE), "stride": (SIZE, SIZE)}
    built = maker()
    whole = predicted(built, images())
    built.test_cfg = type(built.test_cfg)(slide)
    again = predicted(built, images())
    assert torch.allclose(whole.seg_logits.data, again.seg_logits.data, atol=1e-4)
    assert torch.equal(whole.pred_sem_seg.data, again.pred_sem_seg.data)


def test_slide_mode_means_over_windows() -> None:
    built = model(test_cfg={"mode": "slide", "crop_size": (16, 16), "stride": (8, 8)})
    result = predicted(built, images())
    assert result.seg_logits.data.shape == (LABELS, SIZE, SIZE)
    assert result.pred_sem_seg.data.shape == (1, SIZE, SIZE)
    assert not (result.pred_sem_seg.data & ~label_mask(LABELS)).any()


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 3), ("vertical", 2)])
def test_flips_and_padding_are_taken_back(direction: str, axis: int) -> None:
    built = model()
    plain = predicted(built, images())
    flipped = predicted(built, images(), flip=True, flip_direction=direction)
    assert torch.allclose(flipped.pred_sem_seg.data, plain.pred_sem_seg.data.flip(dims=(axis - 1,)))
    padded = predicted(built, images(), ori_shape=(20, 24), padding_size=[0, 8, 0, 12])
    assert torch.equal(padded.pred_sem_seg.data, plain.pred_sem_seg.data[:, :20, :24])


def test_without_samples_there_are_results_too() -> None:
    built = model()
    with torch.no_grad():
        result = built.predict(images())[0]
    assert torch.equal(result.pred_sem_seg.data, predicted(built, images()).pred_sem_seg.data)


@pytest.mark.parametrize("maker", [model, cascade])
def test_tensors_are_those_of_the_real_labels(maker: Any) -> None:
    built = maker()
    with torch.no_grad():
        out = built(images(), mode="tensor")
    assert out.size(1) == LABELS
    whole = predicted(built, images()).seg_logits.data
    resized = torch.nn.functional.interpolate(out, (SIZE, SIZE), mode="bilinear")[0]
    assert torch.allclose(resized, whole, atol=1e-4)


def test_more_than_seven_labels_are_predicted_in_thirty_two_bit() -> None:
    built = model(decode_head=head_config(9))
    result = predicted(built, images())
    assert result.pred_sem_seg.data.dtype == torch.int32
    planes = (result.seg_logits.data.sigmoid() > 0.5).numpy()
    assert (result.pred_sem_seg.data[0].numpy() == pack(planes)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 0.0}, "threshold is 0, but a score is between 0 and 1"),
        ({"threshold": [0.5, 0.5]}, "threshold has 2 entries, but the decode head has 4 channels"),
        ({"decode_head": head_config(0, out_channels=1)}, "decode_head has 1 output channel, but"),
    ],
)
def test_what_does_not_fit_is_told(options: Any, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        build(model_config(**options))


def several_views(built: Any, samples: list[Any]) -> Any:
    """Merge as ``BaseTTAModel`` does, over a model that is built already."""
    tta = build({"type": "MultiLabelTTAModel", "module": model_config(threshold=[0.2, 0.5, 0.8])})
    tta.module = built
    return tta.merge_preds([samples])[0]


def test_several_views_are_merged_by_their_scores() -> None:
    built = model(threshold=[0.2, 0.5, 0.8])
    views = [predicted(built, images()), predicted(built, images().flip(3), flip=True,
             flip_direction="horizontal")]  # fmt: skip
    scores = torch.stack([v.seg_logits.data.sigmoid() for v in views]).mean(0)
    merged = several_views(built, views)
    limits = torch.tensor([0.2, 0.5, 0.8]).view(-1, 1, 1)
    assert (merged.pred_sem_seg.data[0].numpy() == pack((scores > limits).numpy())).all()
    assert torch.allclose(merged.seg_logits.data.sigmoid(), scores, atol=1e-5)


def test_a_run_with_several_views_is_measured(tmp_path: Path) -> None:
    """As ``tools/test.py --tta`` does it."""
    config = config_of(tmp_path)
    steps = [
        {"type": "LoadImageFromFile"},
        {
            "type": "TestTimeAug",
            "transforms": [
                [{"type": "Resize", "scale_factor": r, "keep_ratio": True} for r in (1.0, 1.5)],
                [{"type": "RandomFlip", "prob": p, "direction": "horizontal"} for p in (0.0, 1.0)],
                [{"type": "LoadMultiLabelAnnotations", "labels": NAMES}],
                [{"type": "PackMultiLabelInputs"}],
            ],
        },
    ]
    config.test_dataloader.dataset.pipeline = steps
    config.test_dataloader.batch_size = 1
    config.model = {"type": "MultiLabelTTAModel", "module": config.model}
    found = run_runner(config).test()
    assert found["mIoU"] >= 0


def test_labels_that_overlap_are_learned(tmp_path: Path) -> None:
    loss = {"type": "MultiLabelLoss", "dice_weight": 1.0}
    learner = model_config(decode_head={**head_config(), "loss_decode": loss})
    learner.backbone.strides = (1, 1, 1, 1)  # else a picture of 32 pixels ends as one
    config = config_of(tmp_path, images=6, iters=100, model=learner)
    config.optim_wrapper.optimizer = {"type": "AdamW", "lr": 3e-3}
    runner = run_runner(config)
    runner.train()
    found = runner.val()
    assert min(found[f"IoU/{name}"] for name in NAMES) > 50, found
    log = run_log(runner)
    assert "acc_seg" not in log
    assert "decode.loss_multilabel" in log


def test_the_hosts_inference_works(tmp_path: Path) -> None:
    from mmseg.apis import inference_model, init_model

    config = config_of(tmp_path)
    config.test_pipeline = dataset_config(tmp_path)["pipeline"]
    built = init_model(config, device="cpu")
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    result = inference_model(built, picture)
    assert result.pred_sem_seg.data.shape == (1, SIZE, SIZE)
    assert not (result.pred_sem_seg.data & ~label_mask(LABELS)).any()
