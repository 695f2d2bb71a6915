"""Exported files, run by ONNX Runtime and compared with the host's own inference."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from PIL import Image

from mmseg_fixkit.cli import app
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.core.errors import FixkitError
from tests.helpers.runs import run_config, run_dataset_config, run_head, run_model, run_zoo_model
from tests.zoo.build import build

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from mmseg_fixkit.apis.export import ExportedModel, export, need, output_spec  # noqa: E402 - after them

NAMES = ("soil", "weed", "crop", "stone", "sky")


def trained(
    tmp_path: Path, model: Any = None, classes: tuple[str, ...] = NAMES, **preprocessor: Any
) -> tuple[Any, Path]:
    """Write a config and a checkpoint of a model whose head knows what it wants."""
    model = model or run_model(run_head(len(classes)))
    mean = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
    model["data_preprocessor"].update({**mean, "bgr_to_rgb": True, **preprocessor})
    data = run_dataset_config(tmp_path / "data", classes)
    steps = [{"type": "LoadImageFromFile"}, {"type": "PackSegInputs"}]
    config = run_config(tmp_path / "run", model, data, test_pipeline=steps)
    torch.manual_seed(0)
    built = build(config.model)
    for parameter in built.decode_head.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    _balance(built)
    path = tmp_path / "model.pth"
    meta = {"dataset_meta": {"classes": classes}}
    torch.save({"state_dict": built.state_dict(), "meta": meta}, path)
    return config, path


def _balance(model: Any) -> None:
    """Take the mean off each channel and scale it: every class, or side of a threshold, is met."""
    pixels = torch.from_numpy(sample_image().transpose(2, 0, 1)[None].astype(np.float32))
    with torch.no_grad():
        inputs = model.eval().data_preprocessor({"inputs": pixels})["inputs"]
        logits = model.decode_head.forward(model.extract_feat(inputs))  # all channels
        model.decode_head.conv_seg.bias -= logits.mean((0, 2, 3))
        for parameter in model.decode_head.conv_seg.parameters():
            parameter.div_(logits.std())


def sample_image(height: int = 64, width: int = 96) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def run(path: Path, image: np.ndarray) -> np.ndarray:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image.transpose(2, 0, 1)[None].astype(np.float32)})[0]


def by_the_host(config: Any, checkpoint: Path, image: np.ndarray) -> Any:
    """Return what users of the host get for an image file."""
    from mmseg.apis import inference_model, init_model

    file = checkpoint.with_suffix(".png")
    Image.fromarray(image).save(file)
    return inference_model(init_model(config.filename, str(checkpoint), device="cpu"), str(file))


@pytest.mark.parametrize(
    "preprocessor",
    [{}, {"bgr_to_rgb": False}, {"mean": None, "std": None}],
    ids=["RGB", "BGR", "not normalised"],
)
def test_labels_are_those_of_the_hosts_inference(
    tmp_path: Path, preprocessor: dict[str, Any]
) -> None:
    config, checkpoint = trained(tmp_path, **preprocessor)
    report = export(config.filename, checkpoint, tmp_path / "m.onnx")
    assert report.dynamic
    image = sample_image()
    expected = by_the_host(config, checkpoint, image).pred_sem_seg.data[0].numpy()
    found = run(report.path, image)[0]
    assert found.dtype == np.uint8
    assert len(np.unique(expected)) > 1
    assert (found == expected).mean() > 0.999


def test_scores_are_those_of_the_hosts_inference(tmp_path: Path) -> None:
    config, checkpoint = trained(tmp_path)
    report = export(config.filename, checkpoint, tmp_path / "m.onnx", output="scores")
    image = sample_image()
    logits = by_the_host(config, checkpoint, image).seg_logits.data
    np.testing.assert_allclose(run(report.path, image)[0], logits.softmax(0).numpy(), atol=1e-4)


def test_one_channel_is_exported_with_its_threshold(tmp_path: Path) -> None:
    head = run_head(2, out_channels=1, threshold=0.52)
    head["loss_decode"] = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    config, checkpoint = trained(tmp_path, run_model(head), ("background", "crack"))
    report = export(config.filename, checkpoint, tmp_path / "m.onnx")
    assert report.spec.thresholds == (0.52,)
    image = sample_image()
    expected = by_the_host(config, checkpoint, image).pred_sem_seg.data[0].numpy()
    assert 0 < expected.mean() < 1
    assert (run(report.path, image)[0] == expected).mean() > 0.999


def test_the_file_says_what_its_classes_are(tmp_path: Path) -> None:
    config, checkpoint = trained(tmp_path)
    path = export(config.filename, checkpoint, tmp_path / "m.onnx").path
    told = {p.key: p.value for p in onnx.load(str(path)).metadata_props}
    assert json.loads(told["classes"]) == list(NAMES)
    assert told["output"] == "labels"
    assert told["task"] == "softmax"
    assert len(json.loads(told["palette"])) == 5
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(NAMES)


def test_a_fixed_size_is_kept_to(tmp_path: Path) -> None:
    config, checkpoint = trained(tmp_path)
    report = export(config.filename, checkpoint, tmp_path / "m.onnx", size=(64, 96))
    assert run(report.path, sample_image()).shape == (1, 64, 96)
    with pytest.raises(Exception, match="Got invalid dimensions"):
        run(report.path, sample_image(96, 96))


#: Heads whose way to a label differs; PSP pools to fixed sizes, which a trace cannot leave open.
ZOO = [
    ("pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py", "softmax"),
    ("mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py", "query"),
    pytest.param(
        "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py", "softmax", marks=pytest.mark.slow
    ),
    pytest.param(
        "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py",
        "softmax",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("name", "task"), ZOO)
def test_models_of_the_zoo_are_exported(tmp_path: Path, name: str, task: str) -> None:
    path = zoo_path(f"mmseg::{name}")
    assert path is not None
    config = run_zoo_model(path, 64)
    config.model.test_cfg = {"mode": "whole"}
    config.dump(tmp_path / "config.py")
    model = build(config.model)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "m.pth")
    report = export(tmp_path / "config.py", tmp_path / "m.pth", tmp_path / "m.onnx")
    assert report.spec.task.value == task
    assert len(report.spec.classes) == 19
    assert report.difference <= 1e-3
    assert run(report.path, sample_image(64, 64)).shape == (1, 64, 64)


def test_nothing_is_left_where_no_file_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmseg_fixkit.apis import export as running

    methods = running.EXPORT_METHODS[:1]  # torch.export takes half a minute
    monkeypatch.setattr(running, "EXPORT_METHODS", methods)
    config, checkpoint = trained(tmp_path)
    # Something that no graph can hold: other numbers each time.
    monkeypatch.setattr(
        running.ExportedModel, "_scores", lambda self, logits: logits + torch.rand_like(logits)
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FixkitError, match="no ONNX file could be written"):
        export(config.filename, checkpoint, tmp_path / "m.onnx", output="scores")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output": "masks"}, "one of labels, scores"),
        ({"path": "m.pb"}, "does not end with .onnx"),
        ({"path": "there.onnx"}, "exists already"),
        ({"path": "no/m.onnx"}, "there is no folder"),
        ({"keep_background": True}, "is for multi-label models"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    (tmp_path / "there.onnx").write_bytes(b"mine")
    config, checkpoint = trained(tmp_path)
    path = tmp_path / options.pop("path", "m.onnx")
    with pytest.raises(FixkitError, match=said):
        export(config.filename, checkpoint, path, **options)
    assert (tmp_path / "there.onnx").read_bytes() == b"mine"


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    from click.testing import CliRunner

    config, checkpoint = trained(tmp_path)
    arguments = ["export", config.filename, str(checkpoint), "-o", str(tmp_path / "m.onnx")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "classes soil, weed, crop, stone, sky" in result.output
    assert "(batch, 3, height, width)" in result.output
    assert f"wrote {tmp_path / 'm.onnx'}" in result.output
    again = CliRunner().invoke(app, [*arguments, "--overwrite", "--output-format", "json"])
    assert json.loads(again.stdout)["dynamic"] is True


def multilabel_model(tmp_path: Path) -> tuple[Any, Path]:
    """Return a model of three labels that may overlap, each with a threshold of its own."""
    head = run_head(4, loss_decode={"type": "MultiLabelLoss"})
    kind = {"type": "MultiLabelEncoderDecoder", "threshold": [0.45, 0.5, 0.6]}
    return trained(tmp_path, {**run_model(head), **kind}, ("weed", "crop", "stone"))


def test_labels_that_overlap_are_exported_without_the_background(tmp_path: Path) -> None:
    from mmseg_fixkit.datasets.label_bits import unpack

    config, checkpoint = multilabel_model(tmp_path)
    image = sample_image()
    expected = by_the_host(config, checkpoint, image)
    report = export(config.filename, checkpoint, tmp_path / "m.onnx")
    assert report.spec.classes == ("weed", "crop", "stone")
    assert report.spec.thresholds == (0.45, 0.5, 0.6)
    found = run(report.path, image)[0]
    planes, _ = unpack(expected.pred_sem_seg.data[0].numpy(), 3)
    assert found.shape == planes.shape
    assert (found.sum(0) > 1).any()
    assert (found == planes).mean() > 0.999
    scores = export(config.filename, checkpoint, tmp_path / "s.onnx", output="scores")
    sigmoid = expected.seg_logits.data.sigmoid().numpy()
    np.testing.assert_allclose(run(scores.path, image)[0], sigmoid, atol=1e-4)


def test_the_background_can_be_kept(tmp_path: Path) -> None:
    config, checkpoint = multilabel_model(tmp_path)
    path = tmp_path / "m.onnx"
    report = export(config.filename, checkpoint, path, output="scores", keep_background=True)
    assert report.spec.classes == ("background", "weed", "crop", "stone")
    expected = by_the_host(config, checkpoint, sample_image()).seg_logits.data.sigmoid().numpy()
    found = run(report.path, sample_image())[0]
    assert found.shape[0] == 4
    np.testing.assert_allclose(found[1:], expected, atol=1e-4)


@pytest.mark.parametrize("turns", [False, True])
def test_the_turn_of_the_channels_is_read_in_both_spellings(turns: bool) -> None:
    """MMEngine's preprocessor has it as onedl-mmsegmentation's does."""
    model = build(run_model(run_head(len(NAMES))))
    model.dataset_meta = {"classes": NAMES}
    model.data_preprocessor = ImgDataPreprocessor([0.0] * 3, [1.0] * 3, bgr_to_rgb=turns)
    assert ExportedModel(model, output_spec(model, "labels")).turned == (not turns)


def test_a_preprocessor_that_does_not_say_what_it_does_is_refused() -> None:
    model = build(run_model(run_head(len(NAMES))))
    model.dataset_meta = {"classes": NAMES}
    model.data_preprocessor = BaseDataPreprocessor()
    with pytest.raises(FixkitError, match="BaseDataPreprocessor, the data_preprocessor, has no"):
        ExportedModel(model, output_spec(model, "labels"))


def test_a_head_that_no_trace_can_hold_is_written_at_one_size_with_the_reason(
    tmp_path: Path,
) -> None:
    pooling = run_head(5, type="PSPHead", pool_scales=(1, 2, 3), num_convs=None)
    pooling = {key: value for key, value in pooling.items() if value is not None}
    config, checkpoint = trained(tmp_path, run_model(pooling))
    report = export(config.filename, checkpoint, tmp_path / "m.onnx")
    assert not report.dynamic
    (why,) = report.failed
    assert why.startswith("any size, tracing: the model pools to a fixed grid, so the file needs")
    assert any("does not allow other sizes" in note for note in report.notes)
    assert report.difference <= 1e-3


def test_a_torch_without_torch_export_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmseg_fixkit.apis import export as running

    monkeypatch.setattr(running, "_HAS_EXPORT", False)
    with pytest.raises(FixkitError, match="--size HxW traces the model at one size"):
        running.EXPORT_METHODS[1].options("labels", False)


# The judge


def swapped(module: ExportedModel) -> None:
    module.turned = not module.turned


def not_normalised(module: ExportedModel) -> None:
    module.mean = None


def another_weight(module: ExportedModel) -> None:
    module.model.decode_head.conv_seg.bias.data[0] += 0.1


@pytest.mark.parametrize("output", ["labels", "scores"])
@pytest.mark.parametrize("fault", [swapped, not_normalised, another_weight])
def test_a_module_that_reads_the_model_wrongly_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any, output: str
) -> None:
    config, checkpoint = trained(tmp_path)
    begin = ExportedModel.__init__

    def broken(self: ExportedModel, *args: Any) -> None:
        begin(self, *args)
        fault(self)

    monkeypatch.setattr(ExportedModel, "__init__", broken)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FixkitError, match="does not give what MMSegmentation's inference gives"):
        export(config.filename, checkpoint, tmp_path / "m.onnx", output=output)
    assert sorted(tmp_path.iterdir()) == before


def test_a_swap_shows_where_all_pixels_have_one_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels alone would prove nothing of a model that knows nothing."""
    config, checkpoint = trained(tmp_path)
    saved = torch.load(checkpoint, weights_only=True)
    saved["state_dict"]["decode_head.conv_seg.bias"][2] += 1000
    torch.save(saved, checkpoint)
    found = by_the_host(config, checkpoint, sample_image()).pred_sem_seg.data
    assert found.unique().tolist() == [2]
    begin = ExportedModel.__init__

    def broken(self: ExportedModel, *args: Any) -> None:
        begin(self, *args)
        swapped(self)

    monkeypatch.setattr(ExportedModel, "__init__", broken)
    with pytest.raises(FixkitError, match="scores differ by"):
        export(config.filename, checkpoint, tmp_path / "m.onnx")


def test_another_threshold_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmseg_fixkit.apis import export as running

    monkeypatch.setattr(running, "EXPORT_METHODS", running.EXPORT_METHODS[:1])
    head = run_head(2, out_channels=1, threshold=0.52)
    head["loss_decode"] = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    config, checkpoint = trained(tmp_path, run_model(head), ("background", "crack"))
    read = running.output_spec

    def wrong(*args: Any, **options: Any) -> Any:
        return dataclasses.replace(read(*args, **options), thresholds=(0.3,))

    monkeypatch.setattr(running, "output_spec", wrong)
    with pytest.raises(FixkitError, match="it differs from MMSegmentation's inference by 0"):
        export(config.filename, checkpoint, tmp_path / "m.onnx")


def test_what_the_file_leaves_out_is_told(tmp_path: Path) -> None:
    config, checkpoint = trained(tmp_path)
    config.test_pipeline.insert(1, {"type": "Resize", "scale": (48, 32), "keep_ratio": True})
    config.test_pipeline.insert(2, {"type": "LoadAnnotations"})
    config.dump(config.filename)
    (note,) = export(config.filename, checkpoint, tmp_path / "m.onnx").notes
    assert note.startswith("the test pipeline runs Resize(keep_ratio=True, scale=(48, 32)), but")


def test_a_checkpoint_that_the_host_cannot_read_is_told(tmp_path: Path) -> None:
    config, checkpoint = trained(tmp_path)
    path = tmp_path / "other.pth"
    saved = torch.load(checkpoint, weights_only=True)
    torch.save({"model": saved["state_dict"], "meta": saved["meta"]}, path)
    report = export(config.filename, path, tmp_path / "m.onnx")
    assert any("could not read this checkpoint by itself" in note for note in report.notes)
    assert export(config.filename, checkpoint, tmp_path / "n.onnx").notes == ()


def test_an_inference_that_fails_is_told(tmp_path: Path) -> None:
    config, checkpoint = trained(tmp_path)
    config.test_pipeline[0].imdecode_backend = "none such"
    config.dump(config.filename)
    with pytest.raises(FixkitError, match="own inference fails on an image of 32x32"):
        export(config.filename, checkpoint, tmp_path / "m.onnx")


def test_colours_are_those_of_the_decoder_of_the_config(tmp_path: Path) -> None:
    """One that gives red first is not what the file would turn: refused, not swapped."""
    config, checkpoint = trained(tmp_path)
    config.test_pipeline[0].imdecode_backend = "tifffile"
    config.dump(config.filename)
    with pytest.raises(FixkitError, match="does not give what MMSegmentation's inference gives"):
        export(config.filename, checkpoint, tmp_path / "m.onnx")


def test_what_the_host_logs_is_no_part_of_the_result(tmp_path: Path) -> None:
    """A process of its own: what torch may read is told once."""
    config, checkpoint = trained(tmp_path)
    command = [sys.executable, "-m", "mmseg_fixkit", "export", config.filename, str(checkpoint)]
    more = ["-o", str(tmp_path / "m.onnx"), "--output-format", "json"]
    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["task"] == "softmax"


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_package_that_is_missing_is_named_with_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FixkitError, match=rf"^{package} is needed .*mmseg-fixkit\[export\]'$"):
        need(package)
