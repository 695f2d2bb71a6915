"""Checkpoints between one and several labels a pixel, and between several of other numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from mmseg_fixkit import FixkitError, adapt_state_dict, init_model
from mmseg_fixkit.apis.adapt import adapt_file
from mmseg_fixkit.cli import app
from tests.helpers.multilabel_data import NAMES, config_of, model_config
from tests.helpers.runs import run_head, run_log, run_model, run_runner
from tests.zoo.build import build

WEIGHT, BIAS = "decode_head.conv_seg.weight", "decode_head.conv_seg.bias"
SINGLE = ("background", "blue", "red", "sky")


def several(labels: int = 3) -> Any:
    head = run_head(labels + 1, loss_decode={"type": "MultiLabelLoss"})
    return made(model_config(decode_head=head), seed=labels)


def single(classes: int = len(SINGLE)) -> Any:
    return made(run_model(run_head(classes)), seed=10 + classes)


def made(config: Any, seed: int) -> Any:
    torch.manual_seed(seed)
    model = build(config)
    model.init_weights()
    torch.nn.init.normal_(model.decode_head.conv_seg.weight)
    torch.nn.init.normal_(model.decode_head.conv_seg.bias)
    return model.eval()


@torch.no_grad()
def logits(model: Any) -> Any:
    """Return all channels of the head, the background's too."""
    inputs = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    meta = {"img_shape": (32, 32), "ori_shape": (32, 32), "pad_shape": (32, 32)}
    return model.encode_decode(inputs, [meta])[0]


def test_labels_and_the_background_of_a_single_label_model_are_kept() -> None:
    old, new = single(), several()
    fresh = new.decode_head.conv_seg.weight.detach().clone()
    tensors, report = adapt_state_dict(old.state_dict(), new, SINGLE, NAMES)
    new.load_state_dict(tensors)
    before, after = logits(old), logits(new)
    for name, row in (("background", 0), ("red", 1), ("blue", 3)):
        assert torch.allclose(after[row], before[SINGLE.index(name)], atol=1e-5)
    assert torch.equal(new.decode_head.conv_seg.weight[2], fresh[2])  # green is new
    assert report.plan.kept == ("background", "red", "blue")
    assert report.plan.dropped == ("sky",)


def test_without_a_class_called_background_its_row_starts_anew() -> None:
    new = several()
    fresh = new.decode_head.conv_seg.weight.detach().clone()
    names = ("road", *SINGLE[1:])
    tensors, report = adapt_state_dict(single().state_dict(), new, names, NAMES)
    assert torch.equal(tensors[WEIGHT][0], fresh[0])
    assert report.plan.fresh == ("background", "green")


def test_another_class_can_be_named_as_the_background() -> None:
    names, mapping = ("road", *SINGLE[1:]), {"road": "background"}
    old = single()
    tensors, _ = adapt_state_dict(old.state_dict(), several(), names, NAMES, mapping)
    assert torch.equal(tensors[WEIGHT][0], old.state_dict()[WEIGHT][0])


def test_labels_that_both_have_are_the_same_for_another_number_of_labels() -> None:
    old, new = several(3), several(4)
    tensors, _ = adapt_state_dict(old.state_dict(), new, NAMES, ("sky", "blue", "red", "soil"))
    new.load_state_dict(tensors)
    before, after = logits(old), logits(new)
    for row, kept in ((0, 0), (2, 3), (3, 1)):
        assert torch.allclose(after[row], before[kept], atol=1e-5)


def test_labels_become_classes_again() -> None:
    old = several()
    state = {"state_dict": old.state_dict()}["state_dict"]
    tensors, _ = adapt_state_dict(state, single(), ("background", *NAMES), SINGLE)
    for row, kept in ((0, 0), (1, 3), (2, 1)):
        assert torch.equal(tensors[BIAS][row], old.state_dict()[BIAS][kept])


def test_names_that_are_too_few_are_refused() -> None:
    with pytest.raises(FixkitError, match=r"of the checkpoint has 4 classes, but 2 are named"):
        adapt_state_dict(several().state_dict(), several(), NAMES[:2], NAMES)


# Files


def file_of(path: Path, model: Any, classes: Any, **meta: Any) -> Path:
    named = {"dataset_meta": {"classes": classes}, **meta}
    torch.save({"state_dict": model.state_dict(), "meta": named}, path)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Any:
    return config_of(tmp_path)


def test_a_file_of_classes_is_adapted_to_labels(tmp_path: Path, config: Any) -> None:
    old = file_of(tmp_path / "old.pth", single(), SINGLE, cfg="model = dict(type='EncoderDecoder')")
    arguments = ["adapt", str(old), config.filename, "-o", str(tmp_path / "new.pth")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code in (0, 1), done.output
    found = torch.load(tmp_path / "new.pth", weights_only=False)
    assert found["meta"]["dataset_meta"]["classes"] == list(NAMES)
    assert found["meta"]["dataset_meta"]["multilabel"] is True
    assert torch.equal(found["state_dict"][WEIGHT][1], single().state_dict()[WEIGHT][2])
    # And what was written is known for what it is.
    again = adapt_file(tmp_path / "new.pth", config.filename)
    assert again.report.plan.is_identity
    assert again.report.plan.new == ("background", *NAMES)


def test_a_single_label_file_with_a_name_too_few_stays_refused(tmp_path: Path, config: Any) -> None:
    told = "model = dict(type='EncoderDecoder')"
    old = file_of(tmp_path / "old.pth", single(), SINGLE[1:], cfg=told)
    with pytest.raises(FixkitError, match=r"has 4 classes, but 3 are named"):
        adapt_file(old, config.filename)


def test_inference_names_the_labels(tmp_path: Path, config: Any) -> None:
    model = several()
    path = file_of(tmp_path / "m.pth", model, NAMES, cfg=config.pretty_text)
    built = init_model(config.filename, path)
    assert built.dataset_meta["classes"] == NAMES
    assert torch.allclose(logits(built), logits(model), atol=1e-5)
    some = init_model(config.filename, path, classes=["blue", "red"])
    assert some.dataset_meta["classes"] == ("blue", "red")
    assert torch.allclose(logits(some), logits(model)[[0, 3, 1]], atol=1e-5)
    assert some.num_labels == 2


def test_inference_takes_the_names_of_the_config_where_the_file_has_none(
    tmp_path: Path, config: Any
) -> None:
    torch.save({"state_dict": several().state_dict()}, tmp_path / "m.pth")
    assert init_model(config.filename, tmp_path / "m.pth").dataset_meta["classes"] == NAMES
    torch.save({"state_dict": several(4).state_dict()}, tmp_path / "m.pth")
    with pytest.raises(FixkitError, match=r"has 5 classes but"):
        init_model(config.filename, tmp_path / "m.pth")


def test_labels_that_a_single_label_file_lacks_are_not_guessed(tmp_path: Path, config: Any) -> None:
    path = file_of(tmp_path / "m.pth", single(), SINGLE, cfg="type='EncoderDecoder'")
    with pytest.raises(FixkitError, match=r"was not trained on green"):
        init_model(config.filename, path, classes=NAMES)
    built = init_model(config.filename, path)
    assert built.dataset_meta["classes"] == ("blue", "red", "sky")


# Runs


def test_a_run_starts_from_a_checkpoint_of_classes(tmp_path: Path) -> None:
    hooks = [{"type": "ClassCountHook"}, {"type": "HeadAdaptHook"}]
    old = file_of(tmp_path / "old.pth", single(), SINGLE, cfg="type='EncoderDecoder'")
    config = config_of(tmp_path, hooks=hooks, load_from=str(old), iters=1)
    config.optim_wrapper.optimizer.lr = 0.0
    runner = run_runner(config)
    runner.train()
    log = run_log(runner)
    assert "2 are kept by class name" in log
    assert "acc_seg" not in log
    weight = runner.model.decode_head.conv_seg.weight
    assert torch.equal(weight[1], single().state_dict()[WEIGHT][2])


def test_the_guard_asks_for_a_channel_more(tmp_path: Path) -> None:
    from mmseg_fixkit.core.errors import ClassCountError

    head = run_head(3, loss_decode={"type": "MultiLabelLoss", "class_weight": [1.0, 2.0]})
    model = model_config(decode_head=head)
    config = config_of(tmp_path, hooks=[{"type": "ClassCountHook"}], model=model)
    with pytest.raises(ClassCountError) as caught:
        run_runner(config).train()
    text = str(caught.value)
    assert "MSF601" in text
    assert "3 labels, which need 4 channels" in text
    assert "MSF607" in text
    three = run_head(3, loss_decode={"type": "MultiLabelLoss", "class_weight": [1.0] * 6})
    config = config_of(
        tmp_path, hooks=[{"type": "ClassCountHook"}], model=model_config(decode_head=three)
    )
    with pytest.raises(ClassCountError) as caught:
        run_runner(config).train()
    assert "3 weights, or 4 with that of the background first" in str(caught.value)


def test_the_guard_repairs_the_channels(tmp_path: Path) -> None:
    head = run_head(3, loss_decode={"type": "MultiLabelLoss"})
    model = model_config(decode_head=head, threshold=[0.4, 0.6])
    hooks = [{"type": "ClassCountHook", "action": "fix"}]
    runner = run_runner(config_of(tmp_path, hooks=hooks, model=model))
    runner.train()
    assert runner.model.decode_head.conv_seg.weight.size(0) == 4
    assert runner.model.threshold == [0.5, 0.5, 0.5]
    assert runner.val()["mIoU"] >= 0
