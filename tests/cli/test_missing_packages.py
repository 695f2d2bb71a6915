"""Where a package is not installed, one sentence names it and what to install."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CONFIG = """\
model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=2))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
"""
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 4}],
    "categories": [{"id": 1, "name": "weed"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3]]}
    ],
}

STACK = (
    r"(mmengine|torch)\b.* no OpenMMLab stack is installed here; .*"
    r"'mmseg-fixkit\[openmmlab\]' .*'mmseg-fixkit\[onedl\]'"
)
#: What is missing, what is run, what is said, and the exit code.
CASES = {
    "check": ("mmengine", ["check", "c.py"], STACK, 2),
    "patch": ("mmengine", ["patch", "c.py"], STACK, 2),
    "adapt": ("torch", ["adapt", "c.pth", "c.py", "--dry-run"], STACK, 2),
    "export": ("torch", ["export", "c.py", "c.pth", "-o", "m.onnx"], STACK, 2),
    "preflight": ("torch", ["preflight", "c.py"], STACK, 2),
    "COCO": (
        "pycocotools",
        ["convert-labels", "c.json", "--from", "coco", "--labels", "weed", "-o", "out"],
        "drawn by pycocotools, which is not installed: pip install pycocotools",
        1,  # the fault of a file, and the others go on
    ),
    "cluster": (
        "distributed",
        ["scan", "labels", "--executor", "dask://nowhere:1"],
        r"executor is dask://nowhere:1, but dask is not installed: .*'mmseg-fixkit\[dask\]'",
        2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_package_that_is_not_there_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    package, arguments, said, code = CASES[name]
    Path("c.py").write_text(CONFIG)
    Path("c.json").write_text(json.dumps(COCO))
    Path("c.pth").write_bytes(b"x")
    Path("labels").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("labels/a.png")
    before = sorted(map(str, Path().rglob("*")))
    program = (
        f"import sys; sys.modules[{package!r}] = None\nfrom mmseg_fixkit.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert re.search(said, done.stderr, re.S), done.stderr
    if code == 2:
        assert sorted(map(str, Path().rglob("*"))) == before
