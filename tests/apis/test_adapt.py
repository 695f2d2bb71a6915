"""``mmseg-fix adapt`` and ``init_model``: files in, files and models out."""

from __future__ import annotations

import argparse
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from mmseg_fixkit import CheckpointMismatch, FixkitError, init_model, load_checkpoint
from mmseg_fixkit.checkpoint.files import write_checkpoint
from mmseg_fixkit.cli import app
from tests.cli.test_cli import imported_by
from tests.helpers.runs import run_head, run_model
from tests.zoo.build import build

OLD = ("wall", "floor", "tree", "sky", "road")
NEW = ("sky", "lamp", "wall", "road")
NAME = "decode_head.conv_seg.weight"
PALETTE = [[10 * i, 0, 0] for i in range(len(OLD))]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    torch.manual_seed(0)
    return build(run_model(run_head(5))).state_dict()


def config(name: str, classes: Any, heads: int, **more: Any) -> str:
    data = {"type": "BaseSegDataset"}
    if classes:
        data["metainfo"] = {"classes": classes}
    loader = {"dataset": data}
    tree = {"model": run_model(run_head(heads)), "train_dataloader": loader, **more}
    Path(name).write_text("\n".join(f"{key} = {value!r}" for key, value in tree.items()))
    return name


def save(name: str, state: dict[str, Any], **more: Any) -> str:
    meta = {"dataset_meta": {"classes": OLD, "palette": PALETTE}, "cfg": "model = 1", "iter": 7}
    ema = {**{f"module.{n}": v for n, v in state.items()}, "steps": torch.tensor(7)}
    whole = {"meta": meta, "state_dict": state, "optimizer": {"lr": 1}, "ema_state_dict": ema}
    torch.save({**whole, **more}, name)
    return name


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["adapt", *arguments])


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, FixkitError), result.output
    assert not Path("out.pth").exists()
    return str(result.exception)


# The command


def test_a_file_is_adapted_with_its_average_and_its_meta(state: dict[str, Any]) -> None:
    path = save("old.pth", state)
    digest = sha256(Path(path).read_bytes()).hexdigest()
    done = run(path, config("new.py", NEW, 4), "-o", "out.pth")
    assert done.exit_code == 0, done.output
    assert "2 are kept by class name" in done.output
    assert "classes kept: 3 of 4 (sky, wall, road)" in done.output
    assert "new, still to be learned: 1 (lamp)" in done.output
    assert "left out: 2 (floor, tree)" in done.output
    assert "dropped, as it belongs to the old classes: 1 (optimizer)" in done.output
    assert done.output.endswith("wrote out.pth\n")
    assert sha256(Path(path).read_bytes()).hexdigest() == digest

    made = load_checkpoint("out.pth")
    assert made.meta["dataset_meta"]["classes"] == list(NEW)
    assert len(made.meta["dataset_meta"]["palette"]) == 4
    assert "num_classes=4" in made.meta["cfg"]
    assert made.meta["iter"] == 7
    assert made.dropped == ()
    assert made.ema is not None
    assert made.ema["steps"] == 7
    assert made.ema.keys() - {"steps"} == {f"module.{n}" for n in made.state_dict}
    for weights in (made.state_dict[NAME], made.ema[f"module.{NAME}"]):
        assert torch.equal(weights[[0, 2, 3]], state[NAME][[3, 0, 4]])
    model = build(run_model(run_head(4)))
    assert model.load_state_dict(made.state_dict, strict=True)


def test_the_same_twice_is_the_same_file(state: dict[str, Any]) -> None:
    arguments = (save("old.pth", state), config("new.py", NEW, 4), "-o")
    assert [run(*arguments, name).exit_code for name in ("a.pth", "b.pth")] == [0, 0]
    assert Path("a.pth").read_bytes() == Path("b.pth").read_bytes()


def test_names_from_version_0_and_from_the_user(state: dict[str, Any]) -> None:
    new = config("new.py", NEW, 4)
    path = save("old.pth", state, meta={"CLASSES": OLD, "PALETTE": PALETTE})
    assert run(path, new, "-o", "0x.pth").exit_code == 0
    assert load_checkpoint("0x.pth").meta["CLASSES"] == list(NEW)
    bare = save("bare.pth", state, meta={})
    given = ("--old-classes", ",".join(OLD))
    assert run(bare, new, "-o", "bare-out.pth", *given).exit_code == 0
    first, second = (load_checkpoint(n).state_dict[NAME] for n in ("0x.pth", "bare-out.pth"))
    assert torch.equal(first, second)
    said = refused(bare, new, "-o", "out.pth")
    assert "bare.pth does not say what its classes are (it has 5)" in said
    assert "--old-classes" in said


def test_renames_merges_and_json(state: dict[str, Any]) -> None:
    path, new = save("old.pth", state), config("new.py", NEW, 4)
    done = run(path, new, "--dry-run", "--map", "floor=lamp,tree=lamp", "--output-format", "json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["classes"][1] == {"name": "lamp", "from": ["floor", "tree"]}
    assert told["dropped"] == ["optimizer"]
    assert told["output"] is None
    assert sorted(p.name for p in Path().iterdir()) == ["new.py", "old.pth"]


def test_a_dry_run_needs_no_place_for_the_file(state: dict[str, Any]) -> None:
    path, new = save("old.pth", state), config("new.py", NEW, 4)
    Path("out.pth").write_bytes(b"of somebody")
    done = run(path, new, "-o", "out.pth", "--dry-run")
    assert done.exit_code == 0
    assert done.output.endswith("dry run: nothing is written\n")
    assert Path("out.pth").read_bytes() == b"of somebody"
    assert isinstance(run(path, new, "-o", "out.pth").exception, FixkitError)
    assert Path("out.pth").read_bytes() == b"of somebody"


def test_likely_misspellings_are_a_finding(state: dict[str, Any]) -> None:
    done = run(save("old.pth", state), config("new.py", ("Sky", "raod"), 2), "-o", "out.pth")
    assert done.exit_code == 1
    assert "MSF503 checkpoint-class-renamed: classes is 'raod'" in done.output
    assert Path("out.pth").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--keep-optimizer"], "averages belong to the old rows"),
        ([], "no output is given"),
        (["-o", "old.pth", "--overwrite"], "is the checkpoint that is read"),
        (["-o", "new.py"], "new.py exists already"),
        (["--dry-run", "--map", "wal=lamp"], "near it are wall"),
        (["--dry-run", "--map", "wall"], "'wall' is not of the form old=new"),
        (["--dry-run", "--classes", "a,b"], "of the model has 4 classes, but 2 are named"),
        (["--dry-run", "--old-classes", "a,b"], "the checkpoint has 5 classes, but 2 are named"),
    ],
)
def test_what_cannot_be_done_is_refused(
    state: dict[str, Any], arguments: list[str], said: str
) -> None:
    assert said in refused(save("old.pth", state), config("new.py", NEW, 4), *arguments)


def test_configs_that_do_not_fit_are_refused(state: dict[str, Any]) -> None:
    path = save("old.pth", state)
    unpatched = refused(path, config("a.py", NEW, 5), "-o", "out.pth")
    assert "of the model has 5 classes, but 4 are named" in unpatched
    assert "mmseg-fix patch" in unpatched
    nameless = refused(path, config("b.py", None, 5), "-o", "out.pth")
    assert "name the new classes with --classes" in nameless
    missing = config("c.py", NEW, 4, custom_imports={"imports": ["no_such_module"]})
    assert "no_such_module" in refused(path, missing, "-o", "out.pth")
    wider = save("wide.pth", {**state, NAME: torch.zeros(5, 16, 1, 1)})
    assert "of another shape: 1" in refused(
        wider, "a.py", "-o", "out.pth", "--classes", "a,b,c,d,e"
    )


def test_safetensors_in_and_out(state: dict[str, Any]) -> None:
    pytest.importorskip("safetensors")
    write_checkpoint("old.safetensors", state, {"dataset_meta": {"classes": OLD}})
    done = run("old.safetensors", config("new.py", NEW, 4), "-o", "out.safetensors")
    assert done.exit_code == 0, done.exception
    made = load_checkpoint("out.safetensors")
    assert made.meta["dataset_meta"]["classes"] == list(NEW)
    assert torch.equal(made.state_dict[NAME][[0, 2, 3]], state[NAME][[3, 0, 4]])


def test_a_file_that_asks_for_more_has_to_be_trusted(state: dict[str, Any]) -> None:
    path = save("old.pth", state, args=argparse.Namespace(lr=1))
    new = config("new.py", NEW, 4)
    assert "it asks for argparse.Namespace" in refused(path, new, "-o", "out.pth")
    done = run(path, new, "-o", "out.pth", "--trust-checkpoint")
    assert done.exit_code == 0, done.exception
    assert torch.load("out.pth", weights_only=True).keys() == load_keys(path) - {
        "optimizer",
        "args",
    }


def load_keys(path: str) -> set[str]:
    return set(torch.load(path, weights_only=False))


def test_prefixes_of_wrappers_are_taken_off(state: dict[str, Any]) -> None:
    wrapped = {f"model.{name}": value for name, value in state.items()}
    done = run(save("old.pth", wrapped), config("new.py", NEW, 4), "-o", "out.pth")
    assert done.exit_code == 0, done.exception
    assert NAME in load_checkpoint("out.pth").state_dict


def test_the_help_loads_neither_torch_nor_the_host() -> None:
    assert not imported_by("adapt", "--help") & {"torch", "mmengine", "mmcv", "mmseg", "numpy"}


# The judge


@pytest.mark.parametrize("fault", ["left out", "another shape", "one too many"])
def test_what_mmengine_would_not_load_is_refused(
    state: dict[str, Any], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    from mmseg_fixkit.apis import adapt as running

    made = running.adapt

    def wrong(*args: Any) -> Any:
        adapted = made(*args)
        tensor = adapted.state_dict.pop(NAME)
        if fault != "left out":
            name = NAME if fault == "another shape" else "decode_head.strange"
            adapted.state_dict.update({NAME: tensor, name: tensor[:2]})
        return adapted

    monkeypatch.setattr(running, "adapt", wrong)
    result = run(save("old.pth", state), config("c.py", NEW, 4), "-o", "new.pth")
    assert "MMEngine does not load what was made of the checkpoint" in str(result.exception)
    assert not Path("new.pth").exists()


# init_model


def test_the_model_has_the_checkpoints_classes_and_a_head_that_fits(state: dict[str, Any]) -> None:
    model = init_model(config("c.py", NEW, 19), save("old.pth", state))
    assert model.dataset_meta == {"classes": OLD, "palette": PALETTE}
    assert not model.training
    assert model.num_classes == model.decode_head.num_classes == 5
    assert torch.equal(model.state_dict()[NAME], state[NAME])
    assert model.cfg.filename.endswith("c.py")


def test_some_of_the_classes_in_another_order(state: dict[str, Any]) -> None:
    model = init_model(config("c.py", NEW, 5), save("old.pth", state), classes=["road", "wall"])
    assert model.dataset_meta == {"classes": ("road", "wall"), "palette": [PALETTE[4], PALETTE[0]]}
    assert torch.equal(model.state_dict()[NAME], state[NAME][[4, 0]])


def test_names_of_rows_from_the_user_or_the_config(state: dict[str, Any]) -> None:
    path = save("bare.pth", state, meta={})
    named = init_model(config("a.py", NEW, 4), path, classes=OLD)
    assert named.dataset_meta["classes"] == OLD
    assert init_model(config("b.py", OLD, 5), path).dataset_meta["classes"] == OLD
    with pytest.raises(FixkitError, match=r"has 5 classes but does not name them, and 4 are given"):
        init_model("a.py", path)
    with pytest.raises(FixkitError, match=r"has 5 classes but does not name them; give their"):
        init_model(config("c.py", None, 5), path)


def test_names_that_are_not_as_many_as_the_rows_are_no_names(state: dict[str, Any]) -> None:
    path = save("wrong.pth", state, meta={"dataset_meta": {"classes": OLD[:3]}})
    with pytest.raises(FixkitError, match=r"has 5 classes but names 3, and 4 are given or in"):
        init_model(config("a.py", NEW, 4), path)
    assert init_model("a.py", path, classes=OLD).dataset_meta["classes"] == OLD


def test_names_are_never_guessed_by_their_number() -> None:
    state = build(run_model(run_head(19))).state_dict()
    with pytest.raises(FixkitError, match="CityscapesDataset"):
        init_model(config("c.py", None, 19), save("bare.pth", state, meta={}))
    model = init_model("c.py", "bare.pth", classes="cityscapes")
    assert model.dataset_meta["classes"][0] == "road"


def test_a_class_that_was_not_learned_is_refused(state: dict[str, Any]) -> None:
    path = save("old.pth", state)
    with pytest.raises(FixkitError, match="it was not trained on street; its classes are wall"):
        init_model(config("c.py", OLD, 5), path, classes=["street", "sky"])
    model = init_model("c.py", path, classes=["street", "sky"], mapping={"road": "street"})
    assert torch.equal(model.state_dict()[NAME], state[NAME][[4, 3]])


def test_a_checkpoint_of_another_head_is_refused(state: dict[str, Any]) -> None:
    less = {name: value for name, value in state.items() if "decode_head.convs" not in name}
    with pytest.raises(CheckpointMismatch, match=r"lacks \d tensors .* such as decode_head.convs"):
        init_model(config("c.py", OLD, 5), save("old.pth", less))


def test_without_a_checkpoint_the_config_says_what_the_classes_are() -> None:
    assert init_model(config("c.py", NEW, 4)).dataset_meta["classes"] == NEW
    assert init_model("c.py", classes=["a", "b"]).decode_head.num_classes == 2
    with pytest.raises(FixkitError, match=r"neither the config nor classes="):
        init_model(config("d.py", None, 4))


def test_the_host_predicts_with_it(state: dict[str, Any]) -> None:
    from mmseg.apis import inference_model

    pipeline = [{"type": "LoadImageFromFile"}, {"type": "PackSegInputs"}]
    test = {"dataset": {"type": "BaseSegDataset", "pipeline": pipeline}}
    name = config("c.py", NEW, 4, test_dataloader=test, test_pipeline=pipeline)
    model = init_model(name, save("old.pth", state), classes=["sky", "wall"])
    result = inference_model(model, torch.zeros(32, 32, 3, dtype=torch.uint8).numpy())
    assert set(result.pred_sem_seg.data.unique().tolist()) <= {0, 1}
