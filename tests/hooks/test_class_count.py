from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmseg_fixkit import LabelSpace
from mmseg_fixkit.config.host import zoo_path
from mmseg_fixkit.core.diagnostics import Severity, format_key
from mmseg_fixkit.hooks.built_classes import Split, check_classes
from mmseg_fixkit.hooks.rebuild_head import apply_replacements, plan_model
from mmseg_fixkit.hooks.seen_classes import in_words
from mmseg_fixkit.models.heads import find_heads
from mmseg_fixkit.runtime import ClassCountError, ClassCountHook
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
from tests.helpers.stack import needs_mmseg_1_2

HOOK = {"type": "ClassCountHook"}
FIVE = run_names(5)
FIX = {"type": "ClassCountHook", "action": "fix"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_dataset(tmp_path_factory.mktemp("data"), 5)


def dataset(data: Path, classes: Any = FIVE) -> dict[str, Any]:
    return run_dataset_config(data, classes)


def weighted(count: int, kind: str = "CrossEntropyLoss") -> dict[str, Any]:
    return {"type": kind, "class_weight": [1.0] * count}


class Data:
    """A dataset as far as the checks look at one."""

    def __init__(self, classes: Any) -> None:
        self.metainfo = {} if classes is None else {"classes": classes}


def split(count: int = 5, name: str = "train") -> Split:
    return Split(name, (f"{name}_dataloader", "dataset"), Data(run_names(count)))


def build(config: Any) -> Any:
    import mmseg.models  # noqa: F401 - registers
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    return MODELS.build(copy.deepcopy(config))


def offences(model: Any, count: int) -> dict[str, Any]:
    found = check_classes(model, [split(count)])
    return {format_key(d.key)[len("model.") :]: d.expected for d in found}


# What the hook says


def test_all_offences_are_reported_at_once(tmp_path: Path, data: Path) -> None:
    heads = [run_head(5), run_head(21)]
    model = run_model(run_head(19, loss_decode=[weighted(19), weighted(5)]), heads)
    config = run_config(tmp_path, model, dataset(data), hooks=[HOOK])
    with pytest.raises(ClassCountError) as caught:
        run_runner(config).train()
    text = str(caught.value)
    assert "3 findings" in text
    assert (
        "MSF101 head-class-count: model.decode_head.num_classes is 19, "
        "but the training dataset BaseSegDataset has 5 classes; the head is FCNHead" in text
    )
    assert "MSF102 class-weight-length: model.decode_head.loss_decode.0.class_weight" in text
    assert "asks for 5 entries; there are 19, in CrossEntropyLoss" in text
    assert "model.auxiliary_head.1.num_classes is 21" in text
    assert text.endswith(
        f"`mmseg-fix patch {config.filename}` writes a config in which they agree; "
        "ClassCountHook(action='fix') rebuilds the class layers of this run's model"
    )


def test_the_hook_offers_to_rebuild_only_what_is_a_matter_of_the_model(
    tmp_path: Path, data: Path
) -> None:
    others = dataset(data, ("b", "a", "c", "d", "e"))
    config = run_config(tmp_path, run_model(run_head(5)), dataset(data), others, hooks=[HOOK])
    with pytest.raises(ClassCountError) as caught:
        run_runner(config).train()
    text = str(caught.value)
    assert text.endswith("writes a config in which they agree")
    assert "MSF101" not in text


@pytest.mark.parametrize("verb", ["train", "val", "test"])
@pytest.mark.parametrize("classes", [5, 19])
def test_training_validation_and_test_are_checked(
    tmp_path: Path, data: Path, verb: str, classes: int
) -> None:
    model = run_model(run_head(classes))
    config = run_config(tmp_path, model, dataset(data), dataset(data), hooks=[HOOK])
    runner = run_runner(config)
    if classes == 5:
        getattr(runner, verb)()
        assert "do not agree" not in run_log(runner)
    else:
        name = {"train": "training", "val": "validation", "test": "test"}[verb]
        with pytest.raises(ClassCountError, match=f"is 19, but the {name} dataset"):
            getattr(runner, verb)()


def test_warn_writes_the_same_to_the_log_and_goes_on(tmp_path: Path, data: Path) -> None:
    hook = {"type": "ClassCountHook", "action": "warn"}
    runner = run_runner(run_config(tmp_path, run_model(run_head(7)), dataset(data), hooks=[hook]))
    runner.train()
    log = run_log(runner)
    assert log.count("model.decode_head.num_classes is 7") == 1
    assert "Iter(train) [2/2]" in log


@pytest.mark.parametrize("wrapper", ["RepeatDataset", "ConcatDataset", "both"])
def test_the_dataset_behind_wrappers_is_the_one_that_counts(
    tmp_path: Path, data: Path, wrapper: str
) -> None:
    inner = dataset(data)
    wrapped = {
        "RepeatDataset": {"type": "RepeatDataset", "times": 2, "dataset": inner},
        "ConcatDataset": {"type": "ConcatDataset", "datasets": [inner, inner]},
        "both": {
            "type": "RepeatDataset",
            "times": 2,
            "dataset": {"type": "ConcatDataset", "datasets": [inner]},
        },
    }[wrapper]
    runner = run_runner(
        run_config(tmp_path / "good", run_model(run_head(5)), wrapped, hooks=[HOOK])
    )
    runner.train()
    config = run_config(tmp_path / "bad", run_model(run_head(4)), wrapped, hooks=[HOOK])
    with pytest.raises(
        ClassCountError, match="is 4, but the training dataset BaseSegDataset has 5"
    ):
        run_runner(config).train()


@pytest.mark.parametrize("other", [run_names(4), run_names(5)[::-1]])
def test_validation_with_other_classes_or_another_order(
    tmp_path: Path, data: Path, other: Any
) -> None:
    model = run_model(run_head(5))
    config = run_config(tmp_path, model, dataset(data), dataset(data, other), hooks=[HOOK])
    with pytest.raises(ClassCountError) as caught:
        run_runner(config).train()
    assert "MSF201 dataset-classes: val_dataloader.dataset.metainfo.classes is " in str(
        caught.value
    )
    assert "1 finding:" in str(caught.value)
    assert "rebuilds the class layers" not in str(caught.value)


def test_an_evaluator_that_counts_other_classes(tmp_path: Path, data: Path) -> None:
    config = run_config(
        tmp_path, run_model(run_head(5)), dataset(data), dataset(data), hooks=[HOOK]
    )
    runner = run_runner(config)
    runner.val_loop.evaluator.metrics[0].dataset_meta = {"classes": run_names(3)}
    with pytest.raises(ClassCountError, match=r"val_evaluator\.0\.dataset_meta\.classes is .*IoUM"):
        runner.val()


def test_missing_classes_are_a_warning_and_the_rest_is_checked(tmp_path: Path, data: Path) -> None:
    config = run_config(tmp_path, run_model(run_head(5)), dataset(data, None), hooks=[HOOK])
    runner = run_runner(config)
    runner.train()
    assert "MSF201 dataset-classes: train_dataloader.dataset.metainfo.classes is not set" in (
        run_log(runner)
    )


def test_classes_that_are_one_text(tmp_path: Path, data: Path) -> None:
    config = run_config(tmp_path, run_model(run_head(5)), dataset(data, "water"), hooks=[HOOK])
    with pytest.raises(ClassCountError, match=r"MSF203 classes-not-a-list.*write \('water',\)"):
        run_runner(config).train()


def test_a_class_layer_of_another_size_than_its_head_says() -> None:
    model = build(run_model(run_head(5), [run_head(5)]))
    assert offences(model, 5) == {}
    head = model.auxiliary_head[0]
    head.num_classes = head.out_channels = 4
    assert offences(model, 4) == {
        "decode_head.num_classes": 4,
        "auxiliary_head.0.conv_seg": 4,
    }


def test_one_sigmoid_channel_is_right_for_two_classes_only() -> None:
    sigmoid = {"type": "CrossEntropyLoss", "use_sigmoid": True, "class_weight": [4.0]}
    binary = run_head(2, out_channels=1, threshold=0.5, loss_decode=sigmoid)
    assert offences(build(run_model(binary)), 2) == {}
    five = run_head(5, out_channels=1, threshold=0.5)
    assert offences(build(run_model(five)), 5) == {"decode_head.out_channels": 5}


def test_subclasses_of_known_heads_are_known() -> None:
    from mmseg.models.decode_heads import FCNHead, STDCHead
    from mmseg.registry import MODELS

    @MODELS.register_module(force=True)
    class MyHead(FCNHead):  # type: ignore[misc]
        pass

    @MODELS.register_module(force=True)
    class MyEdgeHead(STDCHead):  # type: ignore[misc]
        pass

    edges = run_head(2, type="MyEdgeHead", boundary_threshold=0.1)
    model = build(run_model(run_head(19, type="MyHead"), [edges]))
    assert offences(model, 5) == {"decode_head.num_classes": 5}
    assert [h.type_name for h in find_heads(model)] == ["MyHead", "MyEdgeHead"]


def test_a_wrapped_model_is_read() -> None:
    from mmengine.model import BaseModel, is_model_wrapper
    from mmengine.registry import MODEL_WRAPPERS

    @MODEL_WRAPPERS.register_module(force=True)
    class Wrapper(BaseModel):  # type: ignore[misc]
        def __init__(self, module: Any) -> None:
            super().__init__()
            self.module = module

        def forward(self, *args: Any) -> None: ...

    wrapped = Wrapper(build(run_model(run_head(19))))
    assert is_model_wrapper(wrapped)
    assert offences(wrapped, 5) == {"decode_head.num_classes": 5}


def test_no_classes_anywhere_is_no_error() -> None:
    nameless = Split("train", ("train_dataloader", "dataset"), Data(None))
    found = check_classes(build(run_model(run_head(5))), [nameless])
    assert [d.severity for d in found] == [Severity.WARNING]


def test_an_unknown_action_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="action is 'repair', but one of"):
        ClassCountHook(action="repair")


def test_the_error_survives_pickling() -> None:
    again = pickle.loads(pickle.dumps(ClassCountError("text")))
    assert (type(again), str(again)) == (ClassCountError, "text")


# Zoo models: what is said of them, and what fixing them gives. The first of each distinct head.

ZOO = {
    "pspnet": "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py",
    "knet": "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py",
    "mask2former": "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py",
    "maskformer": "maskformer/maskformer_r50-d32_8xb2-160k_ade20k-512x512.py",
    "stdc": "stdc/stdc1_4xb12-80k_cityscapes-512x1024.py",
    "point_rend": "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
    "segmenter": "segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512.py",
    "danet": "danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "encnet": "encnet/encnet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
    "pidnet": "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py",
    "ddrnet": "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py",
    "ocrnet": "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py",
    "cgnet": "cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py",
}

#: What follows five classes in some of them, beside ``num_classes`` of each plain head.
KEYS = {
    "pspnet": {"decode_head.num_classes": 5, "auxiliary_head.num_classes": 5},
    "knet": {
        "decode_head.kernel_generate_head.num_classes": 5,
        **{f"decode_head.kernel_update_head.{i}.num_classes": 5 for i in range(3)},
        "auxiliary_head.num_classes": 5,
    },
    "mask2former": {"decode_head.num_classes": 5, "decode_head.loss_cls.class_weight": 6},
    "stdc": {
        "decode_head.num_classes": 5,
        "auxiliary_head.0.num_classes": 5,
        "auxiliary_head.1.num_classes": 5,
    },
    "cgnet": {"decode_head.num_classes": 5, "decode_head.loss_decode.class_weight": 5},
}


def patched(config: Any, count: int = 5) -> Any:
    from mmseg_fixkit.apis.patch import patch

    return patch(config, LabelSpace(run_names(count)), guards=False).config


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def plain(module: Any) -> dict[str, Any]:
    """Every number, text and list that a model keeps, by path."""
    kinds = (int, float, str, list, tuple, type(None))
    return {
        f"{path}.{name}": value
        for path, child in module.named_modules()
        for name, value in vars(child).items()
        if isinstance(value, kinds) and not name.startswith("_") and name != "training"
    }


@pytest.mark.parametrize("name", KEYS)
def test_what_is_said_of_zoo_models(name: str) -> None:
    config = run_zoo_model(zoo_path(f"mmseg::{ZOO[name]}"))
    model = build(config.model)
    assert offences(model, 5) == KEYS[name]
    assert offences(model, model.num_classes) == {}


def assert_fixed_like_built(config: Any, count: int) -> None:
    live, config_after = build(config.model), patched(config, count)
    replacements = plan_model(live, config.model, config_after.model)
    names = [name for name, _ in live.named_modules()]
    apply_replacements(replacements)
    expected = build(config_after.model)
    assert shapes(live) == shapes(expected)
    assert {k: v for k, v in plain(live).items() if "." in k.strip(".")} == {
        k: v for k, v in plain(expected).items() if "." in k.strip(".")
    }
    assert names == [name for name, _ in live.named_modules()]
    assert offences(live, count) == {}
    assert plan_model(live, config.model, config_after.model) == ()


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=needs_mmseg_1_2 if name == "ddrnet" else ()) for name in ZOO],
)
def test_a_fixed_zoo_model_is_as_one_built_for_the_classes(name: str) -> None:
    assert_fixed_like_built(run_zoo_model(zoo_path(f"mmseg::{ZOO[name]}")), 5)


def first_of_each_head() -> list[str]:
    """One config for each distinct combination of decode and auxiliary head types."""
    root = zoo_path(f"mmseg::{ZOO['pspnet']}").parent.parent
    chosen: dict[Any, str] = {}
    for path in sorted(root.glob("[!_]*/*.py")):
        config = Config.fromfile(str(path), import_custom_modules=False)
        heads = [config.model.get(k) for k in ("decode_head", "auxiliary_head")]
        chosen.setdefault(str([types(h) for h in heads]), str(path))
    return list(chosen.values())


def types(head: Any) -> Any:
    if isinstance(head, (list, tuple)):
        return [types(h) for h in head]
    return head and str(head.type)


@pytest.mark.slow
def test_every_distinct_head_of_the_zoo_is_fixed() -> None:
    failed, fixed = [], 0
    for path in first_of_each_head():
        config = run_zoo_model(Path(path))
        # Depth estimation has no classes; ConvNeXt and PoolFormer need a package more.
        if "vpd" in path or "mmpretrain" in str(config.model.get("backbone")):
            continue
        try:
            assert_fixed_like_built(config, 5)
            fixed += 1
        except Exception as error:
            failed.append(f"{path}: {type(error).__name__}: {error}")
    assert failed == []
    assert fixed >= 35  # 37 in mmsegmentation 1.2.2


# Fixing a run


def optimizer_parameters(wrapper: Any) -> set[int]:
    return {id(p) for group in wrapper.optimizer.param_groups for p in group["params"]}


WRAPPERS: dict[str, Any] = {
    "plain": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
    "accumulating": {
        "type": "OptimWrapper",
        "optimizer": {"type": "AdamW", "lr": 0.01},
        "accumulative_counts": 2,
        "clip_grad": {"max_norm": 1.0},
    },
    "by parameter": {
        "type": "OptimWrapper",
        "optimizer": {"type": "AdamW", "lr": 0.01},
        "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 10.0}}},
    },
}


NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="MMEngine's AMP needs a GPU")


@pytest.mark.parametrize("wrapper", [*WRAPPERS, pytest.param("amp", marks=NEEDS_GPU)])
def test_fix_makes_an_unpatched_config_train(tmp_path: Path, data: Path, wrapper: str) -> None:
    torch.manual_seed(0)
    model = run_model(run_head(19), [run_head(19), run_head(19)])
    amp = {"type": "AmpOptimWrapper", "optimizer": {"type": "AdamW", "lr": 0.01}}
    options = {"optim_wrapper": WRAPPERS.get(wrapper, amp)}
    ema = {"type": "EMAHook"}
    config = run_config(
        tmp_path, model, dataset(data), dataset(data), hooks=[ema, FIX], iters=3, **options
    )
    runner = run_runner(config)
    trained = watch(runner, "decode_head.conv_seg.weight", "auxiliary_head.1.conv_seg.bias")
    runner.train()
    live = {id(p) for p in runner.model.parameters()}
    assert optimizer_parameters(runner.optim_wrapper) == live
    assert runner.model.num_classes == runner.model.out_channels == 5
    assert all(len(v) == 3 and not torch.equal(v[0], v[-1]) for v in trained.values())
    assert runner.test()["mIoU"] >= 0
    log = run_log(runner)
    assert log.count("rebuilt the class layers of the model for 5 classes") == 1
    assert "decode_head.conv_seg.weight" in log
    assert "(5, 8, 1, 1)" in log


def watch(runner: Any, *names: str) -> dict[str, list[torch.Tensor]]:
    """Record parameters after each training step."""
    from mmengine.hooks import Hook

    seen: dict[str, list[torch.Tensor]] = {name: [] for name in names}

    class Watch(Hook):  # type: ignore[misc]
        def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            for name, values in seen.items():
                values.append(runner.model.get_parameter(name).detach().clone())

    runner.register_hook(Watch())
    return seen


def test_the_config_of_the_run_follows(tmp_path: Path, data: Path) -> None:
    config = run_config(tmp_path, run_model(run_head(19)), dataset(data), hooks=[FIX])
    runner = run_runner(config)
    runner.train()
    dumped = Config.fromfile(str(tmp_path / "config.py"))
    assert runner.cfg.model.decode_head.num_classes == 5
    assert dumped.model.decode_head.num_classes == 5
    assert "num_classes=5" in runner.message_hub.get_info("cfg")
    assert shapes(build(dumped.model)) == shapes(runner.model)


def test_new_layers_have_the_initialisation_of_their_head(tmp_path: Path, data: Path) -> None:
    head = run_head(
        19, init_cfg={"type": "Constant", "val": 0.25, "override": {"name": "conv_seg"}}
    )
    config = run_config(tmp_path, run_model(head), dataset(data), dataset(data), hooks=[FIX])
    runner = run_runner(config)
    runner.test()  # where MMEngine initialises nothing
    conv = runner.model.decode_head.conv_seg
    assert torch.equal(conv.weight, torch.full((5, 8, 1, 1), 0.25))


def test_nothing_to_fix_is_silent_and_touches_nothing(tmp_path: Path, data: Path) -> None:
    config = run_config(tmp_path, run_model(run_head(5)), dataset(data), hooks=[FIX])
    before = Path(config.filename).read_text()
    runner = run_runner(config)
    weight = runner.model.decode_head.conv_seg.weight
    runner.train()
    assert runner.model.decode_head.conv_seg.weight is weight
    assert Path(config.filename).read_text() == before
    assert "ClassCountHook rebuilt" not in run_log(runner)


def test_several_optimizers_hold_the_live_parameters(tmp_path: Path, data: Path) -> None:
    from mmengine.optim import OptimWrapper, OptimWrapperDict

    runner = run_runner(run_config(tmp_path, run_model(run_head(19)), dataset(data), hooks=[FIX]))
    model = runner.model
    runner.optim_wrapper = OptimWrapperDict(
        backbone=OptimWrapper(torch.optim.SGD(model.backbone.parameters(), lr=0.1)),
        head=OptimWrapper(torch.optim.SGD(model.decode_head.parameters(), lr=0.1)),
    )
    runner.train_loop  # noqa: B018 - built when first asked for
    runner.call_hook("before_run")
    held = optimizer_parameters(runner.optim_wrapper["head"])
    assert held == {id(p) for p in model.decode_head.parameters()}


def test_frozen_layers_stay_frozen(tmp_path: Path, data: Path) -> None:
    runner = run_runner(run_config(tmp_path, run_model(run_head(19)), dataset(data), hooks=[FIX]))
    runner.model.decode_head.conv_seg.bias.requires_grad = False
    runner.train_loop  # noqa: B018 - built when first asked for
    runner.call_hook("before_run")
    conv = runner.model.decode_head.conv_seg
    assert (conv.bias.requires_grad, conv.weight.requires_grad) == (False, True)


def test_a_run_without_model_config_is_refused(tmp_path: Path, data: Path) -> None:
    from mmengine.runner import Runner

    config = run_config(tmp_path, run_model(run_head(19)), dataset(data), hooks=[FIX])
    options = {k: v for k, v in config.to_dict().items() if k not in ("model", "custom_imports")}
    runner = Runner(model=build(config.model), **options)
    with pytest.raises(ClassCountError, match=r"without one; .*`mmseg-fix patch`"):
        runner.train()


def test_a_model_that_is_not_what_its_config_says_is_refused(tmp_path: Path, data: Path) -> None:
    runner = run_runner(run_config(tmp_path, run_model(run_head(19)), dataset(data), hooks=[FIX]))
    runner.model.decode_head.extra = torch.nn.Conv2d(1, 1, 1)
    with pytest.raises(ClassCountError, match="the layers of decode_head are"):
        runner.train()
    assert runner.model.decode_head.num_classes == 19


def test_what_fix_cannot_repair_still_stops_the_run(tmp_path: Path, data: Path) -> None:
    model = run_model(run_head(19))
    config = run_config(tmp_path, model, dataset(data), dataset(data, run_names(4)), hooks=[FIX])
    with pytest.raises(ClassCountError, match=r"1 finding:\n  MSF201"):
        run_runner(config).train()


def test_one_class_is_refused(tmp_path: Path, data: Path) -> None:
    config = run_config(tmp_path, run_model(run_head(19)), dataset(data, ["road"]), hooks=[FIX])
    with pytest.raises(ClassCountError, match="one class only, 'road'"):
        run_runner(config).train()


@pytest.mark.parametrize("name", ["mask2former", "knet"])
def test_zoo_models_train_after_the_fix(tmp_path: Path, data: Path, name: str) -> None:
    zoo = run_zoo_model(zoo_path(f"mmseg::{ZOO[name]}"), size=64)
    big = run_dataset(tmp_path / "data", 5, images=2, size=64)
    config = run_config(tmp_path / "work", zoo.model.to_dict(), dataset(big), hooks=[FIX], iters=1)
    runner = run_runner(config)
    runner.train()
    assert "Iter(train) [1/1]" in run_log(runner)
    assert optimizer_parameters(runner.optim_wrapper) >= {
        id(p) for p in runner.model.parameters() if p.requires_grad
    }
    assert offences(runner.model, 5) == {}


def test_what_the_rules_know_of_the_config_is_in_the_log(tmp_path: Path, data: Path) -> None:
    config = run_config(
        tmp_path, run_model(run_head(5)), dataset(data), dataset(data), hooks=[HOOK]
    )
    config.val_evaluator.ignore_index = 254  # as on the command line, after the file was read
    runner = run_runner(config)
    runner.train()
    log = run_log(runner)
    assert log.count("MSF303 ignore-index-mismatch: val_evaluator.ignore_index is 254") == 1


def test_a_sound_config_has_nothing_said_of_it(tmp_path: Path, data: Path) -> None:
    config = run_config(
        tmp_path, run_model(run_head(5)), dataset(data), dataset(data), hooks=[HOOK]
    )
    runner = run_runner(config)
    runner.train()
    assert "MSF" not in run_log(runner)


# What it says of an evaluation


@pytest.mark.parametrize("verb", ["train", "val", "test"])
def test_classes_that_an_evaluation_does_not_meet_are_named(tmp_path: Path, verb: str) -> None:
    root = run_dataset(tmp_path / "data", 3)  # labels 0, 1 and 2 of five classes
    names = ("soil", "weed", "crop", "stone", "sky")
    data = run_dataset_config(root, names)
    train = {"type": "IterBasedTrainLoop", "max_iters": 2, "val_interval": 1}
    config = run_config(
        tmp_path / "run", run_model(run_head(5)), data, data, hooks=[HOOK], train_cfg=train
    )
    runner = run_runner(config)
    # Says "crop" in every pixel.
    runner.model.init_weights = lambda: None
    torch.nn.init.zeros_(runner.model.decode_head.conv_seg.weight)
    runner.model.decode_head.conv_seg.bias.data = torch.tensor([0.0, 0.0, 50.0, 0.0, 0.0])
    getattr(runner, verb)()
    log = run_log(runner)
    times = 2 if verb == "train" else 1
    never = "2 of 5 classes are in the ground truth, but never predicted (IoU 0): soil, weed"
    absent = "2 of 5 classes are not in the ground truth and not predicted"
    assert log.count(never) == times
    assert log.count(absent) == times
    assert "stone, sky" in log


def test_areas_are_put_into_words() -> None:
    # intersection, union, prediction, label
    areas = [[0, 0, 0, 0, 4], [0, 3, 5, 6, 5], [0, 3, 0, 3, 5], [0, 0, 5, 3, 4]]
    said = list(in_words(areas, ("absent", "ghost", "missed", "beside", "fine")))
    assert [text.rpartition(": ")[2] for text in said] == ["absent", "ghost", "missed", "beside"]
    assert all(text.startswith("1 of 5 classes") for text in said)


def test_a_sound_evaluation_is_not_commented() -> None:
    assert list(in_words([[3, 4], [5, 5], [4, 5], [4, 4]], ("a", "b"))) == []


def test_what_is_found_and_expected_are_the_counts_of_the_built_parts() -> None:
    sigmoid = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    one = run_head(5, out_channels=1, threshold=0.5, loss_decode=sigmoid)
    found = check_classes(build(run_model(one, [run_head(7)])), [split(5)])
    assert [(d.code, format_key(d.key), d.found, d.expected) for d in found] == [
        ("MSF104", "model.decode_head.out_channels", 1, 5),
        ("MSF101", "model.auxiliary_head.0.num_classes", 7, 5),
    ]
