from __future__ import annotations

import contextlib
import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any, Optional

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit import FixkitError
from mmseg_fixkit.checkpoint.compare import Resized, compare
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.models.heads import class_tensors
from mmseg_fixkit.runtime import CheckpointMismatch
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_log,
    run_model,
    run_names,
    run_runner,
    run_zoo_model,
)

HOOK = {"type": "HeadAdaptHook"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = run_dataset(tmp_path_factory.mktemp("data"), 5)
    return run_dataset_config(root, run_names(5))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """The state dict of a model of 19 classes, every tensor marked with 0.5."""
    state = build(run_model(run_head(19), [run_head(19)])).state_dict()
    return {name: torch.full_like(value, 0.5, dtype=value.dtype) for name, value in state.items()}


def build(config: Any) -> Any:
    import mmseg.models  # noqa: F401 - registers
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    return MODELS.build(ConfigDict(config))


def save(path: Path, state: dict[str, torch.Tensor], **meta: Any) -> Path:
    torch.save({"state_dict": state, "meta": {"epoch": 0, "iter": 1, **meta}}, path)
    return path


def runner_of(
    tmp_path: Path, data: Any, checkpoint: Path, model: Optional[Any] = None, **options: Any
) -> Any:
    model = model or run_model(run_head(5), [run_head(5)])
    options = {"hooks": [HOOK], "load_from": str(checkpoint), **options}
    return run_runner(run_config(tmp_path / "work", model, data, data, **options))


CLASS_LAYERS = [
    f"{head}.conv_seg.{part}"
    for head in ("decode_head", "auxiliary_head.0")
    for part in ("weight", "bias")
]


# The pure comparison

SHAPES = st.dictionaries(
    st.sampled_from(["a.x", "a.y", "b.x", "b.y", "c"]),
    st.lists(st.integers(1, 3), max_size=2).map(tuple),
)


@given(found=SHAPES, expected=SHAPES, sized=st.sets(st.sampled_from(["a.x", "b.y", "c"])))
def test_every_tensor_is_in_one_part(found: Any, expected: Any, sized: set[str]) -> None:
    result = compare(found, expected, lambda r: r.name in sized)
    new = [r.name for r in result.reinitialised]
    wrong = [r.name for r in result.wrong]
    parts = [*result.loaded, *new, *wrong, *result.missing, *result.unexpected]
    assert sorted(parts) == sorted(found.keys() | expected.keys())
    assert all(found[name] == expected[name] for name in result.loaded)
    assert all(found[name] != expected[name] for name in [*new, *wrong])
    assert set(new) <= sized
    assert not sized & set(wrong)
    assert not set(result.missing) & found.keys()
    assert not set(result.unexpected) & expected.keys()


def test_the_missing_share_counts_what_is_there_in_another_shape() -> None:
    expected = {"backbone.a": (1,), "backbone.b": (1,), "backbone.c": (1,), "head": (1,)}
    result = compare({"backbone.a": (1,), "backbone.b": (2,)}, expected, lambda name: False)
    assert result.share_missing("backbone.") == pytest.approx(1 / 3)
    assert result.share_missing("neck.") == 0
    assert result.wrong == (Resized("backbone.b", (2,), (1,)),)


@pytest.mark.parametrize(
    ("config", "sized", "others"),
    [
        (
            "danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
            ["decode_head.pam_conv_seg.weight", "auxiliary_head.conv_seg.bias"],
            ["decode_head.pam_in_conv.conv.weight"],
        ),
        (
            "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
            ["decode_head.1.fc_seg.weight", "decode_head.1.fcs.2.conv.weight"],
            ["decode_head.0.scale_heads.0.0.conv.weight"],
        ),
        (
            "segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py",
            ["decode_head.cls_emb", "decode_head.mask_norm.bias"],
            ["decode_head.decoder_norm.bias", "backbone.cls_token"],
        ),
        (
            "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py",
            ["decode_head.cls_embed.weight"],
            ["decode_head.mask_embed.0.weight", "decode_head.query_embed.weight"],
        ),
        (
            "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py",
            ["decode_head.kernel_generate_head.conv_seg.weight"],
            ["decode_head.kernel_update_head.0.fc_mask.weight"],
        ),
        (
            "stdc/stdc1_4xb12-80k_cityscapes-512x1024.py",
            ["auxiliary_head.1.conv_seg.weight"],
            ["auxiliary_head.2.conv_seg.weight"],
        ),
    ],
)
def test_class_sized_names_of_zoo_heads(config: str, sized: Any, others: Any) -> None:
    model = build(run_zoo_model(zoo_path(f"mmseg::{config}")).model)
    names = set(model.state_dict())
    assert {*sized, *others} <= names
    assert {*sized} <= class_tensors(model).keys()
    assert not class_tensors(model).keys() & {*others}


# In runs


@pytest.mark.parametrize("prefix", ["", "module."])
def test_other_classes_load_and_only_the_class_layers_are_new(
    tmp_path: Path, data: Any, weights: Any, prefix: str
) -> None:
    state = {f"{prefix}{name}": value for name, value in weights.items()}
    path = save(tmp_path / "c.pth", state)
    digest = sha256(path.read_bytes()).hexdigest()
    runner = runner_of(tmp_path, data, path)
    runner.model.init_weights()
    runner.load_or_resume()
    state = runner.model.state_dict()
    assert sorted(n for n, v in state.items() if not same(v, 0.5)) == sorted(CLASS_LAYERS)
    assert 0 < state["decode_head.conv_seg.weight"].std() < 0.05  # the head's Normal(std=0.01)
    assert sha256(path.read_bytes()).hexdigest() == digest
    log = run_log(runner)
    assert log.count("these 4 follow the class count") == 1
    assert "size mismatch" not in log
    for name in CLASS_LAYERS:
        assert name in log
    assert "(19, 8, 1, 1)  (5, 8, 1, 1)" in log


def same(tensor: torch.Tensor, value: float) -> bool:
    return torch.equal(tensor, torch.full_like(tensor, value, dtype=tensor.dtype))


def test_training_with_ema_starts_from_it(tmp_path: Path, data: Any, weights: Any) -> None:
    path = save(tmp_path / "c.pth", weights)
    runner = runner_of(tmp_path, data, path, hooks=[{"type": "EMAHook"}, HOOK])
    runner.train()
    log = run_log(runner)
    assert "Iter(train) [2/2]" in log
    assert log.count("follow the class count") == 1


def test_together_with_the_fix_hook(tmp_path: Path, data: Any, weights: Any) -> None:
    path = save(tmp_path / "c.pth", weights)
    hooks = [HOOK, {"type": "ClassCountHook", "action": "fix"}]
    model = run_model(run_head(19), [run_head(19)])
    runner = runner_of(tmp_path, data, path, model, hooks=hooks)
    runner.train()
    assert runner.model.decode_head.conv_seg.weight.shape == (5, 8, 1, 1)
    assert "these 4 follow the class count" in run_log(runner)


@pytest.mark.parametrize("verb", ["val", "test"])
def test_evaluation_and_test_runs_report_as_well(
    tmp_path: Path, data: Any, weights: Any, verb: str
) -> None:
    runner = runner_of(tmp_path, data, save(tmp_path / "c.pth", weights))
    assert "mIoU" in getattr(runner, verb)()
    assert "these 4 follow the class count" in run_log(runner)


def test_a_checkpoint_that_fits_is_no_news(tmp_path: Path, data: Any) -> None:
    model = run_model(run_head(5))
    path = save(tmp_path / "c.pth", build(model).state_dict())
    runner = runner_of(tmp_path, data, path, model)
    runner.test()
    assert "class count" not in run_log(runner)


def test_a_bare_state_dict_is_read_too(tmp_path: Path, data: Any, weights: Any) -> None:
    torch.save(weights, tmp_path / "bare.pth")
    runner = runner_of(tmp_path, data, tmp_path / "bare.pth")
    runner.load_or_resume()
    assert same(runner.model.backbone.layer1[0].conv1.weight, 0.5)


def stopped(runner: Any) -> str:
    with pytest.raises(CheckpointMismatch) as caught:
        runner.train()
    return str(caught.value)


def test_a_wrong_shape_stops_and_is_listed(tmp_path: Path, data: Any, weights: Any) -> None:
    name = "backbone.layer1.0.conv1.weight"
    state = {**weights, name: torch.zeros(16, 8, 3, 3)}
    text = stopped(runner_of(tmp_path, data, save(tmp_path / "c.pth", state)))
    assert "not because of the classes" in text
    assert "of another shape: 1" in text
    assert name in text
    assert "(16, 8, 3, 3)  (8, 64, 3, 3)" in text
    assert "another depth, width or input size" in text
    assert "conv_seg" not in text


def test_another_depth_stops(tmp_path: Path, data: Any) -> None:
    deep = run_model(run_head(5))
    deep["backbone"] = {**deep["backbone"], "depth": 34}
    path = save(tmp_path / "c.pth", build(deep).state_dict())
    runner = runner_of(tmp_path, data, path, run_model(run_head(5)))
    runner.load_or_resume()  # all of the shallow model is there
    assert "another depth" in run_log(runner)
    shallow = save(tmp_path / "s.pth", build(run_model(run_head(5))).state_dict())
    text = stopped(runner_of(tmp_path, data, shallow, deep))
    assert "of the tensors of backbone are not in it" in text


def test_a_backbone_without_its_prefix_stops(tmp_path: Path, data: Any, weights: Any) -> None:
    cut = len("backbone.")
    bare = {n[cut:]: v for n, v in weights.items() if n.startswith("backbone.")}
    text = stopped(runner_of(tmp_path, data, save(tmp_path / "c.pth", bare)))
    assert "100% of the tensors of backbone are not in it" in text
    assert "model.backbone.init_cfg=dict(type='Pretrained', checkpoint=…)" in text


def test_another_prefix_stops(tmp_path: Path, data: Any, weights: Any) -> None:
    state = {f"student.{name}": value for name, value in weights.items()}
    text = stopped(runner_of(tmp_path, data, save(tmp_path / "c.pth", state)))
    assert "the prefix 'student.', which the model's have not" in text


def test_a_checkpoint_of_version_0_is_named_as_a_reason(
    tmp_path: Path, data: Any, weights: Any
) -> None:
    state = {name.replace("backbone.", "encoder."): value for name, value in weights.items()}
    path = save(tmp_path / "c.pth", state, mmseg_version="0.30.0")
    assert "written by mmsegmentation 0.30.0" in stopped(runner_of(tmp_path, data, path))


def test_resume_after_a_change_of_classes_stops(tmp_path: Path, data: Any, weights: Any) -> None:
    runner = runner_of(tmp_path, data, save(tmp_path / "c.pth", weights), resume=True)
    text = stopped(runner)
    assert "cannot be resumed" in text
    assert "set resume=False and load_from" in text


# By name

CONV = "decode_head.conv_seg.weight"
NAMED = ("class_3", "old_a", "class_0", "class_1", "old_b")


@pytest.fixture(scope="module")
def five() -> dict[str, torch.Tensor]:
    """The state dict of a model of 5 classes, class rows marked with their own numbers."""
    state = build(run_model(run_head(5), [run_head(5)])).state_dict()
    for name in CLASS_LAYERS:
        rows = torch.arange(1.0, 6.0).reshape(-1, *[1] * (state[name].dim() - 1))
        state[name] = rows.expand_as(state[name]).contiguous()
    return state


def named(path: Path, state: Any, classes: Any = NAMED, **more: Any) -> Path:
    meta = {"epoch": 0, "iter": 1, "dataset_meta": {"classes": classes}}
    torch.save({"state_dict": state, "meta": meta, **more}, path)
    return path


def load(runner: Any) -> None:
    """Load as ``Runner.train`` does, which has built its loop by then."""
    assert runner.train_loop
    runner.load_or_resume()


def first_row_values(runner: Any) -> list[float]:
    model = getattr(runner.model, "module", runner.model)
    return [round(float(v), 2) for v in model.state_dict()[CONV].flatten(1)[:, 0]]


def is_kept(values: list[float]) -> bool:
    """Whether class_0 to class_4 have the rows of NAMED, and the last two their own."""
    return values[:2] == [3, 4] and values[3] == 1 and all(abs(values[i]) < 0.1 for i in (2, 4))


def test_rows_are_kept_by_name_and_the_log_says_so_once(
    tmp_path: Path, data: Any, five: Any
) -> None:
    runner = runner_of(tmp_path, data, named(tmp_path / "c.pth", five))
    runner.model.init_weights()
    load(runner)
    assert is_kept(first_row_values(runner))
    log = run_log(runner)
    assert log.count("4 are kept by class name") == 1
    assert "classes kept: 3 of 5 (class_0, class_1, class_3)" in log
    assert "new, still to be learned: 2 (class_2, class_4)" in log
    assert "left out: 2 (old_a, old_b)" in log


@pytest.mark.parametrize(
    "options",
    [
        {"hooks": [{"type": "EMAHook"}, HOOK]},
        pytest.param(
            {"optim_wrapper": {"type": "AmpOptimWrapper"}},
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
        ),
    ],
    ids=["EMA", "AMP"],
)
def test_training_goes_on_from_kept_rows(
    tmp_path: Path, data: Any, five: Any, options: dict[str, Any]
) -> None:
    still = {"type": "SGD", "lr": 0.0}
    wrapper = {"type": "OptimWrapper", **options.get("optim_wrapper", {}), "optimizer": still}
    ema = {"ema_state_dict": {f"module.{n}": v for n, v in five.items()}}
    path = named(tmp_path / "c.pth", five, **ema)
    runner = runner_of(tmp_path, data, path, **{**options, "optim_wrapper": wrapper})
    runner.train()
    assert is_kept(first_row_values(runner))
    averages = [h.ema_model.module for h in runner.hooks if hasattr(h, "ema_model")]
    assert len(averages) == ("hooks" in options)
    for average in averages:
        assert is_kept(first_row_values(type("Run", (), {"model": average})))
    assert run_log(runner).count("kept by class name") == 1


def test_training_in_mixed_precision_goes_on_from_kept_rows(
    tmp_path: Path, data: Any, five: Any
) -> None:
    from mmengine.optim import OptimWrapper
    from mmengine.registry import OPTIM_WRAPPERS
    from mmengine.runner.amp import autocast

    met = []

    class CpuAmpOptimWrapper(OptimWrapper):  # MMEngine's own wants a GPU
        @contextlib.contextmanager
        def optim_context(self, model: Any) -> Any:
            with super().optim_context(model), autocast(dtype=torch.bfloat16):
                yield

    def watch(layer: Any, _: Any, out: torch.Tensor) -> None:
        met.append(out.dtype)

    still = {"type": "CpuAmpOptimWrapper", "optimizer": {"type": "SGD", "lr": 0.0}}
    with OPTIM_WRAPPERS.switch_scope_and_registry("mmengine") as registry:
        registry.register_module(module=CpuAmpOptimWrapper, force=True)
    runner = runner_of(tmp_path, data, named(tmp_path / "c.pth", five), optim_wrapper=still)
    runner.model.decode_head.conv_seg.register_forward_hook(watch)
    runner.train()
    assert torch.bfloat16 in met
    assert is_kept(first_row_values(runner))
    assert runner.model.decode_head.conv_seg.weight.dtype is torch.float32


def test_a_checkpoint_in_half_precision_is_kept_too(tmp_path: Path, data: Any, five: Any) -> None:
    halves = {n: v.half() if v.is_floating_point() else v for n, v in five.items()}
    runner = runner_of(tmp_path, data, named(tmp_path / "c.pth", halves))
    runner.model.init_weights()
    load(runner)
    assert is_kept(first_row_values(runner))
    assert runner.model.decode_head.conv_seg.weight.dtype is torch.float32


def test_a_test_run_counts_in_the_order_of_its_dataset(
    tmp_path: Path, data: Any, five: Any
) -> None:
    runner = runner_of(tmp_path, data, named(tmp_path / "c.pth", five, run_names(5)[::-1]))
    assert "mIoU" in runner.test()
    assert first_row_values(runner) == [5, 4, 3, 2, 1]
    # In a folder of its own: logs of runs that begin in the same second are one.
    other = runner_of(tmp_path / "other", data, named(tmp_path / "d.pth", five, run_names(5)))
    other.test()
    assert first_row_values(other) == [1, 2, 3, 4, 5]
    assert "Load checkpoint from" in run_log(other)
    assert "class name" not in run_log(other)


def test_the_hook_takes_names_and_a_mapping(tmp_path: Path, data: Any, five: Any) -> None:
    path = save(tmp_path / "c.pth", five)
    mapping = {"x": ["class_0", "class_4"], "z": "class_1"}
    hook = {**HOOK, "old_classes": ["x", "y", "z", "class_2", "class_3"], "mapping": mapping}
    runner = runner_of(tmp_path, data, path, hooks=[hook])
    load(runner)
    assert first_row_values(runner) == [1, 3, 4, 5, 1]


def test_an_empty_list_of_names_means_not_known(tmp_path: Path, data: Any, five: Any) -> None:
    path = named(tmp_path / "c.pth", five)
    runner = runner_of(tmp_path, data, path, hooks=[{**HOOK, "old_classes": []}])
    load(runner)
    assert first_row_values(runner) == [1, 2, 3, 4, 5]


def test_too_many_names_stop_with_the_numbers(tmp_path: Path, data: Any, five: Any) -> None:
    text = stopped(runner_of(tmp_path, data, named(tmp_path / "c.pth", five, run_names(19))))
    assert "of the checkpoint has 5 classes, but 19 are named" in text


def test_names_that_are_missing_are_asked_for(tmp_path: Path, data: Any, weights: Any) -> None:
    runner = runner_of(tmp_path, data, save(tmp_path / "c.pth", weights))
    load(runner)
    log = run_log(runner)
    assert "MSF502 checkpoint-classes-unknown" in log
    assert "with the names of the checkpoint's classes" in log


def test_names_that_torch_compile_made_are_loaded(tmp_path: Path, data: Any, five: Any) -> None:
    state = {f"_orig_mod.{name}": value for name, value in five.items()}
    runner = runner_of(tmp_path, data, named(tmp_path / "c.pth", state))
    load(runner)
    assert is_kept(first_row_values(runner))
    assert torch.equal(
        runner.model.backbone.layer1[0].conv1.weight, five["backbone.layer1.0.conv1.weight"]
    )


@pytest.mark.parametrize("classes", [run_names(5)[::-1], NAMED], ids=["order", "names"])
def test_resume_stops_for_another_order_and_other_names(
    tmp_path: Path, data: Any, five: Any, classes: Any
) -> None:
    path = named(tmp_path / "c.pth", five, classes)
    text = stopped(runner_of(tmp_path, data, path, resume=True))
    assert "cannot be resumed" in text
    assert "set resume=False and load_from" in text
    assert "for classes that only have other names now, give HeadAdaptHook a mapping" in text


def test_resume_goes_on_where_only_names_changed(tmp_path: Path, data: Any, five: Any) -> None:
    first = runner_of(tmp_path, data, save(tmp_path / "start.pth", five))
    first.train()
    first.save_checkpoint(str(tmp_path), "c.pth")
    saved = torch.load(tmp_path / "c.pth", weights_only=False)
    saved["meta"]["dataset_meta"]["classes"] = ("misspelt", *run_names(5)[1:])
    torch.save(saved, tmp_path / "c.pth")
    hook = {**HOOK, "mapping": {"misspelt": "class_0"}}
    runner = runner_of(tmp_path, data, tmp_path / "c.pth", hooks=[hook], resume=True)
    load(runner)
    assert runner.iter == 2
    assert first_row_values(runner) == first_row_values(first)
    assert "cannot be resumed" in stopped(
        runner_of(tmp_path, data, tmp_path / "c.pth", resume=True)
    )


def test_the_error_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(CheckpointMismatch("text")))
    assert (type(again), str(again)) == (CheckpointMismatch, "text")


def test_a_mapping_alone_is_refused_where_the_checkpoint_names_no_classes(
    tmp_path: Path, data: Any, weights: Any
) -> None:
    hook = {**HOOK, "mapping": {"road": "class_0"}}
    runner = runner_of(tmp_path, data, save(tmp_path / "c.pth", weights), hooks=[hook])
    with pytest.raises(FixkitError, match="the checkpoint's classes are not known"):
        load(runner)
