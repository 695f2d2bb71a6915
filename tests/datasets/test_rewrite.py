"""``scan --fix``: what becomes of values and colours, and what happens to files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import voc_palette
from mmseg_fixkit.core.palettes import CITYSCAPES, pack, pack_image
from mmseg_fixkit.datasets import rewrite as rewrite_module
from mmseg_fixkit.datasets.decode import Decoded, decode, decode_again, same_pixels
from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading
from mmseg_fixkit.datasets.recode import (
    LabelMapping,
    parse_recoding,
    recoded,
    runs,
    value_of_label,
)
from mmseg_fixkit.datasets.rewrite import (
    MANIFEST,
    SCRATCH,
    Change,
    RewriteReport,
    png,
    rewrite,
)
from tests.datasets.test_scan_files import FORMATS, KINDS, encoded
from tests.helpers.paths import ROOT

FOUR = ("background", "car", "person", "sky")
COLORS = voc_palette(4)
READING = LabelReading(num_classes=4)
REDUCED = LabelReading(4, reduce_zero_label=True)


def mode(text: str, reading: LabelReading = READING, **options: Any) -> LabelMapping:
    return parse_recoding(text, reading=reading, **{"classes": FOUR, "palette": COLORS, **options})


def values_of(text: str, *values: int, **options: Any) -> Any:
    """Return what becomes of values, or why nothing does."""
    done = mode(text, **options).of_values(values)
    return done.refused or [done.table[value] for value in values]


def colors_of(text: str, *colors: Any, **options: Any) -> Any:
    codes = [pack(color) for color in colors]
    done = mode(text, **options).of_colors(codes)
    return done.refused or [done.table[code] for code in codes]


# What becomes of values


@pytest.mark.parametrize(
    ("text", "values", "becomes"),
    [
        ("ignore", (0, 3, 4, 200, 255, 300, -1), [0, 3, 255, 255, 255, 255, 255]),
        ("background", (0, 3, 4, 255), [0, 3, 0, 255]),
        ("sky", (0, 9, 255), [0, 3, 255]),
        ("2", (0, 9, 255), [0, 2, 255]),
        ("remap:7=0,8=1", (7, 8, 9), [0, 1, 9]),
        ("remap:7=car,8=ignore", (7, 8), [1, 255]),
        # In the order of the steps, however they are written: the remapped values are in range.
        ("ignore,remap:7=0,8=1", (0, 7, 8, 9), [0, 0, 1, 255]),
        ("remap:0=1,1=0", (0, 1, 2), [1, 0, 2]),
        ("binary", (0, 255), [0, 1]),
        ("binary", (0, 1), [0, 1]),
        ("binary", (255,), [1]),
        ("binary:threshold=128", (0, 3, 127, 128, 252), [0, 0, 0, 1, 1]),
        ("8bit", (0, 3), [0, 3]),
    ],
)
def test_values(text: str, values: Any, becomes: Any) -> None:
    assert values_of(text, *values) == becomes


def test_binary_refuses_what_is_neither() -> None:
    assert values_of("binary", 0, 17, 255) == "it holds 17, but binary is for 0 and 255 only"


@pytest.mark.parametrize(
    ("reading", "text", "values", "becomes"),
    [
        # 0 is ignored and 1 is the first class: what is written is read by the same pipeline.
        (REDUCED, "background", (0, 1, 4, 5, 255), [0, 1, 4, 1, 255]),
        (REDUCED, "ignore", (4, 5), [4, 255]),
        (REDUCED, "sky", (9,), [4]),
        (LabelReading(4, ignore_index=0), "ignore", (0, 3, 4, 255), [0, 3, 0, 0]),
        (LabelReading(2, label_map=((0, 255), (1, 0), (2, 1))), "1", (0, 1, 2, 7), [0, 1, 2, 2]),
        # What the cast to 8 bit would hide is out of range.
        (LabelReading(4), "ignore", (256, 259), [255, 255]),
    ],
)
def test_targets_are_values_that_the_pipeline_reads_so(
    reading: LabelReading, text: str, values: Any, becomes: Any
) -> None:
    assert values_of(text, *values, reading=reading) == becomes


@given(
    st.builds(
        LabelReading,
        num_classes=st.integers(1, 255),
        ignore_index=st.sampled_from([255, 0]),
        reduce_zero_label=st.booleans(),
    ),
    st.lists(st.integers(0, 70000), min_size=1, max_size=8),
)
def test_after_ignore_every_value_is_a_class_or_ignored(
    reading: LabelReading, values: list[int]
) -> None:
    try:
        recoding = parse_recoding("ignore", reading=reading)
    except FixkitError:  # with a reduced zero, nothing is read as 0 if 0 is ignored and not a class
        assert all(reading.label(v) != reading.ignore_index for v in range(256))
        return
    table = recoding.of_values(values).table
    for old, new in table.items():
        label = reading.label(new)
        assert reading.is_class(label) or label == reading.ignore_index
        if reading.is_class(reading.label(old)):
            assert new == old


def test_a_label_that_no_value_is_read_as_is_refused() -> None:
    with pytest.raises(FixkitError, match=r"no value of 0\.\.255 is read as 1"):
        value_of_label(LabelReading(4, label_map=((1, 0),)), 1)


# What becomes of colours


def test_colours_become_the_values_of_their_classes() -> None:
    assert colors_of("palette", *COLORS) == [0, 1, 2, 3]
    assert colors_of("palette", *COLORS, reading=REDUCED) == [
        1,
        2,
        3,
        4,
    ]
    assert colors_of("palette:cityscapes", (128, 64, 128), (0, 0, 0), reading=LabelReading(19)) == [
        0,
        255,
    ]


def test_other_colours_are_refused_unless_it_is_asked_for() -> None:
    odd = (1, 2, 3)
    assert colors_of("palette", *COLORS, odd).startswith(
        "#010203 is not in the palette of these classes; palette:ignore makes"
    )
    assert colors_of("palette:ignore", COLORS[1], odd) == [1, 255]
    assert colors_of("palette:nearest=3", COLORS[1], odd) == [1, 0]
    assert "#010203 is not in" in colors_of("palette:nearest=2", odd)
    assert colors_of("palette:nearest=2:ignore", odd) == [255]


def test_a_colour_between_two_is_near_none_of_them() -> None:
    # (64, 0, 0) is 64 away from black and from (128, 0, 0).
    assert "#400000 is not in" in colors_of("palette:nearest=70", (64, 0, 0))
    assert colors_of("palette:nearest=70", (50, 0, 0)) == [0]


def test_a_colour_that_two_classes_share_says_nothing() -> None:
    twice = (*COLORS[:3], COLORS[1])
    assert "two of its classes share a colour" in colors_of("palette", COLORS[1], palette=twice)
    assert colors_of("palette", COLORS[2], palette=twice) == [2]
    assert "#800000 is not in" in colors_of("palette:nearest=5", COLORS[1], palette=twice)


def test_grey_colours_become_their_part() -> None:
    assert colors_of("grey,ignore", (3, 3, 3), (9, 9, 9)) == [3, 255]
    assert colors_of("grey", (3, 3, 4)) == (
        "its colours are not all grey: #030304; add palette or remap"
    )


def test_a_table_may_list_colours(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("r,g,b,class\n128,64,128,car\n0,0,0,ignore\n")
    assert colors_of(f"remap:{tmp_path / 't.csv'}", (128, 64, 128), (0, 0, 0)) == [1, 255]
    assert colors_of("remap:#804080=2", (128, 64, 128)) == [2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", '{"7": 0, "8": "car"}'),
        ("t.csv", "7,0\n8,car\n"),
        ("t.csv", "old,new\n7,0\n\n8, car\n"),
    ],
)
def test_tables(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert values_of(f"remap:{tmp_path / name}", 7, 8, 9) == [0, 1, 9]


# What fits each file


def test_auto_does_only_what_loses_nothing() -> None:
    assert values_of("auto", 0, 200, 255) == [0, 200, 255]
    assert colors_of("auto", *COLORS) == [0, 1, 2, 3]
    assert "#010203 is not in the palette" in colors_of("auto", (1, 2, 3))
    assert "have no palette" in colors_of("auto", (1, 2, 3), palette=None)


@pytest.mark.parametrize(
    ("seen", "reading", "becomes"),
    [
        ({0, 255}, LabelReading(2), [0, 1]),
        ({0, 1, 255}, LabelReading(2), [0, 255]),  # 255 is "ignored" in a file without the class
        (None, LabelReading(2), [0, 255]),
        ({0, 255}, LabelReading(4), [0, 255]),
        ({0, 255}, LabelReading(2, reduce_zero_label=True), [0, 255]),
    ],
)
def test_auto_takes_0_and_255_for_two_classes_only_if_no_file_says_otherwise(
    seen: Optional[set[int]], reading: LabelReading, becomes: Any
) -> None:
    assert values_of("auto", 0, 255, reading=reading, seen=seen) == becomes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs a mode: ignore, background"),
        ("tidy", "does not know 'tidy'; it knows ignore.* the classes are background, car"),
        ("4", "does not know '4'"),
        ("ignore,background", "background is one mode too many"),
        ("grey:3", "does not know 'grey:3'"),
        ("palette:kitti", "palette:kitti is no palette; known are cityscapes, ade20k, voc"),
        ("palette:nearest=x", "needs a number of 0..255"),
        ("remap", "needs pairs"),
        ("remap:a=0", "has 'a', but a value or a colour"),
        ("remap:7=300", "has '300' as a new value"),
        ("remap:7=0,7=1", "gives a value twice"),
        ("remap:missing.json", "missing.json cannot be read: No such file"),
        ("binary:128", "write binary:threshold=128"),
    ],
)
def test_wrong_modes_are_one_sentence(text: str, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        mode(text)


@pytest.mark.parametrize("content", ["[1, 2]", "{", "{}"])
def test_files_that_hold_no_table(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(FixkitError, match="holds no pairs"):
        mode(f"remap:{tmp_path / 't.json'}")


def test_modes_that_need_what_is_not_known() -> None:
    with pytest.raises(FixkitError, match="the number of classes is not known"):
        parse_recoding("ignore")
    with pytest.raises(FixkitError, match=r"needs colours.*palette:cityscapes"):
        parse_recoding("palette")


def test_two_modes_have_two_digests() -> None:
    assert mode("ignore").digest == mode("ignore").digest != mode("background").digest


# Pixels


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_png_files_are_read_back_by_pillow(label: np.ndarray) -> None:
    for palette in (None, voc_palette(256)):
        found = decode(png(label, palette))
        assert np.array_equal(found.array, label)
        assert found.mode == ("L" if palette is None else "P")


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_runs_hold_every_pixel(label: np.ndarray) -> None:
    values, lengths = runs(label)
    assert np.array_equal(np.repeat(values, lengths).reshape(label.shape), label)
    colors = np.stack([label, label // 2, 255 - label], 2)
    assert pack_image(colors)[0, 0] == pack(colors[0, 0].tolist())


@given(
    st.sampled_from([np.uint8, np.uint16, np.int32, np.bool_]).flatmap(
        lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8))
    )
)
@settings(max_examples=50)
def test_pixels_become_what_their_values_become(label: np.ndarray) -> None:
    recoding = mode("remap:7=0,ignore,8bit")
    new = recoded(Decoded(label, "L", "PNG"), recoding)
    plain = np.vectorize(lambda v: recoding.of_values([int(v)]).table[int(v)])(label)
    if new.label is None:
        assert np.array_equal(plain, label)
        assert not new.changes
    else:
        assert np.array_equal(plain, new.label)
        assert sum(n for *_, n in new.changes) == (plain != label).sum()


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Decoded(np.zeros((2, 2, 3), np.uint16), "RGB", "PNG"), "RGB with uint16 parts"),
        (Decoded(np.zeros((2, 2, 4), np.uint8), "CMYK", "TIFF"), "CMYK"),
        (Decoded(np.full((2, 2), 0.5), "F", "TIFF"), "numbers that are not whole"),
        (Decoded(np.full((2, 2), 300, np.uint16), "I;16", "PNG"), "300 is outside 0..255"),
    ],
)
def test_what_is_no_label_is_refused(found: Decoded, said: str) -> None:
    assert said in recoded(found, mode("palette,8bit")).refused


def test_transparency_that_differs_is_refused() -> None:
    colors = np.zeros((2, 2, 4), np.uint8)
    assert recoded(Decoded(colors, "RGBA", "PNG"), mode("palette")).label is not None
    colors[0, 0, 3] = 9
    assert "transparent" in recoded(Decoded(colors, "RGBA", "PNG"), mode("palette")).refused


# Files


LABEL = np.array([[0, 1, 2], [3, 7, 255]], np.uint8)


def write(root: Path, name: str, label: np.ndarray, kind: Optional[str] = None) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label)
    if kind == "P":
        image.putpalette([v for color in voc_palette(256) for v in color])
    image.save(path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four files: with a stray value, without one, of 16 bit, and of colours."""
    root = tmp_path / "labels"
    write(root, "train/odd.png", LABEL)
    write(root, "train/good.png", np.minimum(LABEL, 3))
    write(root, "val/wide.png", LABEL.astype(np.uint16) + 255)
    write(root, "val/colors.png", np.array(COLORS, np.uint8)[np.minimum(LABEL, 3)])
    return root


def files(root: Path) -> list[LabelFile]:
    found = sorted(p for p in root.rglob("*") if p.is_file())
    return [LabelFile(p.parent.name, str(p)) for p in found]


def fix(source: Path, text: str, **options: Any) -> RewriteReport:
    out = options.pop("out", source.parent / "out")
    recoding = options.pop("recoding", None) or mode(text)
    return rewrite(files(source), out, recoding, root=source, **options)


def read(path: Path) -> Any:
    return np.asarray(Image.open(path)).tolist()


def test_the_new_folder_is_complete_and_the_old_one_as_it_was(source: Path) -> None:
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in source.rglob("*.png")}
    report = fix(source, "palette,ignore")
    out = source.parent / "out"
    assert (report.written, report.copied, report.refused) == (3, 1, 0)
    assert read(out / "train/odd.png") == [[0, 1, 2], [3, 255, 255]]
    assert (out / "train/good.png").read_bytes() == (source / "train/good.png").read_bytes()
    assert read(out / "val/wide.png") == [[255, 255, 255], [255, 255, 255]]
    assert read(out / "val/colors.png") == [[0, 1, 2], [3, 3, 3]]
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in source.rglob("*.png")} == before
    assert sorted(p.name for p in out.iterdir()) == sorted([MANIFEST, "train", "val"])


def test_the_report_says_what_changed_where(source: Path) -> None:
    report = fix(source, "palette,ignore")
    assert report.changes[0] == Change("#808000", 3, 3, 1)
    assert Change("7", 255, 1, 1) in report.changes
    assert "  #808000 -> 3    3 pixels in 1 file\n" in report.text()
    text = (source.parent / "out" / MANIFEST).read_text()
    *lines, saved = [json.loads(line) for line in text.splitlines()]
    assert (saved["files"], saved["written"], saved["copied"]) == (4, 3, 1)
    assert saved["changes"][0] == {"old": "#808000", "new": 3, "pixels": 3, "files": 1}
    assert {line["name"]: line["did"] for line in lines} == {
        "train/good.png": "copied",
        "train/odd.png": "written",
        "val/colors.png": "written",
        "val/wide.png": "written",
    }


def test_refused_files_are_left_out_and_named(source: Path) -> None:
    (source / "train/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    (source / "train/empty.png").write_bytes(b"")
    report = fix(source, "8bit")
    assert report.refused == 4
    why = dict(report.refusals)
    assert "have no palette that tells what they are: #000000" in why["val/colors.png"]
    assert why["val/wide.png"].startswith("256, 257, 258, 262, 510 are outside 0..255")
    assert "empty (0 bytes)" in why["train/empty.png"]
    assert not (source.parent / "out/train/broken.png").exists()
    assert "refused: train/broken.png" in report.text()


def test_each_split_may_have_a_recoding_of_its_own(source: Path) -> None:
    both = {"train": mode("ignore"), "val": mode("palette,background")}
    fix(source, "", recoding=both)
    assert read(source.parent / "out/train/odd.png") == [[0, 1, 2], [3, 255, 255]]
    assert read(source.parent / "out/val/wide.png") == [[255, 0, 0], [0, 0, 0]]


def test_the_new_files_are_read_by_the_hosts_loader(source: Path) -> None:
    transforms = pytest.importorskip("mmseg.datasets.transforms")
    fix(source, "palette,ignore")
    for name in ("train/odd.png", "val/colors.png"):
        for backend in ("pillow", "cv2"):
            reading = LabelReading(4, backend=backend)
            out = source.parent / f"out_{backend}"
            fix(source, "", recoding=mode("palette,ignore", reading=reading), out=out)
            loaded = transforms.LoadAnnotations(imdecode_backend=backend)(
                {
                    "seg_map_path": str(out / name),
                    "reduce_zero_label": False,
                    "seg_fields": [],
                }
            )["gt_seg_map"]
            assert loaded.tolist() == read(out / name)
            assert loaded.ndim == 2


def test_colours_are_kept_for_those_who_look_where_the_values_stay(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    write(root, "p.png", LABEL, "P")
    write(root, "l.png", LABEL)
    fix(root, "ignore")
    assert Image.open(tmp_path / "out/p.png").mode == "P"
    assert Image.open(tmp_path / "out/l.png").mode == "L"
    fix(root, "", recoding=mode("ignore", palette=None), out=tmp_path / "own")
    kept = Image.open(tmp_path / "own/p.png")
    assert kept.mode == "P"
    assert kept.getpalette()[3:6] == list(voc_palette(2)[1])
    assert read(tmp_path / "own/p.png") == read(tmp_path / "out/l.png")


def test_palette_files_are_colours_to_opencv(tmp_path: Path) -> None:
    write(tmp_path / "labels", "p.png", np.minimum(LABEL, 3), "P")
    recoding = mode("palette", reading=LabelReading(4, backend="cv2"))
    fix(tmp_path / "labels", "", recoding=recoding)
    assert Image.open(tmp_path / "out/p.png").mode == "L"
    assert read(tmp_path / "out/p.png") == np.minimum(LABEL, 3).tolist()


def test_other_formats_become_png(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    write(root, "a.bmp", np.minimum(LABEL, 3))
    write(root, "b.tif", LABEL)
    report = fix(root, "ignore")
    assert report.renamed == 2
    assert "2 files had another format" in report.text()
    assert "seg_map_suffix='.png'" in report.text()
    assert read(tmp_path / "out/a.png") == np.minimum(LABEL, 3).tolist()
    assert read(tmp_path / "out/b.png") == [[0, 1, 2], [3, 255, 255]]


@pytest.mark.parametrize(
    ("kind", "mode"), [(kind, mode) for kind, modes in FORMATS.items() for mode in modes]
)
@pytest.mark.parametrize("backend", ["pillow", "cv2"])
def test_two_libraries_read_the_same_from_every_format(kind: str, mode: str, backend: str) -> None:
    pytest.importorskip("cv2")
    data = encoded(KINDS[mode], kind)
    try:
        found = decode(data, backend)
    except ValueError:
        assert (kind, backend) == ("TGA", "cv2")
        return
    if kind == "TGA":  # OpenCV does not know it
        with pytest.raises(ValueError, match="OpenCV cannot"):
            decode_again(data, found.library)
        return
    again = decode_again(data, found.library)
    assert {found.library, again.library} == {"cv2", "pillow"}
    assert same_pixels(found, again)
    other = found.array.copy()
    other[1, 2] = other[1, 2] == 0
    assert not same_pixels(replace(found, array=other), again)


@pytest.mark.parametrize("kind", ["L", "P", "RGB", "1"])
def test_what_two_libraries_read_in_two_ways_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of one decoder would be written, and found right by the same decoder."""
    pytest.importorskip("cv2")
    label = np.minimum(LABEL, 3)
    arrays = {"RGB": np.array(COLORS, np.uint8)[label], "1": label > 2}
    path = write(tmp_path / "labels", "a.png", arrays.get(kind, label), kind)
    real = rewrite_module.decode

    def wrong(data: bytes, backend: str) -> Decoded:
        found = real(data, backend)
        array = found.array.copy()
        array[0, 0] = array[0, 0] == 0
        return replace(found, array=array)

    monkeypatch.setattr(rewrite_module, "decode", wrong)
    report = fix(path.parent, "palette:ignore,remap:0=1,1=2")
    assert (report.refused, report.written) == (1, 0)
    assert "do not read the same from it" in report.refusals[0][1]
    assert [p.name for p in (tmp_path / "out").iterdir()] == [MANIFEST]


def test_what_only_one_library_reads_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    data = encoded(np.minimum(LABEL, 3).astype(np.uint8), "TGA")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.png").write_bytes(data)
    report = fix(tmp_path / "labels", "8bit")
    assert "nothing proves its values" in report.refusals[0][1]


@pytest.mark.parametrize("fault", ["values", "file"])
def test_a_wrong_copy_is_never_put_in_place(
    fault: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_png, real_recoded = rewrite_module.png, rewrite_module.recoded

    def png_with_another_pixel(label: Any, palette: Any = None) -> bytes:
        label = label.copy()
        label[-1, -1] += 1
        return real_png(label, palette)

    def other_values(*arguments: Any, **options: Any) -> Any:
        new = real_recoded(*arguments, **options)
        return new if new.label is None else replace(new, label=new.label ^ 1)

    if fault == "file":
        monkeypatch.setattr(rewrite_module, "png", png_with_another_pixel)
    else:
        monkeypatch.setattr(rewrite_module, "recoded", other_values)
    with pytest.raises(FixkitError, match="did not read back as it was written"):
        fix(source, "palette,ignore", jobs=1)
    assert not [p for p in (source.parent / "out").rglob("*.png") if p.name != "good.png"]


def test_a_map_of_one_bit_keeps_its_values(tmp_path: Path) -> None:
    """Pillow hands over bits as bytes of 255."""
    root = tmp_path / "labels"
    root.mkdir()
    array = np.eye(9, dtype=bool)
    (root / "a.tif").write_bytes(encoded(array, "TIFF"))
    (root / "b.png").write_bytes(encoded(array, "PNG"))
    assert fix(root, "remap:1=3").written == 2
    assert read(tmp_path / "out/a.png") == (3 * np.eye(9, dtype=int)).tolist()
    assert read(tmp_path / "out/b.png") == (3 * np.eye(9, dtype=int)).tolist()


def test_two_files_that_would_have_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    write(root, "a.bmp", LABEL)
    write(root, "a.png", np.minimum(LABEL, 3))
    report = fix(root, "ignore", jobs=1)
    assert (report.written, report.refused) == (1, 1)
    assert "is there already, and holds something else" in report.refusals[0][1]


@pytest.mark.parametrize("place", [".", "train", "train/new", "../labels"])
def test_originals_are_never_written_over(source: Path, place: str) -> None:
    with pytest.raises(FixkitError, match="they stay as they are, so give a folder outside"):
        fix(source, "ignore", out=source / place, overwrite=True)


def test_a_link_to_the_source_is_the_source(source: Path) -> None:
    link = source.parent / "link"
    link.symlink_to(source)
    with pytest.raises(FixkitError, match="give a folder outside"):
        fix(source, "ignore", out=link / "new")


def test_files_of_others_are_left_alone(source: Path) -> None:
    out = source.parent / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FixkitError, match="it holds files already that no --fix wrote"):
        fix(source, "palette,ignore")
    fix(source, "palette,ignore", overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"


def test_another_fix_does_not_mix_with_the_first(source: Path) -> None:
    fix(source, "palette,ignore")
    with pytest.raises(FixkitError, match="holds files of another --fix"):
        fix(source, "palette,background")
    fix(source, "palette,background", overwrite=True)
    assert read(source.parent / "out/train/odd.png") == [[0, 1, 2], [3, 0, 255]]


def test_a_file_outside_of_all_roots_has_no_place(source: Path) -> None:
    with pytest.raises(FixkitError, match=r"good\.png is not below .*val"):
        rewrite(files(source), source.parent / "out", mode("ignore"), root=source / "val")


def test_progress_counts_files(source: Path) -> None:
    done: list[int] = []
    fix(source, "palette,ignore", progress=done.append)
    assert done == [1, 2, 3, 4]


# Again


def stamps(out: Path) -> dict[str, int]:
    found = [p for p in out.rglob("*.png") if SCRATCH not in p.parts]
    return {str(p): p.stat().st_mtime_ns for p in found}


def test_a_second_run_writes_nothing_again_and_reports_the_same(source: Path) -> None:
    first = fix(source, "palette,ignore")
    before = stamps(source.parent / "out")
    assert fix(source, "palette,ignore") == first
    assert stamps(source.parent / "out") == before


def test_only_what_is_missing_or_has_changed_is_done_again(source: Path) -> None:
    fix(source, "palette,ignore")
    out = source.parent / "out"
    before = stamps(out)
    (out / "train/good.png").unlink()
    write(source, "train/odd.png", LABEL + 1)
    write(source, "train/new.png", LABEL)
    report = fix(source, "palette,ignore")
    after = stamps(out)
    assert report.files == 5
    assert read(out / "train/odd.png") == [[1, 2, 3], [255, 255, 0]]
    assert {p for p in after if before.get(p) != after[p]} == {
        str(out / f"train/{name}.png") for name in ("good", "odd", "new")
    }


def test_a_file_that_was_tampered_with_is_not_taken_for_done(source: Path) -> None:
    fix(source, "palette,ignore")
    write(source.parent / "out", "train/odd.png", LABEL * 0)
    report = fix(source, "palette,ignore")
    assert "holds something else" in dict(report.refusals)["train/odd.png"]


def test_a_log_that_lacks_its_end_costs_nothing(source: Path) -> None:
    first = fix(source, "palette,ignore")
    out = source.parent / "out"
    before = stamps(out)
    log = out / MANIFEST
    entries = log.read_text().splitlines()[:-1]
    log.write_text("\n".join(entries)[:-20])
    (out / SCRATCH).mkdir()
    (out / SCRATCH / "left-over.png").write_bytes(b"half")
    again = fix(source, "palette,ignore")
    assert sorted(again.changes, key=str) == sorted(first.changes, key=str)
    assert stamps(out) == before
    assert not (out / SCRATCH).exists()


KILLED = """
import sys
sys.path.insert(0, {here!r})
from tests.datasets.test_rewrite import fix
from pathlib import Path
fix(Path({source!r}), "ignore", jobs=2, progress=lambda done: print(done, flush=True))
"""


def test_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    rng = np.random.default_rng(0)
    for index in range(60):
        write(root, f"{index:02}.png", rng.integers(0, 9, (300, 300)).astype(np.uint8))
    here = str(ROOT)
    program = KILLED.format(here=here, source=str(root))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 5:
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    before = stamps(tmp_path / "out")
    assert 5 <= len(before) < 60
    time.sleep(0.01)
    report = fix(root, "ignore")
    after = stamps(tmp_path / "out")
    assert report.written == len(after) == 60
    assert all(after[path] == when for path, when in before.items())
    for path in root.iterdir():
        label = np.asarray(Image.open(path))
        assert read(tmp_path / "out" / path.name) == np.where(label > 3, 255, label).tolist()


def test_a_folder_that_cannot_be_written_to_is_one_sentence(source: Path) -> None:
    blocked = source.parent / "blocked"
    blocked.write_text("a file")
    with pytest.raises(FixkitError, match="but that is a file"):
        fix(source, "ignore", out=blocked)
    with pytest.raises(FixkitError, match="cannot be written"):
        fix(source, "ignore", out=blocked / "below")


@pytest.mark.skipif(os.name != "posix", reason="names of bytes are POSIX's")
def test_any_name_survives(tmp_path: Path) -> None:
    root = tmp_path / "labels"
    for name in ("with space.png", "ümlaut.png", "a'b\".png"):
        write(root, name, LABEL)
    assert fix(root, "ignore").written == 3
    assert fix(root, "ignore").written == 3


def test_cityscapes_colours_come_out_as_train_ids(tmp_path: Path) -> None:
    ids = np.arange(19, dtype=np.uint8).reshape(1, 19)
    write(tmp_path / "labels", "c.png", np.array(CITYSCAPES.colors, np.uint8)[ids])
    recoding = parse_recoding("palette:cityscapes", reading=LabelReading(19))
    fix(tmp_path / "labels", "", recoding=recoding)
    assert read(tmp_path / "out/c.png") == ids.tolist()
    assert Image.open(tmp_path / "out/c.png").mode == "P"
