"""Values of a wrong type: MMSegmentation stops at each that is found, and takes what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from mmengine.config import Config

from mmseg_fixkit import check, patch
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.tree import plain, same
from mmseg_fixkit.config.value_types import wrong_types
from mmseg_fixkit.core.diagnostics import EditKind, parse_key
from tests.helpers.runs import (
    run_config,
    run_dataset,
    run_dataset_config,
    run_head,
    run_model,
    run_names,
    run_runner,
)

HEAD = "model.decode_head"
DATA = "train_dataloader.dataset"
STEPS = f"{DATA}.pipeline"

#: Key, value: the run that has it stops.
STOPS: list[tuple[str, Any]] = [
    (f"{HEAD}.num_classes", [3]),
    (f"{HEAD}.num_classes", 3.0),
    (f"{HEAD}.out_channels", "3"),
    (f"{HEAD}.ignore_index", [255]),
    (f"{HEAD}.sampler", 5),
    (f"{HEAD}.loss_decode", 5),
    (f"{HEAD}.loss_decode.class_weight", 2.0),
    ("model.decode_head", 5),
    (f"{DATA}.data_prefix", 2.5),
    (f"{DATA}.data_root", 5),
    (f"{DATA}.img_suffix", None),
    (f"{DATA}.metainfo", 5),
    (f"{DATA}.pipeline", 5),
    (f"{DATA}.pipeline", {"type": "LoadImageFromFile"}),
    (f"{STEPS}.1", "LoadAnnotations"),
    ("train_dataloader", 5),
    ("val_evaluator", ({"type": "IoUMetric"},)),
    ("custom_hooks", 5),
    ("custom_hooks", [5]),
    ("custom_imports", 5),
    ("custom_imports.imports", 5),
    ("custom_imports.imports", ("mmseg_fixkit",)),
]

#: Key, value: the run that has it goes on.
GOES_ON: list[tuple[str, Any]] = [
    (f"{HEAD}.out_channels", None),
    (f"{HEAD}.loss_decode", [{"type": "CrossEntropyLoss"}]),
    (f"{HEAD}.loss_decode", ({"type": "CrossEntropyLoss"},)),
    ("model.auxiliary_head", None),
    (f"{DATA}.ignore_index", None),
    (f"{DATA}.pipeline", tuple(run_dataset_config(Path(), 1)["pipeline"])),
    ("custom_hooks", ()),
    ("custom_imports.imports", None),
    ("custom_imports.imports", "mmseg_fixkit"),
    ("val_evaluator", [{"type": "IoUMetric"}]),
]


def config(folder: Path, key: str = "", value: Any = None) -> Config:
    """Return a config that trains, with one value changed."""
    files = run_dataset(folder / "data", 3, images=2)
    dataset = run_dataset_config(files, run_names(3))
    found = run_config(folder, run_model(run_head(3)), dataset, dataset, iters=1)
    place: Any = found
    *parents, last = parse_key(key) if key else ("_",)
    for part in parents:
        place = place[part]
    place[last] = value
    return found


def fault(folder: Path, key: str, value: Any) -> Optional[str]:
    """Train and validate once as ``tools/train.py`` does; return what stopped it."""
    given = config(folder, key, value)
    given.work_dir = str(folder)
    given.dump(str(folder / "changed.py"))
    try:
        run = run_runner(Config.fromfile(str(folder / "changed.py")))
        run.train()
        run.val()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def ids(entries: list[tuple[str, Any]]) -> list[Any]:
    return [pytest.param(*entry, id=f"{entry[0]}={entry[1]!r:.30}") for entry in entries]


@pytest.mark.parametrize(("key", "value"), ids(STOPS))
def test_what_stops_the_host_is_found(key: str, value: Any, tmp_path: Path) -> None:
    path = parse_key(key)
    found = check(config(tmp_path, key, value)).diagnostics
    assert any(d.key[: len(path)] == path and "MMSegmentation needs" in d.message for d in found)
    assert fault(tmp_path, key, value) is not None


@pytest.mark.parametrize(("key", "value"), ids(GOES_ON))
def test_what_the_host_takes_is_not_found(key: str, value: Any, tmp_path: Path) -> None:
    assert list(wrong_types(plain(config(tmp_path, key, value)._cfg_dict))) == []
    assert fault(tmp_path, key, value) is None


def test_what_is_wrong_silently_is_found_too(tmp_path: Path) -> None:
    """A metric that ignores 'x' ignores nothing."""
    given = config(tmp_path, "val_evaluator.ignore_index", "x")
    assert [d.code for d in check(given).diagnostics] == ["MSF119"]


BASE = {
    "model": {
        "type": "EncoderDecoder",
        "decode_head": {"type": "FCNHead", "in_channels": 8, "channels": 8, "num_classes": 3},
    },
    "train_dataloader": {
        "dataset": {"type": "BaseSegDataset", "metainfo": {"classes": ("a", "b", "c")}}
    },
}


def with_value(key: str, value: Any) -> Config:
    given = Config(BASE)
    place: Any = given
    *parents, last = parse_key(key)
    for part in parents:
        place = place[part]
    place[last] = value
    return given


def test_the_rule_that_knows_what_belongs_there_sets_it(tmp_path: Path) -> None:
    given = with_value(f"{HEAD}.num_classes", [19])
    (found,) = check(given).diagnostics
    assert (found.code, found.found) == ("MSF101", [19])
    assert "is [19], but MMSegmentation needs a whole number" in found.message
    planned = patch(given, 5, guards=False)
    assert planned.config.model.decode_head.num_classes == 5
    assert planned.plan.before["model"] != planned.plan.after["model"]
    assert given.model.decode_head.num_classes == [19]


def test_what_stands_in_the_way_of_an_edit_is_replaced(tmp_path: Path) -> None:
    given = with_value(f"{DATA}.data_prefix", 2.5)
    planned = patch(given, data_root="data/none", img_dir="images", guards=False)
    assert planned.config.train_dataloader.dataset.data_prefix.img_path == "images"
    assert planned.write(tmp_path / "flat.py", mode="flat")
    assert load(tmp_path / "flat.py").loaded == planned.plan.after
    hooks = patch(with_value("custom_hooks", 5), 3)
    assert [hook.type for hook in hooks.config.custom_hooks] == ["ClassCountHook", "HeadAdaptHook"]


@pytest.mark.parametrize("value", [np.int64(3), np.float64(3), np.array([3, 4]), np.array(3)])
@pytest.mark.parametrize("name", ["num_classes", "threshold", "ignore_index", "align_corners"])
def test_arrays_are_read_as_the_lists_and_numbers_they_are(name: str, value: Any) -> None:
    array, listed = (
        check(with_value(f"{HEAD}.{name}", v)).diagnostics for v in (value, value.tolist())
    )
    assert [(d.code, d.key) for d in array] == [(d.code, d.key) for d in listed]


def test_what_a_new_style_config_imports_is_not_known_here(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(
        "from mmseg.models import EncoderDecoder, FCNHead\n"
        "from theirs.constants import CLASSES, COUNT, PREFIX\n"
        "model = dict(type=EncoderDecoder, decode_head=dict(type=FCNHead, num_classes=COUNT))\n"
        "train_dataloader = dict(dataset=dict(\n"
        "    type='BaseSegDataset', metainfo=dict(classes=CLASSES), data_prefix=PREFIX))\n"
    )
    found = check(path, ("a", "b")).diagnostics
    assert "MSF119" not in {d.code for d in found}
    (count,) = (d for d in found if d.key[-1] == "num_classes")
    assert count.found == "theirs.constants.COUNT"
    assert "num_classes is 'theirs.constants.COUNT', but" in count.message


def test_hooks_that_are_not_known_here_are_not_lost() -> None:
    hooks = (hook for hook in [{"type": "EMAHook"}])
    given = Config(BASE)
    given._cfg_dict["custom_hooks"] = hooks
    planned = patch(given, 3)
    assert planned.plan.after["custom_hooks"] is hooks
    (left,) = (d for d in planned.plan.remaining if d.key == ("custom_hooks",))
    assert "add them where the hooks come from" in left.message


class Box:
    """Equal to nothing, not even to itself made again."""

    def __init__(self) -> None:
        self.value = 1


@pytest.mark.parametrize("make", [object, Box, lambda: np.array([1, 2]), lambda: np.float64("nan")])
def test_objects_that_a_config_makes_again_are_the_same(make: Any) -> None:
    assert same({"x": make()}, {"x": make()})
    assert not same({"x": make()}, {"x": 1})
    assert not same(np.array([1, 2]), np.array([1, 3]))


def test_an_entry_of_a_list_keeps_its_place() -> None:
    steps = ["LoadImageFromFile", {"type": "LoadAnnotations"}]
    planned = patch(with_value(f"{DATA}.pipeline", steps), ("a", "b"))
    (guard,) = (e for e in planned.plan.edits if e.kind is EditKind.INSERT)
    assert guard.key[-1] == 2
    pipeline: Any = planned.config.train_dataloader.dataset.pipeline
    assert pipeline[0] == "LoadImageFromFile"
    assert [step.type for step in pipeline[1:]] == ["LoadAnnotations", "AssertLabelBounds"]
