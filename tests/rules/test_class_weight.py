"""Class weights in files and in odd forms: what is said of them is what the host's losses do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
import yaml
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from mmseg_fixkit import check, patch
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.weights_file import read_weights
from mmseg_fixkit.core.diagnostics import Report, Severity
from mmseg_fixkit.rules.loss_weights import no_object_weight

register_all_modules(init_default_scope=False)

NAMES = ("road", "car", "sky")
#: What ``LovaszLoss`` needs beside its weights.
LOVASZ = {"type": "LovaszLoss", "reduction": "none"}


def config(loss: Any, count: int = 3, head: Optional[dict[str, Any]] = None) -> dict[str, Any]:
    decode_head = {"type": "FCNHead", "in_channels": 8, "channels": 8, "num_classes": count}
    if loss is not None:  # query heads have no such loss
        decode_head["loss_decode"] = loss
    return {
        "model": {
            "type": "EncoderDecoder",
            "decode_head": {**decode_head, **(head or {})},
        },
        "train_dataloader": {
            "dataset": {"type": "BaseSegDataset", "metainfo": {"classes": list(NAMES[:count])}}
        },
    }


def written(folder: Path, loss: Any, **options: Any) -> Path:
    path = folder / "config.py"
    tree = config(loss, **options)
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in tree.items()))
    return path


def codes(report: Report) -> list[str]:
    return [d.code for d in report.diagnostics]


def loss_of(loss: dict[str, Any], *, ignored: bool = True) -> float:
    """Return what the host's loss gives for fixed scores of three classes and labels."""
    torch.manual_seed(0)
    scores, label = torch.randn(2, 3, 6, 7), torch.randint(0, 3, (2, 6, 7))
    if ignored:
        label[:, 0] = 255
    built = MODELS.build(loss)
    if loss["type"] == "OhemCrossEntropy":
        return float(built(scores, label))
    return float(built(scores, label, ignore_index=255))


def save(path: Path, weights: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, np.array(weights))
    else:
        path.write_text(json.dumps(weights) if path.suffix == ".json" else yaml.safe_dump(weights))
    return path


@pytest.mark.parametrize("name", ["w.npy", "w.json", "w.yaml", "w.yml"])
def test_a_file_is_read_as_the_loss_reads_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = [0.5, 1.5, 2.0]
    save(tmp_path / name, weights)
    assert list(read_weights(name).weights or ()) == weights
    from_file, from_list = ({**LOVASZ, "class_weight": w} for w in (name, weights))
    assert loss_of(from_file) == loss_of(from_list) != loss_of(LOVASZ)
    path = written(tmp_path, from_file)
    assert codes(check(path)) == []
    assert patch(path, guards=False).plan.empty


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("w.json", '{"road": 1}', "it holds a dict"),
        ("w.json", '["road"]', "it holds a list of something else"),
        ("w.json", "[1, 2", "it cannot be read: Expecting"),
        ("w.yaml", "2.5", "it holds one value"),
        ("w.npy", "1,2,3", "it cannot be read: "),
        ("w.txt", "1\n2\n3", "only reads .npy, .json, .yaml, .yml, .pickle, .pkl"),
    ],
)
def test_a_file_that_the_loss_cannot_use(
    name: str, content: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text(content)
    loss = {**LOVASZ, "class_weight": str(file)}
    with pytest.raises(Exception, match=r"."):  # each reader and new_tensor raise their own
        loss_of(loss)
    (found,) = check(written(tmp_path, loss)).diagnostics
    assert found.code == "MSF115"
    assert words in found.message
    assert found.severity is Severity.ERROR
    assert not found.fixable


def test_an_empty_file_leaves_the_loss_without_weights_silently(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("")
    loss = {**LOVASZ, "class_weight": str(file)}
    assert loss_of(loss) == loss_of(LOVASZ)
    (found,) = check(written(tmp_path, loss)).diagnostics
    assert "it holds nothing" in found.message


def test_a_file_of_python_objects_is_not_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "w.npy"
    np.save(file, np.array([{}, [1.0]], dtype=object), allow_pickle=True)
    assert "allow_pickle=False" in read_weights(str(file)).fault


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["w.pkl", "w.pickle"])
def test_a_pickle_is_never_opened(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / name).write_bytes(pickle.dumps(Trap(mark)))
    path = written(tmp_path, {**LOVASZ, "class_weight": str(tmp_path / name)})
    report = check(path)
    assert not mark.exists()
    assert codes(report) == []
    assert "the number of weights in it is not checked" in report.notes[0]
    assert patch(path, ("a", "b"), guards=False).notes == report.notes


def test_a_file_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    path = written(tmp_path, {**LOVASZ, "class_weight": "s3://bucket/w.json"})
    assert "not on this machine's disk" in check(path).notes[0]


def test_a_file_beside_the_config_is_found_but_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "configs" / "w.json", [0.5, 1.5, 2.0])
    path = written(tmp_path / "configs", {**LOVASZ, "class_weight": "w.json"})
    with pytest.raises(FileNotFoundError):
        loss_of({**LOVASZ, "class_weight": "w.json"})
    (found,) = check(path).diagnostics
    assert "there is one beside the config" in found.message
    assert found.severity is Severity.WARNING
    planned = patch(path, guards=False)
    assert planned.config.model.decode_head.loss_decode.class_weight == [0.5, 1.5, 2.0]
    monkeypatch.chdir(tmp_path / "configs")
    assert codes(check("config.py")) == []


@pytest.mark.parametrize("kind", ["OhemCrossEntropy", "FocalLoss"])
def test_losses_that_read_no_file_get_the_numbers(kind: str, tmp_path: Path) -> None:
    file = save(tmp_path / "w.json", [0.5, 1.5, 2.0])
    loss = {"type": kind, "class_weight": str(file)}
    with pytest.raises((TypeError, AssertionError)):
        loss_of(loss)
    path = written(tmp_path, loss, head={"type": "DDRHead"})
    assert codes(check(path)) == ["MSF115"]
    fixed = patch(path, guards=False)
    assert fixed.config.model.decode_head.loss_decode.class_weight == [0.5, 1.5, 2.0]


def test_a_query_head_reads_no_file_either(tmp_path: Path) -> None:
    file = save(tmp_path / "w.json", [1.0, 2.0, 3.0])
    head = {
        "type": "Mask2FormerHead",
        "loss_cls": {"type": "mmdet.CrossEntropyLoss", "class_weight": str(file)},
    }
    path = written(tmp_path, None, head=head)
    assert sorted(codes(check(path))) == ["MSF102", "MSF115"]
    fixed = patch(path, guards=False)
    # The three weights are those of the classes: "no object" was missing (mmsegmentation #3811).
    assert fixed.config.model.decode_head.loss_cls.class_weight == [1.0, 2.0, 3.0, 0.1]


def test_a_file_of_another_length_gives_way_to_weights_by_name(tmp_path: Path) -> None:
    file = save(tmp_path / "w.json", [0.5, 1.5, 2.0])
    path = written(tmp_path, {**LOVASZ, "class_weight": str(file)})
    planned = patch(path, ("sky", "road"), guards=False)
    assert planned.config.model.decode_head.loss_decode.class_weight == [2.0, 0.5]
    assert planned.write(tmp_path / "fixed.py")
    assert json.loads(file.read_text()) == [0.5, 1.5, 2.0]
    (short,) = check(path, ("sky", "road"), select=["MSF102"]).diagnostics
    assert short.message.endswith("and the file has 3")


def test_a_file_of_useless_weights(tmp_path: Path) -> None:
    file = save(tmp_path / "w.json", [0.5, -1.0, 2.0])
    path = written(tmp_path, {**LOVASZ, "class_weight": str(file)})
    assert codes(check(path)) == ["MSF103"]


def test_weights_asked_for_replace_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, {**LOVASZ, "class_weight": "nowhere.npy"})
    planned = patch(path, class_weight="1,2,3", guards=False)
    assert planned.config.model.decode_head.loss_decode.class_weight == [1.0, 2.0, 3.0]
    assert planned.plan.remaining == ()


@pytest.mark.parametrize("kind", ["LovaszLoss", "TverskyLoss"])
def test_too_many_weights_are_silent_in_two_losses(kind: str) -> None:
    extra = {"reduction": "none"} if kind == "LovaszLoss" else {}
    right, long, short = (
        {"type": kind, **extra, "class_weight": w}
        for w in ([0.5, 1.5, 2.0], [0.5, 1.5, 2.0, 9.0], [0.5, 1.5])
    )
    assert loss_of(long) == loss_of(right)
    with pytest.raises(IndexError):
        loss_of(short)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, 3.0]])
def test_the_hausdorff_loss_stops_at_any_weights(weights: list[float], tmp_path: Path) -> None:
    loss = {"type": "HuasdorffDisstanceLoss", "class_weight": weights}
    with pytest.raises(AssertionError):
        loss_of(loss)
    path = written(tmp_path, loss)
    assert codes(check(path)) == ["MSF116"]
    fixed = patch(path, guards=False).config.model.decode_head.loss_decode
    assert loss_of(dict(fixed)) >= 0
    with pytest.raises(Exception, match="takes class weights"):
        patch(path, class_weight="1,2,3")


def test_dice_cannot_be_built_with_weights(tmp_path: Path) -> None:
    loss = {"type": "DiceLoss", "class_weight": None}
    with pytest.raises(TypeError, match="class_weight"):
        loss_of(loss)
    path = written(tmp_path, loss)
    assert codes(check(path)) == ["MSF116"]
    assert loss_of(dict(patch(path, guards=False).config.model.decode_head.loss_decode)) > 0


def test_sigmoid_channels_need_their_weights_in_another_shape(tmp_path: Path) -> None:
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": True, "class_weight": [1.0, 2.0, 3.0]}
    with pytest.raises(RuntimeError, match="size of tensor"):
        loss_of(loss)
    path = written(tmp_path, loss)
    assert codes(check(path)) == ["MSF116"]
    fixed = patch(path, guards=False).config
    assert loss_of(dict(fixed.model.decode_head.loss_decode)) > loss_of(
        {"type": "CrossEntropyLoss", "use_sigmoid": True}
    )
    assert codes(check(fixed)) == []
    other = patch(fixed, ("sky", "road"), class_weight="1,2", guards=False)
    assert other.config.model.decode_head.loss_decode.class_weight == [[[1.0]], [[2.0]]]


def test_the_encoding_loss_has_a_score_a_class_and_flat_weights(tmp_path: Path) -> None:
    se_loss = {"type": "CrossEntropyLoss", "use_sigmoid": True, "class_weight": [1.0, 2.0, 3.0]}
    built = MODELS.build(se_loss)
    assert built(torch.zeros(2, 3), torch.tensor([[0, 1, 1], [1, 0, 1]])) > 0
    head = {"type": "EncHead", "loss_se_decode": se_loss}
    path = written(tmp_path, {"type": "CrossEntropyLoss"}, head=head)
    assert codes(check(path)) == []
    planned = patch(path, ("sky", "road"), guards=False)
    assert planned.config.model.decode_head.loss_se_decode.class_weight == [3.0, 1.0]


def test_a_weighted_cross_entropy_from_a_file_is_replaced_where_the_host_has_the_fault(
    tmp_path: Path,
) -> None:
    file = save(tmp_path / "w.json", [0.5, 1.5, 2.0])
    # The fork has the fault in this path only, so both stacks have it here.
    loss = {"type": "CrossEntropyLoss", "class_weight": str(file), "avg_non_ignore": True}
    with pytest.raises(IndexError):
        loss_of(loss)
    path = written(tmp_path, loss)
    assert codes(check(path)) == ["MSF107"]
    import mmseg_fixkit.runtime  # noqa: F401 - registers the replacement

    fixed = patch(path, guards=False).config.model.decode_head.loss_decode
    assert fixed.type == "ClassWeightedCrossEntropyLoss"
    assert fixed.class_weight == str(file)
    assert loss_of(dict(fixed)) > 0


def test_san_is_given_weights_where_its_class_loss_is(tmp_path: Path) -> None:
    losses = [
        {"type": "CrossEntropyLoss", "loss_name": "loss_cls_ce"},
        {"type": "CrossEntropyLoss", "loss_name": "loss_mask_ce", "use_sigmoid": True},
    ]
    head = {"type": "SideAdapterCLIPHead"}
    path = written(tmp_path, losses, head=head)
    planned = patch(path, class_weight="1,2,3", guards=False).config.model.decode_head
    assert planned.loss_decode[0].class_weight == [1.0, 2.0, 3.0, 0.1]
    assert "class_weight" not in planned.loss_decode[1]


def test_no_weights_are_given_to_a_loss_of_mmdet_that_takes_none(tmp_path: Path) -> None:
    losses = [{"type": "mmdet.FocalLoss"}, {"type": "TverskyLoss"}]
    planned = patch(written(tmp_path, losses), class_weight="1,2,3", guards=False).config
    assert "class_weight" not in planned.model.decode_head.loss_decode[0]
    assert planned.model.decode_head.loss_decode[1].class_weight == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ["TverskyLoss", "OhemCrossEntropy"])
def test_a_loss_with_an_ignored_label_of_its_own_does_not_follow_its_head(
    name: str, tmp_path: Path
) -> None:
    argument = {"TverskyLoss": "ignore_index", "OhemCrossEntropy": "ignore_label"}[name]
    path = written(tmp_path, {"type": name}, head={"type": "DDRHead"})
    planned = patch(path, ignore_index=200, guards=False).config.model.decode_head
    assert planned.ignore_index == planned.loss_decode[argument] == 200
    torch.manual_seed(0)
    scores, label = torch.randn(1, 3, 4, 4), torch.full((1, 4, 4), 200)
    label[0, 0] = 1
    extra = {} if name == "OhemCrossEntropy" else {"ignore_index": 200}
    right = MODELS.build(dict(planned.loss_decode))(scores, label, **extra)
    wrong = MODELS.build({"type": name})
    if name == "TverskyLoss":  # takes 200 for the last class, silently
        assert wrong(scores, label, **extra) != right
    else:
        with pytest.raises(IndexError, match="out of bounds"):
            wrong(scores, label)


def test_padding_is_set_to_the_label_that_was_asked_for(tmp_path: Path) -> None:
    tree = config({"type": "CrossEntropyLoss"})
    tree["train_dataloader"]["dataset"]["pipeline"] = [
        {"type": "LoadAnnotations"},
        {"type": "Pad", "size": (8, 8)},
        {"type": "Pad", "size": (8, 8), "pad_val": 3},
        {"type": "RandomMosaic", "prob": 0.5},
        {"type": "RandomCutOut", "prob": 0.5, "seg_fill_in": 1},
    ]
    path = tmp_path / "config.py"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in tree.items()))
    planned = patch(path, ignore_index=200, guards=False)
    steps = planned.config.train_dataloader.dataset.pipeline
    assert steps[1].pad_val == {"seg": 200}
    assert steps[2].pad_val == {"img": 3, "seg": 200}
    assert steps[3].seg_pad_val == 200
    assert steps[4].seg_fill_in == 1
    assert planned.write(tmp_path / "fixed.py")
    assert load(tmp_path / "fixed.py").tree == load(planned.config).tree | {
        "train_pipeline": load(planned.config).tree["train_dataloader"]["dataset"]["pipeline"]
    }


@pytest.mark.parametrize("from_file", [False, True])
def test_weights_stay_with_classes_that_change_places(from_file: bool, tmp_path: Path) -> None:
    weights: Any = [0.5, 1.5, 2.0]
    if from_file:
        weights = str(save(tmp_path / "w.json", weights))
    path = written(tmp_path, {**LOVASZ, "class_weight": weights})
    planned = patch(path, ("sky", "road", "car"), guards=False)
    assert planned.config.model.decode_head.loss_decode.class_weight == [2.0, 0.5, 1.5]
    assert planned.write(tmp_path / "fixed.py")
    back = patch(tmp_path / "fixed.py", NAMES, guards=False).config
    assert back.model.decode_head.loss_decode.class_weight == [0.5, 1.5, 2.0]


def test_weights_stay_with_classes_of_a_registered_dataset(tmp_path: Path) -> None:
    from mmseg.datasets import LoveDADataset

    names = LoveDADataset.METAINFO["classes"]
    tree = config({**LOVASZ, "class_weight": list(range(1, 8))})
    tree["model"]["decode_head"]["num_classes"] = 7
    for split in ("train", "val"):
        tree[f"{split}_dataloader"] = {"dataset": {"type": "LoveDADataset", "data_root": "d"}}
    path = tmp_path / "config.py"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in tree.items()))
    planned = patch(path, (*names[1:], names[0]), guards=False)
    weights = planned.config.model.decode_head.loss_decode.class_weight
    assert weights == [2, 3, 4, 5, 6, 7, 1]
    assert planned.write(tmp_path / "fixed.py")


def test_a_head_whose_loss_is_the_default_gets_weights_too(tmp_path: Path) -> None:
    tree = config(None)
    path = tmp_path / "config.py"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in tree.items()))
    planned = patch(path, class_weight="1,2,3", guards=False)
    loss = planned.config.model.decode_head.loss_decode
    assert loss.class_weight == [1.0, 2.0, 3.0]
    assert loss.type in ("CrossEntropyLoss", "ClassWeightedCrossEntropyLoss")
    assert planned.write(tmp_path / "fixed.py")
    assert patch(path, class_weight="none", guards=False).plan.empty


QUERY = {"type": "Mask2FormerHead", "loss_cls": {"type": "mmdet.CrossEntropyLoss"}}


@pytest.mark.parametrize(
    ("loss", "head", "weight"),
    [
        ({"type": "DiceLoss"}, {}, None),
        ({"type": "CrossEntropyLoss"}, {}, None),
        ({"type": "DiceLoss"}, QUERY, 0.1),
        (
            {"type": "DiceLoss"},
            {**QUERY, "loss_cls": {**QUERY["loss_cls"], "class_weight": [1.0, 1.0, 1.0, 0.25]}},
            0.25,
        ),
        (
            {"type": "DiceLoss"},
            {**QUERY, "loss_cls": {**QUERY["loss_cls"], "class_weight": [1.0, 1.0, 3.0]}},
            0.1,
        ),
    ],
)
def test_the_weight_of_no_object_is_known_of_query_heads_only(
    tmp_path: Path, loss: Any, head: Any, weight: Optional[float]
) -> None:
    assert no_object_weight(load(written(tmp_path, loss, head=head))) == weight


@pytest.mark.parametrize(
    ("head", "severity"),
    [
        ({"loss_decode": {"type": "CrossEntropyLoss", "class_weight": "w.npy"}}, Severity.WARNING),
        ({"loss_decode": {"type": "TverskyLoss", "class_weight": "w.npy"}}, Severity.WARNING),
        (
            {**QUERY, "loss_cls": {**QUERY["loss_cls"], "class_weight": "w.npy"}},
            Severity.ERROR,
        ),
    ],
)
def test_a_file_that_is_not_here_is_an_error_only_where_no_file_is_taken(
    tmp_path: Path, head: Any, severity: Severity
) -> None:
    report = check(written(tmp_path, {"type": "DiceLoss"}, head=head))
    found = [d for d in report.diagnostics if d.code == "MSF115"]
    assert [d.severity for d in found] == [severity]
