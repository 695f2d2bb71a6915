"""Label files from one format to another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmseg_fixkit import FixkitError
from mmseg_fixkit.apis import convert_labels as convert
from mmseg_fixkit.apis.convert_labels import convert_labels
from mmseg_fixkit.cli import app
from mmseg_fixkit.core.label_formats import FILE_PATTERN
from mmseg_fixkit.datasets.label_bits import pack
from tests.helpers.planes import joined, planes_in

NAMES = ("cell", "nucleus", "halo")
FOLDERS = "{label}/{stem}.png"
SIZE = (6, 8)


def some_planes(seed: int, labels: int = 3) -> Any:
    return (np.random.default_rng(seed).random((labels, *SIZE)) < 0.4).astype(np.uint8)


def save(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def stored(path: Path) -> Any:
    return np.array(Image.open(path))


def write_planes(root: Path, count: int = 3, on: int = 1) -> dict[str, Any]:
    """Write planes side by side, one in a folder below; return the maps by their path."""
    maps = {}
    for index in range(count):
        name = f"sub/{index}.png" if index else "first.png"
        planes = some_planes(index)
        save(root / name, joined(planes * np.uint8(on)))
        maps[name] = pack(planes)
    return maps


@pytest.mark.parametrize("on", [1, 255])
@pytest.mark.parametrize("jobs", [1, 2])
def test_planes_become_maps(tmp_path: Path, on: int, jobs: int) -> None:
    maps = write_planes(tmp_path / "in", on=on)
    done = convert_labels(tmp_path / "in", "planes", NAMES, tmp_path / "out", jobs=jobs)
    assert (done.faults, done.written, done.kept) == ((), 3, 0)
    for name, packed in maps.items():
        assert stored(tmp_path / "out" / name).dtype == np.uint8
        assert (stored(tmp_path / "out" / name) == packed).all()
    pixels = sum((planes_in(m, 3) == 1).sum((1, 2)) for m in maps.values())
    assert done.pixels == dict(zip(NAMES, pixels.tolist()))
    assert done.images_with("cell") == 3


@pytest.mark.parametrize("pattern", [FILE_PATTERN, FOLDERS, "{index}/mask-{stem}.png"])
@pytest.mark.parametrize("folder", ["", "sub/"])
def test_files_become_maps(tmp_path: Path, pattern: str, folder: str) -> None:
    for image in range(3):
        for index, plane in enumerate(some_planes(image)):
            name = pattern.format(stem=image, label=NAMES[index], index=index)
            save(tmp_path / f"in/{folder}{name}", plane)
    done = convert_labels(
        tmp_path / "in", "files", NAMES, tmp_path / "out", file_pattern=pattern, jobs=1
    )
    assert (done.faults, done.written) == ((), 3)
    for image in range(3):
        assert (stored(tmp_path / f"out/{folder}{image}.png") == pack(some_planes(image))).all()


@given(st.integers(1, 15), st.integers(0, 2**31))
def test_maps_of_planes_and_of_maps_are_the_same(labels: int, seed: int) -> None:
    import tempfile

    rng = np.random.default_rng(seed)
    packed = pack(rng.random((labels, *SIZE)) < 0.4, rng.random(SIZE) < 0.2)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        save(root / "planes" / "x.png", joined(planes_in(packed, labels)))
        save(root / "bits" / "x.png", packed)
        for kind in ("planes", "bits"):
            out = root / f"of-{kind}"
            done = convert_labels(root / kind, kind, labels, out, values=1, jobs=1)
            assert done.faults == ()
            assert (stored(out / "x.png") == packed).all()


def test_a_coco_json_becomes_maps(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    box = [[2, 1, 6, 1, 6, 4, 2, 4]]
    tree = {
        "images": [
            {"id": 1, "file_name": "sub/a.jpg", "height": SIZE[0], "width": SIZE[1]},
            {"id": 2, "file_name": "b.jpg", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES)],
        "annotations": [
            {"id": 0, "image_id": 1, "category_id": 0, "segmentation": box},
            {"id": 1, "image_id": 1, "category_id": 2, "segmentation": box},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(tree))
    done = convert_labels(tmp_path / "coco.json", "coco", NAMES, tmp_path / "out", jobs=2)
    assert (done.faults, done.written) == ((), 2)
    expected = np.zeros(SIZE, np.uint8)
    expected[1:4, 2:6] = 0b101
    assert (stored(tmp_path / "out" / "sub" / "a.png") == expected).all()
    assert not stored(tmp_path / "out" / "b.png").any()


def test_a_conversion_that_was_stopped_goes_on(tmp_path: Path) -> None:
    write_planes(tmp_path / "in")
    arguments = (tmp_path / "in", "planes", NAMES, tmp_path / "out")
    convert_labels(*arguments, jobs=1)
    (tmp_path / "out" / "first.png").unlink()
    before = (tmp_path / "out" / "sub" / "1.png").stat().st_mtime_ns
    done = convert_labels(*arguments, jobs=1)
    assert (done.written, done.kept) == (1, 2)
    assert (tmp_path / "out" / "sub" / "1.png").stat().st_mtime_ns == before
    assert not [f for f in (tmp_path / "out").rglob(".*") if f.is_file()]


def test_what_is_there_with_another_content_is_kept(tmp_path: Path) -> None:
    maps = write_planes(tmp_path / "in", 1)
    save(tmp_path / "out" / "first.png", np.zeros(SIZE, np.uint8))
    arguments = (tmp_path / "in", "planes", NAMES, tmp_path / "out")
    done = convert_labels(*arguments, jobs=1)
    assert done.faults[0].startswith(f"{tmp_path}/out/first.png exists with another content")
    assert not stored(tmp_path / "out" / "first.png").any()
    assert convert_labels(*arguments, overwrite=True, jobs=1).written == 1
    assert (stored(tmp_path / "out" / "first.png") == maps["first.png"]).all()


@pytest.mark.parametrize("jobs", [1, 2])
def test_files_with_faults_are_named_and_the_others_go_on(tmp_path: Path, jobs: int) -> None:
    write_planes(tmp_path / "in")
    save(tmp_path / "in" / "five.png", np.full((6, 24), 5, np.uint8))
    save(tmp_path / "in" / "wide.png", np.zeros((6, 25), np.uint8))
    save(tmp_path / "in" / "full.png", np.full((6, 24), 255, np.uint8))
    (tmp_path / "in" / "text.png").write_text("no image")
    done = convert_labels(tmp_path / "in", "planes", NAMES, tmp_path / "out", jobs=jobs)
    assert done.written == 3
    root = tmp_path / "in"
    for start in (
        f"{root}/five.png holds 5 (48 pixels), but a plane holds 0 and 1",
        f"{root}/full.png holds 255, but {root}/first.png holds 0 and 1",
        f"{root}/text.png cannot be read as an image",
        f"{root}/wide.png is 25 x 6 pixels, but the width of 3 planes side by side",
    ):
        assert any(fault.startswith(start) for fault in done.faults), done.faults
    assert len(done.faults) == 4


def test_an_image_that_ends_its_process_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_one = convert._convert

    def crash(*arguments: Any) -> Any:
        return os._exit(7) if arguments[-1].stem == "sub/2" else convert_one(*arguments)

    crash.__module__, crash.__qualname__ = convert.__name__, "_convert"  # workers find it there
    monkeypatch.setattr(convert, "_convert", crash)
    write_planes(tmp_path / "in", count=6)
    done = convert_labels(tmp_path / "in", "planes", NAMES, tmp_path / "out", jobs=2)
    assert done.faults == (f"{tmp_path / 'in'}/sub/2.png ends the process that reads it",)
    assert [bool(image.fault) for image in done.images] == [False, False, True, *[False] * 3]
    # A worker that is ended beside it may leave a temporary file, whose name begins with a dot.
    assert sorted(p.stem for p in (tmp_path / "out").rglob("[!.]*.png")) == ["1", *"345", "first"]
    assert not (tmp_path / "out" / "full.png").exists()


def test_images_tell_how_many_planes_there_are(tmp_path: Path) -> None:
    for labels, name in ((6, "six"), (3, "three")):
        save(tmp_path / "in" / f"{name}.png", joined(some_planes(0, labels)))
        save(tmp_path / "img" / f"{name}.jpg", np.zeros((*SIZE, 3), np.uint8))
    arguments = (tmp_path / "in", "planes", NAMES)
    assert convert_labels(*arguments, tmp_path / "a", jobs=1).faults == ()
    done = convert_labels(*arguments, tmp_path / "b", images=tmp_path / "img", jobs=1)
    assert "six.png is 48 x 6 pixels, but its image is 8 x 6 pixels" in done.faults[0]
    assert "it has 6 planes, and 3 labels are named" in done.faults[0]
    (tmp_path / "img" / "six.jpg").unlink()
    with pytest.raises(FixkitError, match=r"six.png is for six, but .*/img has no such image"):
        convert_labels(*arguments, tmp_path / "c", images=tmp_path / "img", jobs=1)


def test_a_label_without_a_file_needs_to_be_allowed(tmp_path: Path) -> None:
    planes = some_planes(0)
    planes[1] = 0
    for index in (0, 2):
        save(tmp_path / "in" / f"a_{NAMES[index]}.png", planes[index])
    arguments = (tmp_path / "in", "files", NAMES, tmp_path / "out")
    done = convert_labels(*arguments, jobs=1)
    assert done.faults[0].startswith(f"{tmp_path}/in/a_nucleus.png does not exist; missing_ok")
    assert convert_labels(*arguments, missing_ok=True, jobs=1).faults == ()
    assert (stored(tmp_path / "out" / "a.png") == pack(planes)).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no", "planes", NAMES, "out"), "no does not exist"),
        (("in", "coco", NAMES, "out"), "is not the JSON file that the format 'coco' needs"),
        (("in/first.png", "planes", NAMES, "out"), "is not a folder of label files"),
        (("in", "planes", NAMES, "in/out"), "where it would be read again"),
        (("empty", "planes", NAMES, "out"), "there is no label file of the format 'planes'"),
        (("in", "planes", 16, "out"), "there are 16 labels, but a grey PNG"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_planes(tmp_path / "in", 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FixkitError, match=said):
        convert_labels(*arguments)


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        save(tmp_path / "in" / f"a.{suffix}", np.zeros(SIZE, np.uint8))
    with pytest.raises(FixkitError, match=r"a.bmp and .*a.png would both become a.png"):
        convert_labels(tmp_path / "in", "bits", NAMES, tmp_path / "out")


# the verb


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["convert-labels", *map(str, arguments)])


def test_the_verb_says_what_each_label_has(tmp_path: Path) -> None:
    write_planes(tmp_path / "in")
    options = ("--from", "planes", "--labels", "cell, nucleus,halo", "-o", tmp_path / "out")
    first = run(tmp_path / "in", *options)
    assert first.exit_code == 0
    assert f"wrote 3 files to {tmp_path}/out" in first.output
    assert "nucleus: " in first.output
    assert "3 were there already" in run(tmp_path / "in", *options).output


def test_the_verb_names_faults_and_exits_with_1(tmp_path: Path) -> None:
    write_planes(tmp_path / "in")
    save(tmp_path / "in" / "five.png", np.full((6, 24), 5, np.uint8))
    found = run(tmp_path / "in", "--from", "planes", "--labels", "a,b,c", "-o", tmp_path / "out")
    assert found.exit_code == 1
    assert "five.png holds 5 (48 pixels)" in found.output


def test_wrong_use_is_one_message_and_2(tmp_path: Path) -> None:
    code = "from mmseg_fixkit.cli import main; main()"
    arguments = ["convert-labels", "no", "--from", "bits", "--labels", "a", "-o", "out"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "mmseg-fix: error: no does not exist\n")
