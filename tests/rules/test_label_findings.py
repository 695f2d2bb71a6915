"""Every finding of a scan: real files with one thing wrong give its code and no other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit import scan
from mmseg_fixkit.core.diagnostics import Diagnostic, Severity
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.palettes import ADE20K, CITYSCAPES, VOC
from mmseg_fixkit.rules import reported_rules
from mmseg_fixkit.rules.label_sets import FAMILY, findings
from tests.helpers.labels import areas, config, dataset, save


def found_in(target: Any, **options: Any) -> tuple[Diagnostic, ...]:
    return findings(scan(target, cache=False, jobs=1, **options))


def codes(target: Any, **options: Any) -> list[str]:
    return [d.code for d in found_in(target, **options)]


def labels(root: Path, split: str = "train") -> list[Path]:
    return sorted((root / "ann" / split).iterdir())


def change(path: Path, edit: Callable[[np.ndarray], Any]) -> None:
    """Write a label map again; ``edit`` changes it, or returns another one."""
    label = np.array(Image.open(path)).astype(np.int32)
    changed = edit(label)
    save(label if changed is None else changed, path)


def put(value: int, pixels: int = 5) -> Callable[[np.ndarray], None]:
    def edit(label: np.ndarray) -> None:
        label[0, :pixels] = value

    return edit


# --- one thing wrong ----------------------------------------------------------------------------


def out_of_range(root: Path) -> Path:
    dataset(root, 4)
    change(labels(root)[1], put(9, 3))
    change(labels(root)[2], put(77, 40))
    return config(root, 4)


def wraps(root: Path) -> Path:
    dataset(root, 4)
    change(labels(root)[0], put(260))
    return config(root, 4)


def colour_mask(root: Path) -> Path:
    dataset(root, 4)
    for path in labels(root):
        table = np.array(VOC.colors, np.uint8)
        Image.fromarray(table[np.array(Image.open(path))]).save(path)
    return config(root, 4, palette=[list(color) for color in VOC.colors[:4]])


def palette_read_by_opencv(root: Path) -> Path:
    pytest.importorskip("cv2")
    dataset(root, 4)
    for path in (*labels(root), *labels(root, "val")):
        picture = Image.open(path)
        picture.load()
        picture.putpalette([part for color in VOC.colors for part in color])
        picture.save(path)
    loader = "dict(type='LoadAnnotations', imdecode_backend='cv2')"
    return config(root, 4, steps=f"dict(type='LoadImageFromFile'), {loader}")


def grey_picture(root: Path) -> Path:
    dataset(root, 4)
    for path in labels(root):
        Image.open(path).convert("RGB").save(path)
    return config(root, 4)


def black_and_white(root: Path) -> Path:
    dataset(root, 2, label_of=lambda seed: 255 * areas(range(2), seed=seed))
    return config(root, 2)


def partly_black_and_white(root: Path) -> Path:
    dataset(root, 2)
    change(labels(root)[3], lambda label: 255 * label)
    return config(root, 2)


def jpeg(root: Path) -> Path:
    dataset(root, 4)
    path = labels(root)[0]
    Image.open(path).save(path, format="JPEG")
    return config(root, 4)


def smoothly_resized(root: Path) -> Path:
    dataset(root, 2, label_of=lambda seed: areas(range(2), seed=seed))
    for path in labels(root):
        big = np.kron(np.array(Image.open(path)) * 255, np.ones((5, 5), np.uint8))
        picture = Image.fromarray(big.astype(np.uint8))
        picture.resize((64, 48), Image.Resampling.BILINEAR).save(path)
    return config(root, 2)


def jpeg_saved_as_png(root: Path) -> Path:
    dataset(root, 8, label_of=lambda seed: areas((*range(8), 255), seed=seed))
    for path in labels(root):
        Image.open(path).save(path.with_suffix(".jpeg"), quality=80)
        Image.open(path.with_suffix(".jpeg")).save(path)
        path.with_suffix(".jpeg").unlink()
    return config(root, 8)


def all_ignored(root: Path) -> Path:
    dataset(root, 4)
    change(labels(root)[0], lambda label: np.full_like(label, 255))
    return config(root, 4)


def truncated(root: Path) -> Path:
    dataset(root, 4, files=12)
    path = labels(root)[0]
    path.write_bytes(path.read_bytes()[:-60])
    return config(root, 4)


def no_label(root: Path) -> Path:
    dataset(root, 4)
    labels(root)[0].unlink()
    return config(root, 4)


def no_image(root: Path) -> Path:
    dataset(root, 4)
    (root / "img/train/0.jpg").rename(root / "img/train/0.jpeg")
    return config(root, 4)


def listed_image_not_there(root: Path) -> Path:
    dataset(root, 4, splits=("train",))
    (root / "list.txt").write_text("".join(f"{i}\n" for i in range(6)))
    (root / "img/train/0.jpg").unlink()
    return config(root, 4, ann_file="list.txt")


def other_size(root: Path) -> Path:
    dataset(root, 4)
    change(labels(root)[0], lambda label: label[:-3])
    return config(root, 4)


def on_its_side(root: Path) -> Path:
    dataset(root, 4)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(root / "img/train/0.jpg", exif=exif)
    return config(root, 4)


def counts_from_one(root: Path) -> Path:
    dataset(root, 4, label_of=lambda seed: areas(range(1, 5), seed=seed))
    return config(root, 4)


def reduced_though_it_begins_at_zero(root: Path) -> Path:
    dataset(root, 4)
    return config(root, 4, reduce_zero_label=True)


def label_ids(root: Path) -> Path:
    dataset(root, 19, label_of=lambda seed: areas((1, 3, 4, *range(7, 34)), seed=seed))
    names = ("road", "sidewalk", "building", *(f"class_{i}" for i in range(3, 19)))
    return config(root, names)


def never_drawn(root: Path) -> Path:
    dataset(root, 4)
    return config(root, 5)


def only_in_training(root: Path) -> Path:
    dataset(root, 4)
    for path in labels(root, "val"):
        change(path, lambda label: np.where(label == 3, 1, label))
    return config(root, 4)


def only_in_validation(root: Path) -> Path:
    dataset(root, 4)
    for path in labels(root):
        change(path, lambda label: np.where(label == 3, 1, label))
    return config(root, 4)


def validates_on_training_files(root: Path) -> Path:
    path = config(dataset(root, 4), 4)
    path.write_text(
        path.read_text().replace("img/val", "img/train").replace("ann/val", "ann/train")
    )
    return path


def copied_into_validation(root: Path) -> Path:
    dataset(root, 4)
    shutil.copy(labels(root)[0], labels(root, "val")[0])
    return config(root, 4)


WRONG: list[tuple[Callable[[Path], Path], str]] = [
    (out_of_range, "MSF401"),
    (wraps, "MSF402"),
    (colour_mask, "MSF403"),
    (palette_read_by_opencv, "MSF403 MSF403"),
    (grey_picture, "MSF404"),
    (black_and_white, "MSF405 MSF405"),
    (partly_black_and_white, "MSF405"),
    (jpeg, "MSF406"),
    (smoothly_resized, "MSF407"),
    (jpeg_saved_as_png, "MSF407"),
    (all_ignored, "MSF408"),
    (truncated, "MSF411"),
    (no_label, "MSF412"),
    (no_image, "MSF413"),
    (listed_image_not_there, "MSF413"),
    (other_size, "MSF414"),
    (on_its_side, "MSF414"),
    (counts_from_one, "MSF421 MSF421"),
    (reduced_though_it_begins_at_zero, "MSF421 MSF421"),
    (label_ids, "MSF422 MSF422"),
    (never_drawn, "MSF423"),
    (only_in_training, "MSF424"),
    (only_in_validation, "MSF424"),
    (validates_on_training_files, "MSF425"),
    (copied_into_validation, "MSF425"),
]


@pytest.mark.parametrize(("make", "code"), [pytest.param(*w, id=w[0].__name__) for w in WRONG])
def test_one_thing_wrong_gives_its_code_and_no_other(
    make: Callable[[Path], Path], code: str, tmp_path: Path
) -> None:
    found = found_in(make(tmp_path))
    assert [d.code for d in found] == code.split()
    assert all(d.name and d.location and d.location.file for d in found)


def test_every_rule_of_the_family_is_found_by_a_test() -> None:
    shown = {code for _, codes_of in WRONG for code in codes_of.split()} | {"MSF426"}
    assert {rule.code for rule in reported_rules(FAMILY)} == shown


# --- nothing wrong ------------------------------------------------------------------------------


def like_cityscapes(root: Path) -> Path:
    dataset(
        root,
        19,
        label_of=lambda seed: areas((*range(19), 255), (96, 128), seed),
        image_size=(96, 128),
    )
    return config(root, 19)


def like_ade20k(root: Path) -> Path:
    dataset(
        root,
        150,
        label_of=lambda seed: areas(range(151), (96, 128), seed),
        image_size=(96, 128),
    )
    return config(root, 150, reduce_zero_label=True)


def like_voc(root: Path) -> Path:
    dataset(root, 21, label_of=lambda seed: areas((*range(21), 255), seed=seed))
    for path in (*labels(root), *labels(root, "val")):
        picture = Image.open(path)
        picture.load()
        picture.putpalette([part for color in VOC.colors for part in color])
        picture.save(path)
    return config(root, 21)


def with_objects_of_one_pixel(root: Path) -> Path:
    dataset(root, 40, label_of=lambda seed: areas(range(2), seed=seed))
    for path in (*labels(root), *labels(root, "val")):
        change(path, lambda label: label.flat.__setitem__(range(0, 40 * 7, 7), range(40)))
    return config(root, 40)


def of_two_classes(root: Path) -> Path:
    dataset(root, 2)
    for path in labels(root)[:3]:
        change(path, put(255))
    change(labels(root)[4], lambda label: np.where(label == 1, 255, 0))  # no foreground in it
    return config(root, 2)


@pytest.mark.parametrize(
    "make", [like_cityscapes, like_ade20k, like_voc, with_objects_of_one_pixel, of_two_classes]
)
def test_a_clean_data_set_gives_nothing(make: Callable[[Path], Path], tmp_path: Path) -> None:
    assert found_in(make(tmp_path)) == ()


@pytest.mark.parametrize(
    "make", [like_cityscapes, like_ade20k, like_voc, with_objects_of_one_pixel]
)
def test_a_clean_folder_gives_nothing_without_a_config(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    make(tmp_path)
    assert found_in(tmp_path / "ann") == ()
    assert found_in(tmp_path) == ()


def test_ids_of_instances_are_not_taken_for_blurred(tmp_path: Path) -> None:
    label = np.zeros((200, 200), np.int32)
    for instance in range(1, 90):
        row, column = divmod(instance, 10)
        label[20 * row : 20 * row + 9, 20 * column : 20 * column + 9] = instance
    save(label, tmp_path / "labels/1.png")
    assert found_in(tmp_path / "labels") == ()


def test_few_files_with_wrong_values_do_not_hide_a_class_that_never_occurs(tmp_path: Path) -> None:
    dataset(tmp_path, 4, files=20)
    change(labels(tmp_path)[0], put(9))
    assert codes(config(tmp_path, 5)) == ["MSF401", "MSF423"]


# --- what is said -------------------------------------------------------------------------------


def test_values_files_and_the_next_command_are_named(tmp_path: Path) -> None:
    path = out_of_range(tmp_path)
    (only,) = found_in(path)
    assert only.message == (
        "train labels are 77 (40 pixels), 9 (3 pixels) in 2 of 6 files, but 4 classes allow 0 to "
        f"3, and 255 for ignored pixels: 2.png (40 pixels), 1.png (3 pixels); `mmseg-fix scan "
        f"{path} --fix ignore --out DIR` writes copies with these pixels ignored"
    )
    assert only.location is not None
    assert only.location.file == str(tmp_path / "ann/train/2.png")
    assert (only.found, only.expected) == ({77: 40, 9: 3}, 4)
    assert only.severity is Severity.ERROR


def test_only_the_worst_files_are_named(tmp_path: Path) -> None:
    dataset(tmp_path, 4)
    for place, path in enumerate(labels(tmp_path)):
        change(path, put(9, 1 + place))
    (only,) = found_in(config(tmp_path, 4))
    assert "5.png (6 pixels), 4.png (5 pixels), 3.png (4 pixels) and 3 more" in only.message


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (wraps, "MMSegmentation casts labels to 8 bit, so 260 is read as 4"),
        (colour_mask, "the palette of these classes explains 100% of the pixels"),
        (palette_read_by_opencv, "imdecode_backend='pillow'"),
        (black_and_white, "--fix binary --out DIR` writes 0 and 1"),
        (partly_black_and_white, "though other files hold 1"),
        (truncated, "0.png (it is truncated: its end is missing)"),
        (no_label, "0.jpg"),
        (other_size, "0.png (64 x 45, its image 64 x 48)"),
        (on_its_side, "0.png (64 x 48, its image 48 x 64: on its side, which its EXIF data turns)"),
        (counts_from_one, "if they count from 1, run `mmseg-fix patch"),
        (reduced_though_it_begins_at_zero, "--no-reduce-zero-label"),
        (never_drawn, "class_4"),
        (only_in_validation, "train labels have no pixel of class_3, but val labels have"),
        (only_in_training, "val labels have no pixel of class_3, but train labels have"),
    ],
)
def test_the_message_says_what_and_what_next(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    assert said in found_in(make(tmp_path))[0].message


def test_labels_scaled_to_16_bit_are_recognised(tmp_path: Path) -> None:
    dataset(tmp_path, 4, label_of=lambda seed: 257 * areas(range(4), seed=seed))
    assert "remap:257=1,514=2,771=3" in found_in(config(tmp_path, 4))[0].message


@pytest.mark.parametrize(
    ("palette", "mode"),
    [(CITYSCAPES, "palette:cityscapes"), (ADE20K, "palette:ade20k"), (VOC, "palette:voc")],
)
@pytest.mark.parametrize("own", [False, True])
def test_the_palette_that_explains_a_mask_is_named(
    palette: Any, mode: str, own: bool, tmp_path: Path
) -> None:
    """Also where the config has a palette of its own, which explains nothing."""
    dataset(tmp_path, 12)
    for path in labels(tmp_path):
        Image.fromarray(np.array(palette.colors, np.uint8)[np.array(Image.open(path))]).save(path)
    colors = {"palette": [[250, 250, number] for number in range(12)]} if own else {}
    (only,) = found_in(config(tmp_path, 12, **colors))
    assert f"{palette.name} explains 100% of the pixels" in only.message
    assert f"--fix {mode} --out DIR" in only.message


def test_a_colour_that_two_classes_have_is_reported_where_it_matters(tmp_path: Path) -> None:
    colors = [(0, 0, 0), (0, 255, 0), (0, 255, 0), (255, 0, 0)]
    dataset(tmp_path, 4)
    path = config(tmp_path, 4, palette=[list(color) for color in colors])
    assert found_in(path) == ()
    for label in labels(tmp_path):
        Image.fromarray(np.array(colors, np.uint8)[np.array(Image.open(label))]).save(label)
    colour, twice = found_in(path)
    assert (colour.code, twice.code) == ("MSF403", "MSF426")
    assert "(0, 255, 0) for class_1, class_2" in twice.message


def test_a_doubled_colour_that_no_file_holds_is_none(tmp_path: Path) -> None:
    dataset(tmp_path, 4, label_of=lambda seed: areas((0, 3), seed=seed), splits=("train",))
    colors = [(0, 0, 0), (0, 255, 0), (0, 255, 0), (200, 9, 9)]
    path = config(tmp_path, 4, palette=colors)
    for label in labels(tmp_path):
        Image.fromarray(np.array(colors, np.uint8)[np.array(Image.open(label))]).save(label)
    assert codes(path) == ["MSF403"]
    first = labels(tmp_path)[0]
    image = np.array(Image.open(first))
    image[0, 0] = colors[1]  # one pixel of it is enough
    Image.fromarray(image).save(first)
    assert codes(path) == ["MSF403", "MSF426"]


def test_zero_in_files_that_end_one_above_leaves_two_answers(tmp_path: Path) -> None:
    dataset(tmp_path, 4, label_of=lambda seed: areas(range(5), seed=seed), splits=("train",))
    (only,) = found_in(config(tmp_path, 4))
    assert "if 0 means 'ignored' in these files, run" in only.message
    assert "if it is a class, there are 5" in only.message


def test_one_above_in_few_files_is_a_slip_and_no_shift(tmp_path: Path) -> None:
    dataset(tmp_path, 4, files=20)
    change(labels(tmp_path)[0], put(4))
    assert codes(config(tmp_path, 4)) == ["MSF401"]


def test_codes_are_selected_by_prefix(tmp_path: Path) -> None:
    dataset(tmp_path, 4, files=20)
    change(labels(tmp_path)[0], put(9))
    stats = scan(config(tmp_path, 5), cache=False, jobs=1)
    assert [d.code for d in findings(stats, ["MSF42"])] == ["MSF423"]
    assert [d.code for d in findings(stats, None, ["MSF423"])] == ["MSF401"]
    with pytest.raises(FixkitError, match="'MSF1' selects no rule"):
        findings(stats, ["MSF1"])
