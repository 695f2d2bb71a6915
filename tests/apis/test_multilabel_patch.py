"""``patch --multilabel``: from ordinary configs of the zoo to models of labels that overlap."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from mmengine.config import Config, ConfigDict

from mmseg_fixkit import FixkitError, LabelSpace, check, patch
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.host import type_name
from mmseg_fixkit.config.multilabel import CLASS_LOSSES
from mmseg_fixkit.config.tree import walk
from tests.config.test_lazy_import import CONFIG, DATA, MODEL
from tests.helpers.multilabel_data import write_data
from tests.helpers.multilabel_heads import losses_of, predictions_of
from tests.helpers.runs import (
    run_config,
    run_dataset_config,
    run_head,
    run_log,
    run_model,
    run_portable,
    run_runner,
    skip_unless_installed,
)
from tests.zoo.build import build
from tests.zoo.configs import ROOT, method_of, one_of_each_method
from tests.zoo.multilabel import NAMES, REFUSED, try_one
from tests.zoo.train import STEPS, Step, _initialise, _small

METHODS = {**one_of_each_method(), "vpd": next((ROOT / "vpd").glob("*.py"), ROOT)}
LABELS = tuple("abcde")  # as many as tests.helpers.multilabel_heads makes
PSPNET = ROOT / "pspnet" / "pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"


@pytest.fixture(autouse=True)
def _metafiles_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import cache

    from mmengine.config import utils
    from mmengine.fileio import load

    monkeypatch.setattr(utils, "load", cache(load))


# The zoo: all of it with `python -m tests.zoo.multilabel`


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_patched_or_refused(method: str) -> None:
    outcome = try_one(METHODS[method].relative_to(ROOT).as_posix())
    assert outcome.problems == []
    if method in REFUSED:
        assert REFUSED[method] in outcome.reason
        assert method == "vpd" or "take a per-pixel head" in outcome.reason
    else:
        assert outcome.reason == ""


def steps() -> list[Any]:
    quick = {"pspnet", "ocrnet", "bisenetv2", "stdc", "pidnet", "ddrnet", "segformer", "fastscnn"}
    found = []
    for step in STEPS:
        method = method_of(step.config)
        if method not in REFUSED:
            marks = () if method in quick else pytest.mark.slow
            found.append(pytest.param(step, id=step.config.rpartition("/")[2], marks=marks))
    return found


@pytest.mark.parametrize("step", steps())
def test_a_patched_model_trains_and_predicts(step: Step) -> None:
    torch.set_num_threads(1)
    skip_unless_installed(method_of(step.config))
    patched = patch(ROOT / step.config, LABELS, multilabel=True).config
    model = build(_small(run_portable(patched, step.size)).model)
    _initialise(model)
    total, logged = losses_of(model.train(), step.size)
    total.backward()
    assert total.isfinite()
    assert not [name for name in logged if "acc" in name]
    for result in predictions_of(model, step.size):
        assert result.seg_logits.data.shape == (len(LABELS), step.size, step.size)


def test_no_loss_on_class_numbers_is_left_and_stdcs_edges_are() -> None:
    stdc = next(step.config for step in STEPS if method_of(step.config) == "stdc")
    model = patch(ROOT / stdc, NAMES, multilabel=True).config.model.to_dict()
    boundary = [h for h in model["auxiliary_head"] if h["type"] == "STDCHead"]
    before = Config.fromfile(str(ROOT / stdc)).model.to_dict()
    assert boundary == [h for h in before["auxiliary_head"] if h["type"] == "STDCHead"]
    others = [h for h in [model["decode_head"], *model["auxiliary_head"]] if h not in boundary]
    assert {h["num_classes"] for h in others} == {len(NAMES) + 1}
    kinds = {v for h in others for k, v in walk(h) if k and k[-1] == "type" and "Loss" in v}
    assert kinds == {"MultiLabelLoss"}


def test_places_and_numbers_of_losses_stay() -> None:
    pidnet = next(step.config for step in STEPS if method_of(step.config) == "pidnet")
    planned = patch(ROOT / pidnet, NAMES, multilabel=True)
    losses = planned.config.model.decode_head.loss_decode
    assert [loss.type for loss in losses] == [
        "MultiLabelLoss",
        "MultiLabelLoss",
        "BoundaryLoss",
        "MultiLabelLoss",
    ]
    assert [loss.loss_weight for loss in losses] == [0.4, 1.0, 20.0, 1.0]


def test_a_sampler_is_removed_with_a_note() -> None:
    ohem = ROOT / "ocrnet" / "ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py"
    head = Config.fromfile(str(ohem)).model.decode_head
    tree = Config.fromfile(str(ohem))
    tree.model.decode_head[1].sampler = dict(type="OHEMPixelSampler", thresh=0.7, min_kept=100)
    planned = patch(tree, NAMES, multilabel=True)
    assert len(head) == 2
    assert "sampler" not in planned.config.model.decode_head[1]
    assert any("sampler is removed" in note for note in planned.notes)


# Asked for in every way


def test_a_label_space_says_it_too() -> None:
    said = patch(PSPNET, LabelSpace(NAMES, multilabel=True))
    assert said.plan.edits == patch(PSPNET, NAMES, multilabel=True).plan.edits


def test_the_classes_of_the_config_may_be_the_labels() -> None:
    planned = patch(PSPNET, multilabel=True, label_format="planes")
    assert planned.config.model.decode_head.num_classes == 20
    assert planned.config.train_dataloader.dataset.type == "CityscapesDataset"


@pytest.mark.parametrize("mode", ["overlay", "flat", "in-place"])
def test_new_style_configs_import_what_they_name(mode: str, tmp_path: Path) -> None:
    for name, text in (("bases/model", MODEL), ("bases/data", DATA), ("mine/psp", CONFIG)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text(text)
    config = tmp_path / "mine" / "psp.py"
    planned = patch(config, NAMES, multilabel=True)
    if mode == "in-place":
        planned.write_in_place()
    else:
        planned.write(config.with_name("out.py"), mode)
        config = config.with_name("out.py")
    assert "from mmseg_fixkit.models.segmentors import" in config.read_text()
    model = build(run_portable(Config.fromfile(str(config))).model)
    assert type(model).__name__ == "MultiLabelEncoderDecoder"
    assert type(model.decode_head.loss_decode).__name__ == "MultiLabelLoss"
    assert patch(config, NAMES, multilabel=True).plan.empty


def test_the_change_is_too_large_for_options_of_training() -> None:
    planned = patch(PSPNET, NAMES, multilabel=True, guards=False)
    with pytest.raises(FixkitError, match=r"--cfg-options cannot say .*; write a file instead"):
        planned.cfg_options()


def test_a_config_is_changed_in_place(tmp_path: Path) -> None:
    file = tmp_path / "cfg.py"
    file.write_text(
        "# Mine.\nmodel = dict(\n    type='EncoderDecoder',  # one class a pixel\n    decode_head="
        "dict(\n        type='FCNHead', in_channels=8, channels=8, num_classes=19))\n"
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict("
        "classes=('a', 'b'))))\n"
    )
    patch(file, NAMES, multilabel=True).write_in_place()
    text = file.read_text()
    assert text.startswith("# Mine.\nmodel = dict(\n    type='MultiLabelEncoderDecoder',  # one")
    assert patch(file, NAMES, multilabel=True).plan.empty


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"label_format": "bits"}),
        (
            {"label_format": "planes", "label_values": 255},
            {"label_format": "planes", "values": 255},
        ),
        (
            {"label_format": "files", "file_pattern": "{label}/{stem}.png"},
            {"label_format": "files", "file_pattern": "{label}/{stem}.png"},
        ),
        (
            {"label_format": "coco", "label_file": "ann/{split}.json", "data_root": "data/x"},
            {"label_format": "coco", "ann_file": "data/x/ann/train.json"},
        ),
    ],
)
def test_label_files_are_read_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, expected: Any
) -> None:
    (tmp_path / "data/x").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    planned = patch(PSPNET, NAMES, multilabel=True, **options)
    step = planned.config.train_dataloader.dataset.pipeline[1]
    assert step == {"type": "LoadMultiLabelAnnotations", "labels": NAMES, **expected}
    again = patch(planned.config, NAMES, multilabel=True, **options)
    assert again.plan.empty


def test_another_format_is_set_in_all_splits() -> None:
    first = patch(PSPNET, NAMES, multilabel=True).config
    second = patch(first, label_format="planes").config
    for split in ("train", "val", "test"):
        steps = second[f"{split}_dataloader"].dataset.pipeline
        (load,) = [s for s in steps if s.type == "LoadMultiLabelAnnotations"]
        assert load.label_format == "planes"
    assert check(second).diagnostics == ()


def test_other_labels_and_weights_by_name() -> None:
    first = patch(PSPNET, NAMES, multilabel=True, class_weight=[1.0, 2.0, 3.0]).config
    assert first.model.decode_head.loss_decode.class_weight == [1.0, 2.0, 3.0]
    first.model.threshold = [0.4, 0.5, 0.6]
    second = patch(first, NAMES[::-1][:2])
    assert second.labels.multilabel
    assert second.config.model.decode_head.num_classes == 3
    assert second.config.model.decode_head.loss_decode.class_weight == [3.0, 2.0]
    assert second.config.model.threshold == 0.5
    assert (
        patch(first, class_weight="none").config.model.decode_head.loss_decode.class_weight is None
    )


# What cannot be


def config_with(**model: Any) -> Config:
    head = dict(type="FCNHead", in_channels=8, channels=8, num_classes=2)
    tree = dict(type="EncoderDecoder", decode_head=head)
    data = dict(dataset=dict(type="BaseSegDataset", pipeline=[dict(type="LoadAnnotations")]))
    return Config(dict(model={**tree, **model}, train_dataloader=data))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"binary": "sigmoid"}, "--binary is for single-label maps of two classes"),
        ({"ignore_index": 0}, "--ignore-index is 0, but ignored pixels"),
        ({"reduce_zero_label": True}, "--reduce-zero-label is for class indices"),
        ({"labels": ["background", "cat"]}, "'background' is given as a label, but"),
        ({"labels": 31}, "31 labels are given, but a label map has bits for 1 to 30"),
        ({"labels": 16}, "there are 16 labels, but a grey PNG of 16 bit has bits for 15"),
        ({"label_format": "coco"}, "--label-format coco needs --label-file"),
        ({"file_pattern": "{stem}.png"}, "--file-pattern is for --label-format files"),
        ({"label_values": 255}, "--label-values is for planes and files"),
        ({"label_format": "planes", "label_values": 2}, "--label-values is 2, but"),
        ({"class_weight": "1,2,3,4,5"}, "5 weights are given; where labels may overlap"),
        ({"class_weight": "enet"}, "'enet' is not a number"),
        ({"multilabel": False, "label_format": "bits"}, "give --multilabel too"),
    ],
)
def test_what_does_not_go_together_is_refused(options: Any, said: str) -> None:
    given = {"labels": ["cat", "dog"], "multilabel": True, **options}
    with pytest.raises(FixkitError) as caught:
        patch(config_with(), **given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            {"type": "MySegmentor"},
            "is 'MySegmentor', but only EncoderDecoder and CascadeEncoderDecoder",
        ),
        (
            {
                "decode_head": dict(
                    type="FCNHead", num_classes=2, loss_decode=dict(type="KLDivLoss")
                )
            },
            "is KLDivLoss, and no term of MultiLabelLoss learns the same",
        ),
        ({"decode_head": dict(type="EncHead", num_classes=2)}, "EncHead counts which classes"),
    ],
)
def test_a_model_that_cannot_is_refused_with_the_reason(model: Any, said: str) -> None:
    with pytest.raises(FixkitError) as caught:
        patch(config_with(**model), ["cat", "dog"], multilabel=True)
    assert said in str(caught.value)


def test_nothing_is_written_where_a_head_cannot(tmp_path: Path) -> None:
    config = next(s.config for s in STEPS if method_of(s.config) == "mask2former")
    arguments = ["patch", f"mmseg::{config}", "--multilabel", "--classes", "a,b"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "out.py")])
    assert isinstance(done.exception, FixkitError)
    assert "Mask2FormerHead gives each query one class" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_known_stays_with_a_note() -> None:
    own = dict(type="FCNHead", num_classes=2, loss_decode=dict(type="MyLoss"))
    planned = patch(config_with(decode_head=own), ["cat", "dog"], multilabel=True)
    assert planned.config.model.decode_head.loss_decode.type == "MyLoss"
    assert any("MyLoss, which is not known here" in note for note in planned.notes)


def test_the_table_of_losses_is_the_hosts() -> None:
    from mmseg.models import losses
    from mmseg.registry import MODELS

    from mmseg_fixkit import runtime  # noqa: F401  registers OneChannelLoss

    exported = {name for name, loss in vars(losses).items() if isinstance(loss, type)}
    assert exported - set(CLASS_LOSSES) == {"Accuracy", "BoundaryLoss", "SiLogLoss"}
    # The host has the module of KLDivLoss, but does not import it.
    assert {name for name in CLASS_LOSSES if MODELS.get(name) is None} <= {"KLDivLoss"}


# What is left over, mixed at random from a right config


def test_every_leftover_is_found_and_mended() -> None:
    right = patch(PSPNET, NAMES, multilabel=True).config
    wrong = Config.fromfile(str(PSPNET))
    assert check(right).diagnostics == ()
    keys = ["model.type", "model.decode_head", "model.auxiliary_head.loss_decode", "val_evaluator"]
    keys += ["visualizer", "tta_model", "val_dataloader.dataset.pipeline", "tta_pipeline"]
    for key in keys:
        mixed = copy.deepcopy(right)
        value = wrong
        for part in key.split("."):
            value = value[part]
        mixed.merge_from_dict({key: value}) if not isinstance(value, ConfigDict) else put(
            mixed, key, value
        )
        found = check(mixed).diagnostics
        assert found, key
        assert all(d.code.startswith("MSF6") and d.fixable for d in found), (key, found)
        assert check(patch(mixed, NAMES, multilabel=True).config).diagnostics == ()


def put(config: Any, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        config = config[part]
    config[last] = copy.deepcopy(value)


# A whole run


def test_a_patched_config_trains_from_real_files(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data")
    model = run_model(run_head(5), run_head(5, in_channels=32, in_index=2))
    data = run_dataset_config(root, tuple("vwxyz"))
    config = run_config(tmp_path / "run", model, data, data, iters=2)
    out = tmp_path / "run" / "patched.py"
    arguments = ["patch", config.filename, "--multilabel", "--classes", "red,green,blue"]
    done = CliRunner().invoke(app, [*arguments, "-o", str(out)])
    assert done.exit_code == 0, done.output
    runner = run_runner(Config.fromfile(str(out)))
    runner.train()
    found = runner.val()
    log = run_log(runner)
    assert set(found) >= {"mIoU", "mDice", "mPrecision", "mRecall"}
    assert "decode.loss_multilabel" in log
    assert "aux.loss_multilabel" in log
    assert "acc_seg" not in log
    hooks = [type(hook).__name__ for hook in runner.hooks]
    assert {"ClassCountHook", "HeadAdaptHook"} <= set(hooks)
    assert type_name(runner.cfg.model.type) == "MultiLabelEncoderDecoder"


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    from PIL import Image

    root = write_data(tmp_path / "data", images=2)
    Image.new("L", (32, 32), 64).save(root / "ann" / "01.png")
    model = run_model(run_head(3))
    config = run_config(tmp_path / "run", model, run_dataset_config(root, ("x", "y")))
    planned = patch(config.filename, ["red", "green", "blue"], multilabel=True)
    with pytest.raises(Exception, match=r"ann/01.png holds 64 \(1,024 pixels\), but 3 labels have"):
        run_runner(planned.config).train()


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    out = tmp_path / "out.py"
    done = CliRunner().invoke(
        app,
        ["patch", str(PSPNET), "--multilabel", "--classes", "a,b", "--label-format", "planes",
         "-o", str(out)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "2 labels, so 3 channels: channel 0 is the background" in done.output
    assert "MSF603 multilabel-loss" in done.output
    assert CliRunner().invoke(app, ["check", str(out)]).exit_code == 0
