"""The part of ``make zoo`` that runs with every test, and that what it wrote is fresh."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmseg_fixkit import patch
from mmseg_fixkit.apis.check_files import CheckTarget, check_all
from tests.helpers.paths import DOCS
from tests.helpers.runs import NEEDS, run_portable
from tests.zoo.build import build, build_shapes
from tests.zoo.configs import ROOT, all_configs, head_types, one_of_each_method
from tests.zoo.findings import Finding, findings_of, name_of, unexplained
from tests.zoo.modes import MODES, Written, read
from tests.zoo.page import TOTAL, Zoo, findings_section, render, with_findings
from tests.zoo.steps import Result, run, wrong_plan
from tests.zoo.tensors import Tensors, compare, wrong_counts
from tests.zoo.train import STEPS, Step, Trained, train
from tests.zoo.work import Log, versions

PAGE = DOCS / "zoo.md"
METHODS = one_of_each_method()
#: The other ways of writing are tried on each case in ``tests/rules/cases``.
READ_IN_THE_SUITE = tuple(mode for mode in MODES if mode.name in ("overlay", "in-place"))
PSPNET = "pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"


def installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


CLASSIC = pytest.mark.skipif(
    installed("mmsegmentation") != "1.2.2", reason="the page is about mmsegmentation 1.2.2"
)


@pytest.fixture(autouse=True)
def _metafiles_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmengine.config import utils

    monkeypatch.setattr(utils, "load", LOAD)


@cache
def LOAD(file: str) -> Any:  # noqa: N802 - takes the place of MMEngine's function
    from mmengine.fileio import load

    return load(file)


# Every method and every head type


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_patched_written_and_built(method: str) -> None:
    result = run(METHODS[method].relative_to(ROOT).as_posix(), (2, 7), READ_IN_THE_SUITE)
    assert result.problems == []
    assert result.written == {"overlay": 2, "in-place": 1}
    # The third is in the order in which the file itself names its keys.
    assert result.built in ((0,) if result.needs else (2, 3))
    assert bool(result.tensors) == (not result.needs)
    assert (result.class_sized > 0) == (not result.needs and method != "san")


def by_speed() -> Iterator[Any]:
    for step in STEPS:
        name = Path(step.config).stem.split("_4xb")[0].split("_8xb")[0].split("_2xb")[0]
        yield pytest.param(step, id=name, marks=() if step.quick else pytest.mark.slow)


@pytest.mark.parametrize("step", by_speed())
def test_every_head_type_trains(step: Step) -> None:
    result = train(step)
    if result.needs:
        pytest.skip(f"needs {result.needs}, which is not installed here")
    assert result.problems == []
    assert result.losses["loss"] > 0
    assert (result.class_tensors > 0) == ("SideAdapter" not in result.heads)


@pytest.mark.slow
def test_every_head_type_of_the_zoo_has_a_step() -> None:
    models = {config: read(ROOT / config).model.to_dict() for config in all_configs()}
    found = {head_types(model) for model in models.values()} - {"VPDDepthHead"}
    stepped = {head_types(models[step.config]) for step in STEPS}
    assert stepped == found, (
        f"give {sorted(found - stepped)} a Step in tests/zoo/train.py, and take out those of "
        f"{sorted(stepped - found)}"
    )
    assert len(found) == len(STEPS), "one Step in tests/zoo/train.py is enough for a head type"


@pytest.mark.parametrize("step", [s for s in STEPS if "18" in s.config or "-t_" in s.config])
def test_shapes_without_memory_are_those_of_real_models(step: Step) -> None:
    model = run_portable(read(ROOT / step.config)).model
    light, device = build_shapes(model)
    assert device == "meta"
    assert {p.device.type for p in light.parameters()} == {"meta"}
    assert Tensors.of(light).shapes == Tensors.of(build(model)).shapes


# The comparison finds what is wrong


def tensors(config: Any) -> Tensors:
    return Tensors.of(build_shapes(run_portable(config).model)[0])


#: Half a patch -> words of what is said about it.
HALF: dict[str, tuple[str, dict[str, Any], str]] = {
    "a head left out": (PSPNET, {"decode_head.num_classes": 7}, "auxiliary_head.conv_seg.weight"),
    "nothing": (PSPNET, {}, "decode_head.conv_seg.weight is"),
    "another layer": (
        PSPNET,
        {"decode_head.num_classes": 7, "auxiliary_head.num_classes": 7, "backbone.depth": 34},
        "backbone.layer1.2.conv1.weight is",
    ),
    "one of a list": (
        "ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py",
        {"decode_head.0.num_classes": 7},
        "decode_head.1.conv_seg.weight",
    ),
    "the coarse head of two": (
        "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py",
        {"decode_head.0.num_classes": 7},
        "decode_head.1.fcs.0.conv.weight",
    ),
    "the weights": (
        "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py",
        {"decode_head.num_classes": 7},
        "class_weight) is 19, but has to be 7",
    ),
    "the weight of no object": (
        "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py",
        {"decode_head.num_classes": 7, "decode_head.loss_cls.class_weight": [1.0] * 7},
        "class_weight) is 7, but has to be 8",
    ),
    "edges": (
        "stdc/stdc1_4xb12-80k_cityscapes-512x1024.py",
        {
            "decode_head.num_classes": 7,
            "auxiliary_head.0.num_classes": 7,
            "auxiliary_head.1.num_classes": 7,
            "auxiliary_head.2.num_classes": 7,
        },
        "auxiliary_head.2.num_classes is 7, but has to be 2",
    ),
}


@pytest.mark.parametrize("case", HALF)
def test_half_a_patch_is_noticed(case: str) -> None:
    name, options, words = HALF[case]
    package = NEEDS.get(name.partition("/")[0])
    if package:
        pytest.importorskip(package)
    config = read(ROOT / name)
    before = tensors(config)
    config.merge_from_dict({f"model.{key}": value for key, value in options.items()})
    after = tensors(config)
    said = [*compare(before, after, 7).problems, *wrong_counts(before, after, 7)]
    assert any(words in text for text in said), said


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train_dataloader.dataset.metainfo.classes", ("a", "b"), "has the classes ('a', 'b')"),
        ("model.decode_head.num_classes", 9, "num_classes is 9, but the plan has 7"),
        ("optim_wrapper.optimizer.lr", 1.0, "optimizer.lr is 1.0, but the plan has 0.01"),
        ("custom_hooks", [], "again: MSF207"),
    ],
)
def test_a_file_that_says_something_else_is_noticed(key: str, value: Any, words: str) -> None:
    planned = patch(ROOT / PSPNET, 7)
    changed = planned.config
    changed.merge_from_dict({key: value})
    said = list(wrong_plan(Written(planned, changed), planned.context.document))
    assert any(words in text for text in said), said
    assert list(wrong_plan(Written(planned, planned.config), planned.context.document)) == []


# What check says of the zoo


@cache
def checked() -> tuple[Any, ...]:
    return tuple(check_all([CheckTarget(str(ROOT / config)) for config in all_configs()], 2))


@CLASSIC
def test_the_page_is_fresh() -> None:
    page = PAGE.read_text()
    assert f"| {TOTAL} | {len(all_configs())} |" in page, "run: make zoo"
    assert findings_section(findings_of(checked())) in page, "run: make zoo-findings"
    assert unexplained(findings_of(checked())) == []
    refused = [name_of(outcome.config) for outcome in checked() if outcome.error]
    assert len(refused) == 2
    assert all(f"| `{name}` | " in page for name in refused)


SAN = ROOT / "san"


@CLASSIC
@pytest.mark.parametrize(
    ("name", "outputs"), [("pascal_context", 59 + 1), ("voc12aug", 20 + 1), ("coco-stuff164k", 172)]
)
def test_weights_of_san_that_fit_another_data_set(name: str, outputs: int) -> None:
    """MSF102: the loss stops, unless the data set is the one of the base file."""
    loss = build(read(SAN / f"san-vit-b16_{name}-640x640.py").model.decode_head.loss_decode[0])
    scores, labels = torch.zeros(100, outputs), torch.zeros(100, dtype=torch.int64)
    if outputs == 172:
        assert loss(scores, labels).isfinite()
        return
    with pytest.raises(RuntimeError, match=f"either for all {outputs} classes or no classes"):
        loss(scores, labels)


@CLASSIC
def test_labels_of_san_that_training_and_validation_read_differently(tmp_path: Path) -> None:
    """MSF101 and MSF201: aeroplane is 1 in training, but 0 in validation and to the model."""
    import numpy as np
    from mmseg.registry import DATASETS, TRANSFORMS
    from mmseg.utils import get_classes
    from PIL import Image

    config = read(SAN / "san-vit-b16_voc12aug-640x640.py")
    for folder in ("JPEGImages", "SegmentationClass"):
        (tmp_path / folder).mkdir()
    (tmp_path / "list.txt").write_text("x\n")
    Image.fromarray(np.array([[1, 20]], np.uint8)).save(tmp_path / "SegmentationClass" / "x.png")
    found = {}
    for split in ("train", "val"):
        inner = config[f"{split}_dataloader"].dataset
        inner = inner.datasets[0] if "datasets" in inner else inner
        prefix = {"img_path": "JPEGImages", "seg_map_path": "SegmentationClass"}
        built = build_dataset(inner, tmp_path, prefix, DATASETS)
        step = TRANSFORMS.build({"type": "LoadAnnotations"})
        found[split] = step(dict(built[0]))["gt_seg_map"].tolist()
    assert found == {"train": [1, 20], "val": [0, 19]}
    assert get_classes(config.model.text_encoder.dataset_name)[1] == "aeroplane"
    assert config.model.decode_head.num_classes == 20


def build_dataset(config: Any, root: Path, prefix: dict[str, str], registry: Any) -> Any:
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")
    own = {"data_root": str(root), "data_prefix": prefix, "ann_file": "list.txt", "pipeline": []}
    return registry.build(Config({**config, **own})._cfg_dict)


# The command


def test_the_command_runs_a_part_and_goes_on_from_its_log(tmp_path: Path) -> None:
    def make() -> subprocess.CompletedProcess[str]:
        words = ["--only", "*/erfnet*", "--counts", "2", "--jobs", "1", "--resume"]
        command = [sys.executable, "-m", "tests.zoo", *words, "--log", "zoo.jsonl", "-o", "zoo.md"]
        root = str(PAGE.parent.parent)
        environment = {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "PATH": ""}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    first = make()
    assert first.returncode == 0, first.stderr
    assert "1 configs: 1 patched, 0 refused; 1 built, 0 head types trained" in first.stderr
    head, line = (tmp_path / "zoo.jsonl").read_text().splitlines()
    assert json.loads(head)["counts"] == [2]
    assert json.loads(line)["written"] == {"overlay": 1}
    assert "1 of 1 were done before" in make().stderr
    assert not (tmp_path / "zoo.md").exists(), "a part of the zoo is no page"


def test_a_log_keeps_what_went_well(tmp_path: Path) -> None:
    file = tmp_path / "zoo.jsonl"
    log = Log.open(file, (2,), resume=False)
    log.add("good", Result("a/b.py", written={"overlay": 1}))
    log.add("bad", Result("a/c.py", problems=["x"]))
    log.add("step", Trained("a/b.py", losses={"loss": 1.0}))
    assert set(Log.open(file, (2,), resume=True).done) == {"good", "step"}
    assert Log.open(file, (2, 7), resume=True).done == {}
    assert Log.open(file, (2,), resume=True).done == {}, "the other counts began a new log"


def test_the_page_tells_what_is_wrong() -> None:
    good = Result("a/b.py", heads="AHead", device="meta", written={"overlay": 4}, tensors=1234)
    other = Result("a/c.py", heads="BHead", device="meta", problems=["conv_seg is 19"])
    far = Result("d/e.py", heads="AHead", needs="mmpretrain")
    step = Trained("a/b.py", "AHead", 64, {"loss": 1.95, "decode.loss_ce": 1.95}, 2)
    zoo = Zoo.of(versions(), (2,), [], [good, other, far, step])
    assert zoo.problems() == ["a/c.py: conv_seg is 19"]
    assert zoo.untrained() == ["no training step for BHead"]
    page = render(zoo)
    assert f"| {TOTAL} | 3 |" in page
    found = (Finding("san/san-vit-b16_voc12aug-640x640.py", "MSF101", "model.x"),)
    assert with_findings(render(replace(zoo, findings=found)), ()) == page
    assert with_findings(page, found) == render(replace(zoo, findings=found))
    assert "| tensors compared | 1,234 |" in page
    assert "| AHead | 2 | `a/b.py` | 64 | 2 | 1.9 (of 1) |" in page
    assert "- `d/e.py`: needs mmpretrain" in page
