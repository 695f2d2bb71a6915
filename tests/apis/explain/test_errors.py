"""The errors that torch, MMEngine and MMSegmentation really raise are explained."""

from __future__ import annotations

import importlib.util
import io
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest

from mmseg_fixkit import explain
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_log,
    run_model,
    run_names,
    run_runner,
)

pytest.importorskip("mmseg.models")

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from mmseg.evaluation import IoUMetric
from mmseg.models import losses
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import DATASETS
from mmseg.structures import OHEMPixelSampler
from mmseg.utils import register_all_modules
from torch.utils.data import DataLoader

from mmseg_fixkit.transforms.assert_label_bounds import AssertLabelBounds

LOGITS = torch.randn(2, 3, 8, 8)


def labels(*values: int, shape: tuple[int, ...] = (2, 8, 8)) -> Any:
    found = torch.zeros(shape, dtype=torch.long)
    for index, value in enumerate(values):
        found[0, 0, index] = value
    return found


def loss(**options: Any) -> Callable[[Any], Any]:
    built = losses.CrossEntropyLoss(**options)
    return lambda label: built(LOGITS, label, ignore_index=255)


def head(**options: Any) -> Any:
    return FCNHead(**{"in_channels": 4, "channels": 4, "num_convs": 1, "num_classes": 3, **options})


def sampler(logits: Any, label: Any) -> Any:
    context = type("Context", (), {"ignore_index": 255})
    return OHEMPixelSampler(context, thresh=0.7, min_kept=10).sample(logits, label.unsqueeze(1))


def dataset(root: Path, **options: Any) -> Any:
    register_all_modules()
    config = run_dataset_config(run_dataset(root / "data", 3), ("a", "b", "c"))
    return DATASETS.build({**config, **options})


def config_of(root: Path, base: str, child: str) -> Any:
    (root / "base.py").write_text(base)
    (root / "child.py").write_text(child)
    return Config.fromfile(str(root / "child.py"))


def optimizer(*groups: Any) -> Any:
    return torch.optim.SGD([{"params": list(group)} for group in groups], 0.1)


def metric(gt: Any, prediction: Any, **meta: Any) -> None:
    built = IoUMetric()
    built.dataset_meta = meta
    sample = {"pred_sem_seg": {"data": prediction}}
    built.process({}, [{**sample, **({} if gt is None else {"gt_sem_seg": {"data": gt}})}])


def saved(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def fcn(classes: int) -> dict[str, Any]:
    return head(num_classes=classes).state_dict()


def guarded(values: Any) -> Any:
    guard = AssertLabelBounds(num_classes=3)
    return guard.transform({"gt_seg_map": values, "seg_map_path": "data/ann/a.png"})


#: What is done -> the entry that explains its error, and numbers that it takes out of the text.
TORCH: tuple[tuple[str, Callable[[], Any], str, dict[str, Any]], ...] = (
    ("a label too large", lambda: loss()(labels(15)), "label-out-of-range", {"value": 15}),
    (
        "a negative label",
        lambda: F.cross_entropy(LOGITS, labels(-1)),
        "label-out-of-range",
        {"value": -1},
    ),
    (
        "255 that is not ignored",
        lambda: F.cross_entropy(LOGITS, labels(255)),
        "label-255-not-ignored",
        {"value": 255},
    ),
    (
        "weights of another length",
        lambda: loss(class_weight=[1.0] * 19)(labels(1)),
        "class-weight-length",
        {},
    ),
    (
        "a sigmoid loss and a label too large",
        lambda: loss(use_sigmoid=True)(labels(15)),
        "gather-out-of-bounds",
        {"value": 15, "classes": 3},
    ),
    (
        "a sigmoid loss and a list of weights",
        lambda: loss(use_sigmoid=True, class_weight=[1.0] * 3)(labels(1)),
        "class-weight-with-sigmoid",
        {"classes": 3, "width": 8},
    ),
    (
        "one channel and three classes",
        lambda: losses.CrossEntropyLoss(use_sigmoid=True)(LOGITS[:, :1], labels(2)),
        "one-channel-labels",
        {},
    ),
    (
        "colour labels",
        lambda: loss()(labels(1, shape=(2, 8, 8, 3))),
        "label-has-channels",
        {"dims": 4},
    ),
    (
        "labels of another size",
        lambda: F.cross_entropy(LOGITS, labels(shape=(2, 4, 4))),
        "label-size-differs",
        {},
    ),
    ("labels of whole bytes", lambda: loss()(labels(1).to(torch.int32)), "label-type", {}),
    ("labels that are floats", lambda: F.cross_entropy(LOGITS, labels().float()), "label-type", {}),
    ("a focal loss", lambda: losses.FocalLoss()(LOGITS, labels(15)), "label-one-hot", {}),
    ("one_hot of -1", lambda: F.one_hot(torch.tensor([-1]), 3), "label-one-hot", {}),
    (
        "Lovasz on one channel",
        lambda: losses.LovaszLoss(reduction="none")(LOGITS[:, :1], labels(1)),
        "one-channel-loss",
        {},
    ),
    (
        "a focal loss with weights in a tuple",
        lambda: losses.FocalLoss(class_weight=(1.0, 2.0)),
        "class-weight-form",
        {},
    ),
    (
        "OHEM and a label too large",
        lambda: sampler(LOGITS, labels(15)),
        "gather-out-of-bounds",
        {"value": 15, "classes": 3},
    ),
    (
        "OHEM on one channel",
        lambda: sampler(LOGITS[:, :1], labels(1)),
        "one-channel-sampler",
        {"value": 1, "channels": 1},
    ),
    (
        "query weights without 'no object'",
        lambda: torch.ones(3)[torch.tensor([0, 3])],
        "class-weight-without-no-object",
        {"size": 3},
    ),
    (
        "weights looked up by a label too large",
        lambda: torch.ones(4)[torch.tensor([7])],
        "label-above-table",
        {"value": 7, "size": 4},
    ),
    (
        "a batch of several sizes",
        lambda: torch.stack([torch.zeros(1, 6, 3), torch.zeros(1, 5, 5)]),
        "label-size-differs",
        {"first": "1, 6, 3", "second": "1, 5, 5"},
    ),
    (
        "odd sizes",
        lambda: torch.zeros(1, 3, 43, 86) + torch.zeros(1, 3, 43, 85),
        "input-not-divisible",
        {"a": 86, "b": 85},
    ),
    (
        "batch norm of one value",
        lambda: torch.nn.BatchNorm2d(3).train()(torch.zeros(1, 3, 1, 1)),
        "batch-of-one",
        {"shape": "1, 3, 1, 1"},
    ),
    (
        "three channels without a name",
        lambda: head(out_channels=2),
        "out-channels",
        {"channels": 2, "classes": 3},
    ),
    ("no class count", lambda: FCNHead(in_channels=4, channels=4), "argument-missing", {}),
    (
        "a strict load of other classes",
        lambda: head().load_state_dict(fcn(19)),
        "checkpoint-strict",
        {},
    ),
    ("a strict load of nothing", lambda: head().load_state_dict({}), "checkpoint-keys-missing", {}),
    (
        "an optimizer of another head",
        lambda: optimizer(head(num_convs=2).parameters()).load_state_dict(
            optimizer(head().parameters()).state_dict()
        ),
        "resume-optimizer",
        {},
    ),
    (
        "an optimizer of other groups",
        lambda: optimizer(head().parameters(), []).load_state_dict(
            optimizer(head().parameters()).state_dict()
        ),
        "resume-optimizer",
        {},
    ),
    (
        "a metric and a label of another size",
        lambda: metric(labels(shape=(1, 5, 4)), labels(shape=(1, 4, 4)), classes=("a", "b")),
        "label-resized-in-validation",
        {"mask": "5, 4", "tensor": "4, 4"},
    ),
    (
        "a metric without names",
        lambda: metric(labels(shape=(1, 4, 4)), labels(shape=(1, 4, 4))),
        "classes-missing",
        {"key": "classes"},
    ),
    (
        "a metric without labels",
        lambda: metric(None, labels(shape=(1, 4, 4)), classes=("a", "b")),
        "labels-not-loaded",
        {"key": "gt_sem_seg"},
    ),
    ("no samples", lambda: DataLoader([], shuffle=True), "no-files", {}),
    (
        "a guarded label too large",
        lambda: guarded(np.array([[0, 8]])),
        "label-out-of-range",
        {"file": "data/ann/a.png", "value": 8, "classes": 3},
    ),
    (
        "a guarded colour mask",
        lambda: guarded(np.zeros((4, 4, 3), np.uint8)),
        "label-has-channels",
        {"file": "data/ann/a.png", "shape": "4, 4, 3"},
    ),
    (
        "guarded labels between the classes",
        lambda: guarded(np.array([[0.5]])),
        "label-not-whole",
        {"file": "data/ann/a.png"},
    ),
    (
        "a web page as a checkpoint",
        lambda: torch.load(io.BytesIO(b"<html>")),
        "checkpoint-no-checkpoint",
        {},
    ),
    ("an empty checkpoint", lambda: torch.load(io.BytesIO()), "checkpoint-broken", {}),
    (
        "a checkpoint cut short",
        lambda: torch.load(io.BytesIO(saved({"a": torch.zeros(999)}).getvalue()[:900])),
        "checkpoint-broken",
        {},
    ),
    (
        "a missing checkpoint",
        lambda: load_checkpoint(head(), "nowhere/none.pth"),
        "checkpoint-absent",
        {"checkpoint": "nowhere/none.pth"},
    ),
)

#: Likewise, in a folder.
HOST: tuple[tuple[str, Callable[[Path], Any], str, dict[str, Any]], ...] = (
    (
        "classes in one text",
        lambda root: dataset(root, metainfo={"classes": "water", "palette": [[0, 255, 255]]}),
        "classes-one-text",
        {"name": "water"},
    ),
    (
        "too few colours",
        lambda root: dataset(root, metainfo={"classes": ("a", "b"), "palette": [[0, 0, 0]]}),
        "palette-length",
        {},
    ),
    (
        "foreign classes",
        lambda root: dataset(root, type="CityscapesDataset", metainfo={"classes": ("a", "sky b")}),
        "foreign-classes",
        {"new": "('a', 'sky b')"},
    ),
    ("another suffix", lambda root: dataset(root, img_suffix=".jpg"), "no-files", {}),
    (
        "another folder",
        lambda root: dataset(root, data_root="nowhere"),
        "file-absent",
        {"file": "nowhere/img"},
    ),
    ("no label file", lambda root: dataset(root, seg_map_suffix="_x.png")[0], "file-absent", {}),
    (
        "an unknown dataset",
        lambda root: dataset(root, type="FarmDataset"),
        "not-registered",
        {"name": "FarmDataset", "scope": "mmseg", "registry": "dataset"},
    ),
    (
        "classes beside metainfo",
        lambda root: dataset(root, classes=("a",)),
        "argument-unknown",
        {"name": "classes"},
    ),
    (
        "two flags for label 0",
        lambda root: LoadAnnotations(reduce_zero_label=True).transform(
            {
                "seg_map_path": str(run_dataset(root / "data", 3) / "ann" / "00.png"),
                "reduce_zero_label": False,
                "label_map": None,
                "seg_fields": [],
            }
        ),
        "reduce-zero-label-twice",
        {"dataset": "False", "loading": "True"},
    ),
    (
        "a dict over a list",
        lambda root: config_of(
            root,
            "model = dict(auxiliary_head=[dict(num_classes=19)])",
            "_base_ = 'base.py'\nmodel = dict(auxiliary_head=dict(num_classes=2))",
        ),
        "list-head-inherited",
        {"key": "auxiliary_head", "type": "list"},
    ),
    (
        "one line of a tutorial on a list",
        lambda root: setattr(
            Config({"model": {"decode_head": [{}]}}).model.decode_head, "num_classes", 8
        ),
        "list-head-in-python",
        {"type": "list"},
    ),
    (
        "two styles",
        lambda root: config_of(
            root,
            "from mmengine.config import read_base\nwith read_base():\n    pass\nx = 1",
            "_base_ = 'base.py'\ny = 1",
        ),
        "config-styles-mixed",
        {},
    ),
    (
        "a missing module",
        lambda root: config_of(root, "", "custom_imports = dict(imports=['no_such_module'])"),
        "custom-imports-failed",
        {"modules": "'no_such_module'"},
    ),
    (
        "a checkpoint of MMEngine",
        lambda root: torch.load(saved({"log": HistoryBuffer()})),
        "checkpoint-weights-only",
        {},
    ),
)


def traceback_of(action: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the point
        action()
    error = caught.value
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def check(text: str, entry: str, values: dict[str, Any]) -> None:
    found = {each.id: each for each in explain(text)}
    assert entry in found, text
    assert {key: found[entry].values.get(key) for key in values} == values


@pytest.mark.parametrize(("what", "action", "entry", "values"), TORCH, ids=[c[0] for c in TORCH])
def test_the_error_is_explained_of(
    what: str, action: Callable[[], Any], entry: str, values: dict[str, Any]
) -> None:
    check(traceback_of(action), entry, values)


@pytest.mark.parametrize(("what", "action", "entry", "values"), HOST, ids=[c[0] for c in HOST])
def test_the_error_of_the_host_is_explained_of(
    what: str, action: Callable[[Path], Any], entry: str, values: dict[str, Any], tmp_path: Path
) -> None:
    check(traceback_of(lambda: action(tmp_path)), entry, values)


def test_weights_and_ignored_pixels_are_explained_where_the_host_fails() -> None:
    if importlib.util.find_spec("mmdet") is None:
        pytest.skip("the maintained fork repaired it")
    text = traceback_of(lambda: loss(class_weight=[1.0] * 3)(labels(255)))
    check(text, "class-weight-and-ignored-pixels", {"value": 255, "size": 3})


def test_warnings_of_the_host_are_explained() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image, label = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)
        PackSegInputs()({"img": image, "gt_seg_map": label})
        head(num_classes=2, out_channels=1)
    text = "\n".join(
        warnings.formatwarning(w.message, w.category, w.filename, w.lineno) for w in caught
    )
    found = [each.id for each in explain(text)]
    assert found == ["label-has-channels", "one-channel-advice"]


def write_pairs(root: Path, second: int, images: int) -> Path:
    """Write images whose brightness is their label, 0 or ``second``: soon learned."""
    from PIL import Image

    for folder in ("img", "ann"):
        (root / folder).mkdir(parents=True)
    for index in range(images):
        label = np.full((32, 32), index % 2 * second, np.uint8)
        picture = np.repeat((label[..., None] > 0) * 200 + 20, 3, axis=2).astype(np.uint8)
        Image.fromarray(picture).save(root / "img" / f"{index:02}.png")
        Image.fromarray(label).save(root / "ann" / f"{index:02}.png")
    return root


def trained(root: Path, classes: int, iters: int, **options: Any) -> Any:
    second = 1 if classes > 1 else 255
    data = run_dataset_config(write_pairs(root / "data", second, 2 * iters), run_names(classes))
    runner = run_runner(
        run_config(root / "run", run_model(run_head(classes)), data, data, iters=iters, **options)
    )
    runner.train()
    return runner


def test_the_log_of_a_sound_training_has_nothing_to_explain(tmp_path: Path) -> None:
    loop = {"type": "IterBasedTrainLoop", "max_iters": 60, "val_interval": 60}
    optimizer = {"type": "OptimWrapper", "optimizer": {"type": "Adam", "lr": 0.01}}
    log = run_log(trained(tmp_path, 2, 60, train_cfg=loop, optim_wrapper=optimizer))
    assert "loss:" in log
    assert "| class_0 |" in log
    assert [e.id for e in explain(log)] == []


def test_a_checkpoint_of_other_classes_is_explained_in_the_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = trained(tmp_path / "old", 3, 1)
    torch.save({"state_dict": old.model.state_dict()}, tmp_path / "old.pth")
    capfd.readouterr()
    trained(tmp_path / "new", 2, 1, load_from=str(tmp_path / "old.pth"))
    log = "".join(capfd.readouterr())  # MMEngine prints it beside its log
    found = explain(log)
    assert [e.id for e in found][:2] == ["checkpoint-other-classes", "checkpoint-header"]
    assert (found[0].values["old"], found[0].values["new"]) == (3, 2)
    assert found[0].values["layer"] == ["decode_head.conv_seg.weight", "decode_head.conv_seg.bias"]
    assert found[1].consequence_of == "checkpoint-other-classes"


def test_a_loss_of_zero_and_its_table_are_explained(tmp_path: Path) -> None:
    """One channel and softmax: the fault that issue threads call "my loss is 0.0000"."""
    loop = {"type": "IterBasedTrainLoop", "max_iters": 1, "val_interval": 1}
    log = run_log(trained(tmp_path, 1, 1, train_cfg=loop))
    assert "loss: 0.0000" in log
    assert "loss-zero" in [e.id for e in explain(log)]
