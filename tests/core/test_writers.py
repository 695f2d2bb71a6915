"""Every command that writes a file does it in one way: what a link points to is written."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from mmseg_fixkit import patch
from mmseg_fixkit.cli import app
from mmseg_fixkit.config.load import load
from mmseg_fixkit.core.errors import FixkitError
from tests.helpers import labels as scan_data
from tests.helpers.runs import run_head, run_model

HEAD = "dict(type='FCNHead', in_channels=4, channels=4, num_classes=19)"
CONFIG = (
    f"model = dict(type='EncoderDecoder', decode_head={HEAD})\n"
    "train_dataloader = dict(\n"
    "    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))\n"
)
LAZY = (
    "from mmseg.models import EncoderDecoder, FCNHead\n"
    "model = dict(type=EncoderDecoder, decode_head=dict(\n"
    "    type=FCNHead, in_channels=4, channels=4, num_classes=19))\n"
)
PADDLE = (
    "train_dataset: {type: Dataset, num_classes: 2}\n"
    "loss: {types: [{type: CrossEntropyLoss}], coef: [1]}\n"
    "model: {type: PSPNet, num_classes: 19}\n"
)


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for folder in ("near", "far"):
        Path(folder).mkdir()


def run(*arguments: str) -> None:
    done = CliRunner().invoke(app, list(arguments))
    assert isinstance(done.exception, (SystemExit, type(None))), done.exception
    assert done.exit_code in (0, 1), done.output


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def dataset() -> str:
    return str(scan_data.config(scan_data.dataset(Path("farm"), 3, files=1), 3))


def adapt(out: str) -> None:
    from tests.zoo.build import build

    state = build(run_model(run_head(3))).state_dict()
    torch.save({"state_dict": state, "meta": {"dataset_meta": {"classes": list("abc")}}}, "old.pth")
    loader = {"dataset": {"type": "BaseSegDataset", "metainfo": {"classes": ("c", "a")}}}
    text = f"model = {run_model(run_head(2))!r}\ntrain_dataloader = {loader!r}\n"
    run("adapt", "old.pth", write("new.py", text), "-o", out, "--overwrite")


def export(out: str) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tests.apis.test_export import trained

    made = trained(Path("made").absolute())
    from mmseg_fixkit.apis import export as running

    with pytest.MonkeyPatch.context() as context:
        context.setattr(running, "EXPORT_METHODS", running.EXPORT_METHODS[:1])
        running.export(made[0].filename, made[1], out, overwrite=True)


def convert(out: str) -> None:
    Path("in").mkdir()
    Image.fromarray(np.eye(4, dtype=np.uint8)).save("in/f.png")
    folder = str(Path(out).parent)
    run("convert-labels", "in", "--from", "bits", "--labels", "1", "-o", folder, "--overwrite")


def fix(out: str) -> None:
    """Write one label file to the folder of ``out``."""
    Path("in").mkdir()
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save("in/f.png")
    folder = str(Path(out).parent)
    command = ("scan", "in", "--classes", "a,b", "--fix", "ignore", "--out", folder)
    run(*command, "--overwrite")


@dataclass(frozen=True)
class Writer:
    """A way to make the program write the file ``near/f`` with a suffix.

    Args:
        suffix: of the file.
        write: does it, given the name.
        before: what the file holds before, where it is changed.
        to_pipes: whether it can be a pipe: it is not read before.
    """

    suffix: str
    write: Callable[[str], None]
    before: str = "old"
    to_pipes: bool = True


NAMED = ("--classes", "weed,crop")
WRITERS = {
    "patch -o": Writer(
        ".py",
        lambda out: run("patch", write("c.py", CONFIG), *NAMED, "-o", out, "--overwrite"),
    ),
    "patch --flat": Writer(
        ".py",
        lambda out: run("patch", write("c.py", CONFIG), *NAMED, "-o", out, "--flat", "--overwrite"),
    ),
    "patch --in-place": Writer(
        ".py", lambda out: run("patch", out, *NAMED, "--in-place"), CONFIG, to_pipes=False
    ),
    "check --fix": Writer(".py", lambda out: run("check", out, "--fix"), CONFIG, to_pipes=False),
    "patch -o of PaddleSeg": Writer(
        ".yml",
        lambda out: run("patch", write("c.yml", PADDLE), *NAMED, "-o", out, "--overwrite"),
    ),
    "patch --in-place of PaddleSeg": Writer(
        ".yml", lambda out: run("patch", out, *NAMED, "--in-place"), PADDLE, to_pipes=False
    ),
    "check --output-file": Writer(
        ".txt", lambda out: run("check", write("c.py", CONFIG), "--output-file", out)
    ),
    "scan --output-file": Writer(".txt", lambda out: run("scan", dataset(), "--output-file", out)),
    "scan --html": Writer(".html", lambda out: run("scan", dataset(), "--html", out)),
    "scan --save": Writer(".json", lambda out: run("scan", dataset(), "--save", out)),
    "scan --fix": Writer(".png", fix, to_pipes=False),
    "adapt -o x.pth": Writer(".pth", adapt),
    "adapt -o x.safetensors": Writer(".safetensors", adapt),
    "convert-labels": Writer(".png", convert, to_pipes=False),
    "export": Writer(".onnx", export),
}


def everything() -> set[str]:
    return {str(p) for folder in ("near", "far") for p in Path(folder).iterdir()}


#: Files of ``scan --fix`` that tell what it did.
LOGS = {"near/mmseg-fix.jsonl"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_stays_and_the_file_that_it_points_to_is_written(name: str) -> None:
    writer = WRITERS[name]
    link, real = Path(f"near/f{writer.suffix}"), Path("far/real")
    real.write_text(writer.before)
    real.chmod(0o640)
    link.symlink_to("../far/real")
    writer.write(str(link))
    assert os.readlink(link) == "../far/real"
    assert real.read_bytes() not in (b"", writer.before.encode())
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert everything() - LOGS == {str(link), str(real)}


@pytest.mark.parametrize("name", [name for name, writer in WRITERS.items() if writer.to_pipes])
def test_a_pipe_stays_and_its_reader_gets_what_a_file_would_hold(name: str) -> None:
    writer = WRITERS[name]
    pipe = Path(f"near/f{writer.suffix}")
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()), daemon=True)
    reader.start()
    writer.write(str(pipe))
    reader.join(30)
    assert got
    assert got != [b""]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert everything() == {str(pipe)}


# A config is proved by the name that it will be loaded by


@pytest.mark.parametrize("text", [CONFIG, LAZY], ids=["old style", "new style"])
@pytest.mark.parametrize("mode", ["overlay", "flat"])
@pytest.mark.parametrize("there", [True, False])
def test_a_patched_config_loads_by_the_name_of_the_link(text: str, mode: str, there: bool) -> None:
    source = write("near/base.py", text)
    Path("far/deep").mkdir()
    if there:
        write("far/deep/real.py", "mine = 1")
    link = Path("near/own.py")
    link.symlink_to("../far/deep/real.py")
    assert patch(source, ("a", "b", "c")).write(link, mode, overwrite=True)
    assert link.is_symlink()
    assert load(link).tree["model"]["decode_head"]["num_classes"] == 3
    inherits = "import *" if text is LAZY else "_base_ = 'base.py'"
    assert (inherits in link.read_text()) == (mode == "overlay")
    assert not patch(source, ("a", "b", "c")).write(link, mode)  # up to date


@pytest.mark.parametrize(
    "command", [("patch", "--classes", "a,b", "--in-place"), ("check", "--fix")]
)
def test_a_linked_config_that_inherits_is_changed_as_the_link_inherits(command: Any) -> None:
    write("near/base.py", CONFIG)
    real = Path("far/real.py")
    real.write_text("_base_ = './base.py'\nwork_dir = 'here'  # mine\n")
    link = Path("near/own.py")
    link.symlink_to("../far/real.py")
    run(command[0], str(link), *command[1:])
    assert link.is_symlink()
    assert "work_dir = 'here'  # mine" in real.read_text()
    assert load(link).tree["model"]["decode_head"]["num_classes"] == 2
    assert Path("near/base.py").read_text() == CONFIG
    assert everything() == {"near/base.py", "near/own.py", "far/real.py"}


@pytest.mark.parametrize("name", ["out.txt", "/dev/null", "out.yaml", "out"])
def test_a_config_goes_to_a_name_that_can_be_loaded(name: str) -> None:
    with pytest.raises(FixkitError, match=rf"^{name} does not end with \.py"):
        patch(write("c.py", CONFIG), ("a", "b")).write(Path(name), overwrite=True)
    assert not Path(name).is_file()


def test_links_in_a_circle_are_one_sentence() -> None:
    Path("near/f.py").symlink_to("f.py")
    with pytest.raises(FixkitError, match=r"near/f\.py cannot be written: Too many levels of sym"):
        patch(write("c.py", CONFIG), ("a", "b")).write("near/f.py", overwrite=True)


# What is read is never written to, whatever links lead to it


@pytest.mark.parametrize("linked", ["file", "folder"])
@pytest.mark.parametrize("name", ["scan --fix", "convert-labels"])
def test_originals_are_not_written_through_links(name: str, linked: str) -> None:
    Path("elsewhere").mkdir()
    label = np.eye(4, dtype=np.uint8) * 255
    Image.fromarray(label).save("elsewhere/g.png")
    Path("elsewhere/sub").mkdir()
    Image.fromarray(label).save("elsewhere/sub/f.png")
    before = {p: p.read_bytes() for p in Path("elsewhere").rglob("*.png")}
    out = Path("out")
    out.mkdir()
    if linked == "folder":
        (out / "sub").symlink_to("../elsewhere/sub")
    else:
        (out / "sub").mkdir()
        (out / "sub/f.png").symlink_to("../../elsewhere/sub/f.png")
    if name == "scan --fix":
        arguments = ["scan", "elsewhere", "--classes", "a,b", "--fix", "ignore", "--out", "out"]
    else:
        options = ("--from", "planes", "--labels", "a", "-o", "out")
        arguments = ["convert-labels", "elsewhere", *options]
    done = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert done.exit_code == 1
    assert "is a link to " in done.output
    assert {p: p.read_bytes() for p in before} == before
    assert (out / "g.png").is_file()
