"""State dicts of other classes, adapted to small models of the host."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from mmseg_fixkit import AdaptReport, CheckpointMismatch, FixkitError, LabelSpace, adapt_state_dict
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.models.adapt import initialised_state
from mmseg_fixkit.models.heads import class_tensors
from tests.helpers.runs import run_head, run_model, run_zoo_model, skip_unless_installed
from tests.zoo.build import build

OLD = ("wall", "floor", "tree", "sky", "road")
NEW = ("sky", "lamp", "wall", "road")
ROWS = {0: 3, 2: 0, 3: 4}
NAME = "decode_head.conv_seg.weight"


def model_of(classes: int, **head: Any) -> Any:
    torch.manual_seed(classes)
    return build(run_model(run_head(classes, **head), [run_head(classes)]))


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    return model_of(5).state_dict()


def assert_rows(adapted: dict[str, Any], state: dict[str, Any], rows: dict[int, int]) -> None:
    for name in (NAME, "decode_head.conv_seg.bias", "auxiliary_head.0.conv_seg.weight"):
        for new, old in rows.items():
            assert torch.equal(adapted[name][new], state[name][old]), name


def test_rows_go_by_name_and_everything_else_stays(state: dict[str, Any]) -> None:
    model = model_of(4)
    adapted, report = adapt_state_dict(state, model, OLD, NEW)
    assert_rows(adapted, state, ROWS)
    assert model.load_state_dict(adapted, strict=True)
    assert all(adapted[n] is state[n] for n in report.loaded)
    assert sorted(r.name for r in report.kept) == sorted(
        f"{head}.conv_seg.{part}"
        for head in ("decode_head", "auxiliary_head.0")
        for part in ("weight", "bias")
    )
    assert (report.new, report.missing, report.unexpected) == ((), (), ())
    assert state[NAME].shape[0] == 5


def test_the_same_count_in_another_order_is_seen(state: dict[str, Any]) -> None:
    new = OLD[::-1]
    adapted, report = adapt_state_dict(state, model_of(5), OLD, new)
    assert_rows(adapted, state, dict(enumerate(range(4, -1, -1))))
    assert len(report.kept) == 4
    same, report = adapt_state_dict(state, model_of(5), OLD, OLD)
    assert not report.changed
    assert same[NAME] is state[NAME]


def test_the_same_count_under_other_names_starts_anew(state: dict[str, Any]) -> None:
    adapted, report = adapt_state_dict(state, model_of(5), OLD, tuple("abcde"))
    assert len(report.new) == 4
    assert not torch.equal(adapted[NAME], state[NAME])
    assert "these 4 follow the class count" in report.text()


# New rows


def test_new_rows_are_those_of_an_initialised_model(state: dict[str, Any]) -> None:
    model = model_of(4)
    model._dump_init_info = lambda: None
    model.init_weights()
    adapted, _ = adapt_state_dict(state, model, OLD, NEW)
    assert torch.equal(adapted[NAME][1], model.state_dict()[NAME][1])


@pytest.mark.parametrize("spoilt", ["nan", "meta"])
def test_new_rows_are_never_what_memory_holds(state: dict[str, Any], spoilt: str) -> None:
    if spoilt == "meta":
        with torch.device("meta"):
            model = model_of(4)
    else:
        model = model_of(4)
        nn.init.constant_(model.decode_head.conv_seg.weight, float("nan"))
        nn.init.constant_(model.decode_head.conv_seg.bias, float("nan"))
    first, second = (adapt_state_dict(state, model, OLD, NEW)[0] for _ in range(2))
    row = first[NAME][1]
    assert 0 < row.std() < 0.05  # the head's Normal(std=0.01)
    assert first["decode_head.conv_seg.bias"][1] == 0
    assert torch.equal(row, second[NAME][1])
    assert_rows(first, state, ROWS)


#: Heads that initialise each in a way of its own, and a class-sized tensor of each.
OWN_WAYS = {
    "pspnet/pspnet_r18b-d8_4xb2-80k_cityscapes-512x1024.py": "decode_head.conv_seg.weight",
    "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py": (
        "decode_head.aux_cls_seg.weight"
    ),
    "encnet/encnet_r50-d8_4xb2-40k_cityscapes-512x1024.py": "decode_head.se_layer.weight",
    "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py": "decode_head.1.fcs.0.conv.weight",
    "segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py": "decode_head.cls_emb",
    "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py": "decode_head.cls_embed.weight",
}


@pytest.mark.parametrize("config", OWN_WAYS)
def test_new_rows_are_drawn_as_the_host_draws_them(config: str) -> None:
    skip_unless_installed(config.partition("/")[0])
    model = build(run_zoo_model(zoo_path(f"mmseg::{config}")).model)
    name = OWN_WAYS[config]
    path = class_tensors(model)[name].head
    head, own = model.get_submodule(path), name[len(path) + 1 :]
    lean = initialised_state(head, 0, [own])
    assert lean.keys() == {own}
    for module in head.modules():
        if callable(getattr(module, "reset_parameters", None)):
            module.reset_parameters()
    head._dump_init_info = lambda: None
    head.init_weights()
    found, expected = lean[own], head.state_dict()[own]
    assert found.shape == expected.shape
    assert found.std() == pytest.approx(float(expected.std()), rel=0.1)
    assert found.abs().max() == pytest.approx(float(expected.abs().max()), rel=0.5)


def test_a_head_that_looks_at_other_weights_is_initialised_whole() -> None:
    from mmseg.models.decode_heads import FCNHead

    class Following(FCNHead):
        def init_weights(self) -> None:
            nn.init.constant_(self.convs[0].conv.weight, 3)
            nn.init.constant_(self.conv_seg.weight, float(self.convs[0].conv.weight.max()))

    head = model_of(4).decode_head
    head.__class__ = Following
    assert initialised_state(head, 0, ["conv_seg.weight"])["conv_seg.weight"].eq(3).all()


def test_random_numbers_of_others_are_left_alone(state: dict[str, Any]) -> None:
    model = model_of(4)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    adapt_state_dict(state, model, OLD, NEW)
    assert torch.rand(1) == expected


# Names


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_wrappers_prefixes_are_taken_off(state: dict[str, Any], prefix: str) -> None:
    wrapped = {f"{prefix}{name}": value for name, value in state.items()}
    adapted, report = adapt_state_dict(wrapped, model_of(4), OLD, NEW)
    assert_rows(adapted, state, ROWS)
    assert report.unexpected == ()


def test_names_of_the_model_itself_and_of_known_data_sets() -> None:
    model = model_of(2)
    model.dataset_meta = {"classes": ("car", "road")}
    state = model_of(19).state_dict()
    adapted, _ = adapt_state_dict(state, model, "cityscapes")
    assert_rows(adapted, state, {0: 13, 1: 0})


@pytest.mark.parametrize(
    ("old", "new", "mapping", "said"),
    [
        (OLD, None, None, "the model's classes are not known"),
        (None, NEW, {"wall": "lamp"}, "the checkpoint's classes are not known"),
        (None, None, {"wall": "lamp"}, "the checkpoint's classes are not known"),
        (OLD, None, {"wall": "lamp"}, "the model's classes are not known"),
        (OLD, NEW, {"wal": "lamp"}, "'wal', which is not among the checkpoint's classes; near"),
        ("citiscapes", NEW, None, "near it are CityscapesDataset"),
    ],
)
def test_what_is_not_known_is_said(
    state: dict[str, Any], old: Any, new: Any, mapping: Any, said: str
) -> None:
    with pytest.raises(FixkitError, match=said):
        adapt_state_dict(state, model_of(4), old, new, mapping)


def test_without_names_layers_of_another_size_start_anew(state: dict[str, Any]) -> None:
    adapted, report = adapt_state_dict(state, model_of(4))
    assert [d.code for d in report.diagnostics] == ["MSF502"]
    assert len(report.new) == 4
    assert adapted[NAME].shape == (4, 8, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (OLD[:3], NEW, r"decode_head.conv_seg.weight of the checkpoint has 5 classes, but 3 are"),
        (OLD, NEW[:2], r"decode_head.conv_seg.weight of the model has 4 classes, but 2 are"),
        (OLD[:2], OLD[:2], r"has 5 classes, but 2 are named; .* has 4 classes, but 2 are named"),
    ],
)
def test_names_and_rows_have_to_agree(state: dict[str, Any], old: Any, new: Any, said: str) -> None:
    with pytest.raises(CheckpointMismatch, match=said):
        adapt_state_dict(state, model_of(4), old, new)


def test_equal_wrong_counts_on_both_sides_are_refused_too(state: dict[str, Any]) -> None:
    with pytest.raises(CheckpointMismatch, match="has 5 classes, but 4 are named"):
        adapt_state_dict(state, model_of(5), OLD[:4], OLD[:4])


def test_an_auxiliary_head_may_have_classes_of_its_own() -> None:
    heads = [run_head(2)]
    old, new = (build(run_model(run_head(n), heads)) for n in (5, 4))
    adapted, report = adapt_state_dict(old.state_dict(), new, OLD, NEW)
    assert report.own == ("auxiliary_head.0",)
    assert torch.equal(adapted[NAME][0], old.state_dict()[NAME][3])
    name = "auxiliary_head.0.conv_seg.weight"
    assert torch.equal(adapted[name], old.state_dict()[name])


# What does not fit


def test_a_class_layer_of_another_width_is_wrong(state: dict[str, Any]) -> None:
    with pytest.raises(CheckpointMismatch, match=r"decode_head.conv_seg.weight +\(5, 8, 1, 1\)"):
        adapt_state_dict(state, model_of(4, channels=16), OLD, NEW)


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        ("model.", "the prefix 'model.', which the model's have not: PyTorch Lightning"),
        ("student.", "the prefix 'student.', which the model's have not"),
        ("net.module.", "was wrapped for several processes"),
    ],
)
def test_the_likely_reason_is_told(state: dict[str, Any], prefix: str, said: str) -> None:
    with pytest.raises(CheckpointMismatch, match=said):
        adapt_state_dict({f"{prefix}{n}": v for n, v in state.items()}, model_of(4), OLD, NEW)


def test_a_head_that_the_checkpoint_lacks_is_told(state: dict[str, Any]) -> None:
    less = {n: v for n, v in state.items() if not n.startswith("auxiliary_head")}
    adapted, report = adapt_state_dict(less, model_of(4), OLD, NEW)
    assert [d.code for d in report.diagnostics] == ["MSF504"]
    assert "model.auxiliary_head has 12 tensors that the checkpoint lacks" in said_by(report)
    assert not any(n.startswith("auxiliary_head") for n in adapted)


def said_by(report: AdaptReport) -> str:
    return "; ".join(d.message for d in report.diagnostics)


def test_names_that_are_alike_are_a_finding(state: dict[str, Any]) -> None:
    _, report = adapt_state_dict(state, model_of(4), OLD, ("Sky", "lamp", "wall", "road"))
    assert [d.code for d in report.diagnostics] == ["MSF503"]
    assert "classes is 'Sky', but the checkpoint has 'sky'; sky=Sky in the mapping" in said_by(
        report
    )


def test_the_report_as_json(state: dict[str, Any]) -> None:
    mapping = {"tree": "lamp", "floor": "lamp"}
    _, report = adapt_state_dict(state, model_of(4), OLD, NEW, mapping)
    told = json.loads(json.dumps(report.as_json()))
    assert told["classes"][1] == {"name": "lamp", "from": ["floor", "tree"]}
    assert told["kept"][0]["expected"][0] == 4
    assert told["new"] == told["diagnostics"] == told["classes_left_out"] == []
    assert "from other names: 1 (lamp = floor + tree)" in report.text()


def test_layer_versions_stay_with_the_state_dict(state: Any) -> None:
    adapted: Any = adapt_state_dict(state, model_of(4), OLD, NEW)[0]
    assert adapted._metadata == state._metadata


# Heads of a kind of their own


def one_channel() -> Any:
    return model_of(2, out_channels=1, threshold=0.5)


def test_one_sigmoid_channel_turns_with_its_classes() -> None:
    model, turned = one_channel(), one_channel()
    adapted, report = adapt_state_dict(model.state_dict(), turned, ("a", "b"), ("b", "a"))
    assert torch.equal(adapted[NAME], -model.state_dict()[NAME])
    assert report.own == ()


@pytest.mark.parametrize("to_two", [True, False])
def test_one_channel_and_two_are_the_same_classes(to_two: bool) -> None:
    pair = (one_channel(), model_of(2))
    old, new = pair if to_two else pair[::-1]
    new.load_state_dict(adapt_state_dict(old.state_dict(), new, ("a", "b"), ("a", "b"))[0])
    image = torch.randn(1, 64, 8, 8)
    with torch.no_grad():
        one, two = (m.eval().decode_head([image]) for m in pair)
    assert torch.allclose(one.sigmoid()[:, 0], two.softmax(1)[:, 1], atol=1e-6)


def test_a_point_head_without_coarse_input_in_each_layer() -> None:
    path = zoo_path("mmseg::point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py")
    config = run_zoo_model(path, 64)
    config.model.decode_head[1].coarse_pred_each_layer = False
    from mmseg_fixkit import patch

    models = [
        build(patch(config, LabelSpace(names), guards=False).config.model)
        for names in (OLD, OLD[::-1])
    ]
    state = models[0].state_dict()
    adapted, _ = adapt_state_dict(state, models[1], OLD, OLD[::-1])
    for name, columns in (("fcs.0.conv", [256, 257, 258, 259, 260]), ("fcs.1.conv", None)):
        old, new = (s[f"decode_head.1.{name}.weight"] for s in (state, adapted))
        assert torch.equal(new[:, :256], old[:, :256])
        if columns:
            assert torch.equal(new[:, columns], old[:, columns[::-1]])
    assert torch.equal(
        adapted["decode_head.1.fc_seg.weight"], state["decode_head.1.fc_seg.weight"].flip(0)
    )
