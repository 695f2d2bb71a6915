"""The verbs that write files: what they are given, and what they may leave behind."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from PIL import Image

from tests.faults.children import Children
from tests.helpers import labels as scan_data
from tests.helpers.runs import run_head, run_model

CONFIG = (
    "# a config of mine\n"
    "model = dict(type='EncoderDecoder', decode_head=dict(\n"
    "    type='FCNHead', in_channels=4, channels=4, num_classes=19))  # as on the server\n"
    "train_dataloader = dict(\n"
    "    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))\n"
)
OLD = b"what was there before\n"

#: What a process that was killed may leave, and nothing else.
LEFTOVER = re.compile(r"\.[^/]*-mmseg-fix-[0-9a-f]{16}(\.\w+)?")


@dataclass(frozen=True)
class Verb:
    """A verb that writes.

    Args:
        arguments: of the command line.
        prepare: makes the folder that it runs in.
        written: what it writes there, a file or a folder.
        holds: whether a new file is whole, where two runs do not write the same bytes.
    """

    arguments: Sequence[str]
    prepare: Callable[[Path], None]
    written: str
    holds: Optional[Callable[[Path], bool]] = None


def _config(folder: Path, **files: bytes) -> None:
    (folder / "c.py").write_text(CONFIG)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)


def _several(folder: Path) -> None:
    folder.joinpath("all").mkdir()
    for number in range(6):
        (folder / "all" / f"{number}.py").write_text(CONFIG)


def _labels(folder: Path) -> None:
    for number in range(8):
        label = scan_data.areas(range(5), (200, 300), number)
        scan_data.save(label, folder / "in" / str(number % 2) / f"{number}.png")


def _bits(folder: Path) -> None:
    for number in range(8):
        label = scan_data.areas(range(8), (200, 300), number)
        scan_data.save(label, folder / "in" / f"{number}.png")


def _checkpoint(folder: Path) -> None:
    """Copy what :func:`model_files` made."""
    shutil.copytree(folder.parent / "model", folder, dirs_exist_ok=True)


def model_files(children: Children, root: Path) -> None:
    """Write a small model that can be adapted and exported: ``model/`` with config and weights."""
    from tests.apis.test_export import trained

    model = run_model(run_head(5))
    config, checkpoint = trained(root / "made", model)
    folder = root / "model"
    folder.mkdir()
    config.dump(str(folder / "old.py"))
    shutil.copy(checkpoint, folder / "old.pth")
    done = children.run(
        ["patch", "old.py", "--classes", "crop,soil,tree", "--no-guards", "--flat", "-o", "new.py"],
        folder,
    )
    assert done.code in (0, 1), done.err


def _is_checkpoint(file: Path) -> bool:
    import torch

    found: Any = torch.load(file, weights_only=False)
    weight = found["state_dict"]["decode_head.conv_seg.weight"]
    return bool(torch.isfinite(weight).all()) and len(weight) == 3


def _is_safetensors(file: Path) -> bool:
    from safetensors.torch import load_file

    return len(load_file(str(file))["decode_head.conv_seg.weight"]) == 3


def _is_onnx(file: Path) -> bool:
    import onnx

    onnx.checker.check_model(onnx.load(str(file)), full_check=True)
    return True


def _is_png(file: Path) -> bool:
    with Image.open(file) as image:
        return np.asarray(image).shape == (200, 300)


_TWO = ("--classes", "weed,crop")
VERBS = {
    "patch -o": Verb(
        ("patch", "c.py", *_TWO, "-o", "out.py", "--overwrite"),
        lambda folder: _config(folder, out_py=OLD),
        "out.py",
    ),
    "patch -o, flat, a new file": Verb(
        ("patch", "c.py", *_TWO, "-o", "out.py", "--flat"), _config, "out.py"
    ),
    "patch --in-place": Verb(("patch", "c.py", *_TWO, "--in-place"), _config, "c.py"),
    "check --fix": Verb(("check", "all", "--fix"), _several, "all"),
    "check --output-file": Verb(
        ("check", "c.py", "--output-file", "out.txt"),
        lambda folder: _config(folder, out_txt=OLD),
        "out.txt",
    ),
    "scan --fix": Verb(
        ("scan", "in", "--classes", "a,b,c", "--fix", "ignore", "--out", "out"), _labels, "out"
    ),
    "scan --html --save": Verb(
        ("scan", "in", "--classes", "a,b,c", "--html", "o/p.html", "--save", "o/s.json"),
        lambda folder: (_labels(folder), (folder / "o").mkdir())[0],
        "o",
    ),
    "convert-labels": Verb(
        ("convert-labels", "in", "--from", "bits", "--labels", "a,b,c", "-o", "out"), _bits, "out"
    ),
    "adapt": Verb(
        ("adapt", "old.pth", "new.py", "-o", "out.pth", "--overwrite"),
        _checkpoint,
        "out.pth",
        _is_checkpoint,
    ),
    "adapt to .safetensors": Verb(
        ("adapt", "old.pth", "new.py", "-o", "out.safetensors", "--overwrite"),
        _checkpoint,
        "out.safetensors",
        _is_safetensors,
    ),
    "export": Verb(
        ("export", "old.py", "old.pth", "-o", "out.onnx", "--overwrite"),
        _checkpoint,
        "out.onnx",
        _is_onnx,
    ),
}


_NEEDS = {"export": ("onnx", "onnxruntime"), "adapt to .safetensors": ("safetensors",)}


def verb(name: str) -> Verb:
    """Return a verb; skip the test where what it needs is not installed."""
    for package in _NEEDS.get(name, ()):
        pytest.importorskip(package)
    return VERBS[name]


def files_in(folder: Path, below: str) -> dict[str, bytes]:
    """Return what is in a file, or in the files of a folder, that are no leftovers and no logs."""
    place = folder / below
    found = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
    hidden = (p for p in found if not any(n[0] == "." for n in p.relative_to(folder).parts))
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in hidden if p.name != "mmseg-fix.jsonl"
    }


def strangers(folder: Path) -> list[str]:
    """Return what a killed process left that is not known by its name to be ours."""
    hidden = (p for p in folder.rglob(".*") if not p.is_dir())
    return [p.name for p in hidden if not LEFTOVER.fullmatch(p.name)]
