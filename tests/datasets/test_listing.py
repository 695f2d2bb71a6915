"""Which label files a scan reads: those that MMSegmentation's own datasets list, and no others."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import BaseDataset
from PIL import Image

from mmseg_fixkit.config.load import load
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.from_config import _remapped, of_config
from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading
from mmseg_fixkit.datasets.layout import Folder
from mmseg_fixkit.datasets.listing import (
    LabelOverrides,
    Part,
    Source,
    files_of,
    of_folder,
    source_of,
    unpaired,
)
from mmseg_fixkit.datasets.problems import UNUSED
from mmseg_fixkit.datasets.scan_files import scan, scan_files
from mmseg_fixkit.datasets.stats import Problem, SplitStats

STEPS = "pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]"


def picture(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(path)
    return path


def config(folder: Path, train: str, val: str = "", imports: str = "") -> Path:
    """Write a config whose datasets are the arguments of ``dict(…)``."""
    loaders = {"train": train, "val": val}
    lines = [
        f"{split}_dataloader = dict(dataset=dict({text}, {STEPS}))"
        for split, text in loaders.items()
        if text
    ]
    path = folder / "config.py"
    path.write_text("model = dict(type='EncoderDecoder')\n" + imports + "\n".join(lines) + "\n")
    return path


def data(root: Path) -> Path:
    """Write a data set with sub-folders, hidden files and files of other endings."""
    for name in ("b/2", "a/1", "3", "a-b/4", "a.b"):
        picture(root / "img" / f"{name}.jpg")
        picture(root / "ann" / f"{name}.png")
    for extra in ("img/.hidden.jpg", "img/.cache/5.jpg", "img/5.jpeg", "img/6.png", "img/7.JPG"):
        picture(root / extra)
    (root / "list.txt").write_text("b/2\n3 \n\n9\n")
    (root / "palette").mkdir()
    return root


def listed(found: Iterator[LabelFile]) -> list[tuple[Any, str]]:
    return [(file.image, file.label) for file in found]


PREFIX = "data_prefix=dict(img_path='img', seg_map_path='ann')"
CLASSES = "metainfo=dict(classes=('x', 'y'))"

DATASETS = {
    "folder": f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, {CLASSES}",
    "list": f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, ann_file='list.txt'",
    "list-that-is-a-folder": (
        f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, ann_file='palette'"
    ),
    "first-two": f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, indices=2",
    "last-two": f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, indices=-2",
    "chosen": f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, indices=[2, 0]",
    "chosen-of-list": (
        f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, ann_file='list.txt', indices=2"
    ),
    "no-root": (
        "type='BaseSegDataset', "
        "data_prefix=dict(img_path='{root}/img/', seg_map_path='{root}/ann/')"
    ),
    "absolute-below-root": (
        "type='BaseSegDataset', data_root='/nowhere', "
        "data_prefix=dict(img_path='{root}/img', seg_map_path='{root}/ann')"
    ),
    "suffixes": (
        f"type='BaseSegDataset', data_root='{{root}}', {PREFIX}, img_suffix='.png', "
        "seg_map_suffix='_x.png'"
    ),
    "zero-label": f"type='ADE20KDataset', data_root='{{root}}', {PREFIX}",
    "subset": (
        f"type='CityscapesDataset', data_root='{{root}}', {PREFIX}, img_suffix='.jpg', "
        "metainfo=dict(classes=('car', 'road'))"
    ),
    "voc": f"type='PascalVOCDataset', data_root='{{root}}', {PREFIX}, ann_file='list.txt'",
}


@pytest.mark.parametrize("name", DATASETS)
def test_the_files_and_readings_are_those_of_the_real_dataset(name: str, tmp_path: Path) -> None:
    from mmengine.config import Config
    from mmseg.registry import DATASETS as REGISTRY
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    text = DATASETS[name].format(root=data(tmp_path / "data"))
    path = config(tmp_path, text)
    built = REGISTRY.build(
        {**Config.fromfile(str(path)).train_dataloader.dataset, "pipeline": [], "lazy_init": False}
    )
    infos = [built.get_data_info(place) for place in range(len(built))]
    document = load(path)
    found = listed(of_config(document).files)
    assert sorted(found) == sorted((info["img_path"], info["seg_map_path"]) for info in infos)
    assert infos
    reading = of_config(document).readings["train"]
    assert reading.reduce_zero_label == infos[0]["reduce_zero_label"]
    assert dict(reading.label_map) == (infos[0]["label_map"] or {})


def test_files_come_one_by_one(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    stream = of_config(load(config(tmp_path, DATASETS["folder"].format(root=root)))).files
    first = next(stream)
    assert first.image is not None
    assert Path(first.image).is_file()


def test_wrappers_and_lists_of_datasets_are_looked_through(tmp_path: Path) -> None:
    one, two = data(tmp_path / "one"), data(tmp_path / "two")
    inner = [f"dict({DATASETS['folder'].format(root=root)}, {STEPS})" for root in (one, two)]
    repeated = f"dict(type='RepeatDataset', times=3, dataset={inner[0]})"
    text = f"type='ConcatDataset', datasets=[{repeated}, {inner[1]}]"
    path = tmp_path / "config.py"
    path.write_text(f"model = dict()\ntrain_dataloader = dict(dataset=dict({text}))\n")
    found = {Path(file.label).parent.name for file in of_config(load(path)).files}
    labels = list(of_config(load(path)).files)
    assert len(labels) == 12
    assert {file.split for file in labels} == {"train"}
    assert "ann" in found


def test_datasets_of_one_split_that_are_read_in_two_ways_are_told_apart(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    parts = [
        f"dict({DATASETS['folder'].format(root=root)}, reduce_zero_label={flag}, {STEPS})"
        for flag in (False, True)
    ]
    path = tmp_path / "config.py"
    path.write_text(
        f"model = dict()\ntrain_dataloader = dict(dataset=dict(type='ConcatDataset', "
        f"datasets=[{', '.join(parts)}]))\n"
    )
    readings = of_config(load(path)).readings
    assert {name: r.reduce_zero_label for name, r in readings.items()} == {
        "train[0]": False,
        "train[1]": True,
    }


def test_a_test_split_that_reads_the_files_of_validation_is_left_out(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    text = DATASETS["folder"].format(root=root)
    path = config(tmp_path, text, text)
    path.write_text(path.read_text() + "test_dataloader = val_dataloader\n")
    assert set(of_config(load(path)).readings) == {"train", "val"}
    assert of_config(load(path), ["test"]).parts[0].source.split == "test"


def test_a_split_that_is_not_here_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    text = DATASETS["folder"].format(root=root)
    path = config(tmp_path, text, text.replace("img_path='img'", "img_path='img/val'"))
    inventory = of_config(load(path))
    assert list(inventory.readings) == ["train"]
    assert "val is not scanned" in inventory.notes[0]
    assert "img/val" in inventory.notes[0]
    with pytest.raises(FixkitError, match="there is no such folder"):
        list(of_config(load(path), ["val"]).files)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type='DSDLSegDataset', ann_file='x.yaml'", "lists its files in its own way"),
        ("type='LEVIRCDDataset', data_root='x'", "lists its files in its own way"),
        ("type='TheirDataset', data_root='x'", "write img_suffix, seg_map_suffix"),
        ("type='BaseSegDataset', data_prefix=dict(img_path='x')", "no data_prefix.seg_map_path"),
    ],
)
def test_a_dataset_whose_listing_is_not_known_is_said_and_not_guessed(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(FixkitError, match=said):
        of_config(load(config(tmp_path, text)))
    root = data(tmp_path / "data")
    both = of_config(load(config(tmp_path, DATASETS["folder"].format(root=root), text)))
    assert list(both.readings) == ["train"]
    assert said in both.notes[0]


def test_a_foreign_type_that_says_all_is_listed_and_a_note_says_how(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    text = (
        f"type='TheirDataset', data_root='{root}', {PREFIX}, img_suffix='.jpg', "
        f"seg_map_suffix='.png', {CLASSES}"
    )
    inventory = of_config(load(config(tmp_path, text)))
    assert len(list(inventory.files)) == 6
    assert inventory.notes == (
        "train: TheirDataset is not a dataset of MMSegmentation; its files are listed as "
        "BaseSegDataset lists them",
    )


def test_the_decoder_and_the_ignored_label_are_those_of_the_config(tmp_path: Path) -> None:
    path = tmp_path / "config.py"
    path.write_text(
        "model = dict()\n"
        "train_dataloader = dict(dataset=dict(type='BaseSegDataset', ignore_index=9,\n"
        "    data_prefix=dict(img_path='i', seg_map_path='a'), metainfo=dict(classes=('x',)),\n"
        "    pipeline=[dict(type='LoadImageFromFile', color_type='unchanged'),\n"
        "        dict(type='LoadAnnotations', imdecode_backend='cv2',\n"
        "            backend_args=dict(backend='petrel'))]))\n"
    )
    reading = of_config(load(path), ["train"]).parts[0].reading
    assert (reading.backend, reading.ignore_index) == ("cv2", 9)
    assert reading.backend_args == (("backend", "petrel"),)
    assert not reading.turns_images


def test_what_the_user_says_counts_before_the_config(tmp_path: Path) -> None:
    root = data(tmp_path / "data")
    document = load(config(tmp_path, DATASETS["zero-label"].format(root=root)))
    inventory = of_config(document, None, LabelOverrides(("wall", "sky"), None, 7, False))
    reading = inventory.readings["train"]
    assert (reading.num_classes, reading.ignore_index, reading.reduce_zero_label) == (2, 7, False)
    assert dict(reading.label_map)[2] == 1  # sky
    assert inventory.palette == ((120, 120, 120), (6, 230, 230))


# --- folders ------------------------------------------------------------------------------------

LAYOUTS = {
    "images-labels": ("images/train/{}.jpg", "labels/train/{}.png"),
    "img_dir-ann_dir": ("img_dir/train/{}.jpg", "ann_dir/train/{}.png"),
    "cityscapes": (
        "leftImg8bit/train/aachen/{}_leftImg8bit.png",
        "gtFine/train/aachen/{}_gtFine_labelTrainIds.png",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_known_layout_gives_pairs_and_splits(name: str, tmp_path: Path) -> None:
    image, label = LAYOUTS[name]
    for split in ("train", "val"):
        for number in "123":
            for template in (image, label):
                picture(tmp_path / template.format(number).replace("train", split, 1))
    found = list(of_folder(str(tmp_path)).files)
    assert [file.split for file in found] == ["train"] * 3 + ["val"] * 3
    assert all(Path(file.label).is_file() and Path(file.image or "").is_file() for file in found)


def test_voc_has_its_splits_in_lists(tmp_path: Path) -> None:
    for number in "1234":
        picture(tmp_path / f"VOC2012/JPEGImages/{number}.jpg")
        picture(tmp_path / f"VOC2012/SegmentationClass/{number}.png")
    lists = tmp_path / "VOC2012/ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("1\n2\n3\n")
    (lists / "val.txt").write_text("4\n")
    inventory = of_folder(str(tmp_path))
    assert [file.split for file in inventory.files] == ["train"] * 3 + ["val"]
    assert "JPEGImages" in inventory.notes[0]


def test_all_images_of_another_folder_are_label_maps(tmp_path: Path) -> None:
    for name in ("x/1.png", "x/y/2.PNG", "x/.hidden.png", "x/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = sorted(of_folder(str(tmp_path / "x")).files, key=lambda file: file.label)
    assert found == [
        LabelFile("x", str(tmp_path / "x/1.png")),
        LabelFile("x", str(tmp_path / "x/y/2.PNG")),
    ]


def test_folders_that_are_spelt_as_splits_are_splits(tmp_path: Path) -> None:
    picture(tmp_path / "training/1.png")
    picture(tmp_path / "validation/2.png")
    assert {file.split for file in of_folder(str(tmp_path)).files} == {"train", "val"}


def test_images_of_a_folder_of_labels_are_paired_by_their_names(tmp_path: Path) -> None:
    for number in "123":
        picture(tmp_path / f"pictures/{number}.jpg")
        picture(tmp_path / f"drawn/{number}_mask.png")
    found = list(of_folder(str(tmp_path / "drawn"), str(tmp_path / "pictures")).files)
    assert sorted(listed(iter(found))) == [
        (str(tmp_path / f"pictures/{n}.jpg"), str(tmp_path / f"drawn/{n}_mask.png")) for n in "123"
    ]
    picture(tmp_path / "others/a.jpg")
    with pytest.raises(FixkitError, match="no label map in"):
        of_folder(str(tmp_path / "drawn"), str(tmp_path / "others"))


def test_a_split_that_a_folder_does_not_have_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "train/1.png")
    with pytest.raises(FixkitError, match="--split is 'val', but"):
        of_folder(str(tmp_path), splits=["val"])


def test_files_of_other_endings_are_left_out_of_a_folder_if_asked(tmp_path: Path) -> None:
    for name in ("1_labelIds.png", "1_color.png", "2_labelIds.png"):
        picture(tmp_path / "gt" / name)
    found = of_folder(
        str(tmp_path / "gt"), asked=LabelOverrides(seg_map_suffix="_labelIds.png")
    ).files
    assert sorted(Path(file.label).name for file in found) == ["1_labelIds.png", "2_labelIds.png"]


def test_a_folder_of_unknown_layout_says_that_all_images_are_read(tmp_path: Path) -> None:
    picture(tmp_path / "one/1.png")
    picture(tmp_path / "two/2.png")
    assert "all images in it are taken for label maps" in of_folder(str(tmp_path)).notes[0]


def with_step(path: Path, step: str) -> Path:
    """Put a step behind the one that loads label maps."""
    loader = "dict(type='LoadAnnotations')"
    path.write_text(path.read_text().replace(loader, f"{loader}, {step}"))
    return path


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("mapping={7: 0, 8: 1}", {7: 0, 8: 1}),
        ("mapping=[(7, 0)]", {7: 0}),
        ("mapping={0: 0, 1: 1}, default='ignore'", dict.fromkeys(range(2, 255), 255)),
    ],
)
def test_a_table_in_the_pipeline_is_part_of_the_reading(
    step: str, expected: dict[int, int], tmp_path: Path
) -> None:
    path = config(tmp_path, DATASETS["folder"].format(root=data(tmp_path / "data")))
    inventory = of_config(load(with_step(path, f"dict(type='RemapLabels', {step})")))
    assert dict(inventory.readings["train"].label_map) == expected
    assert inventory.notes == ()


def random_step(random: Random) -> dict[str, Any]:
    """Arguments of ``RemapLabels``, of which one, two or many values are listed."""
    listed = random.sample(range(256), random.choice([1, 2, 20, 200]))
    pairs = {old: random.choice([0, 1, 7, 18, 255, random.randrange(256)]) for old in listed}
    form = random.choice(["dict", "pairs", "texts"])
    step: dict[str, Any] = {
        "mapping": pairs if form == "dict" else [[*pair] for pair in pairs.items()]
    }
    if form == "texts":
        step["mapping"] = {str(old): new for old, new in pairs.items()}
    default = random.choice(["none", None, "keep", "ignore", "raise", 0, 3, 255])
    if default != "none":
        step["default"] = default
    if random.random() < 0.5:
        step["ignore_index"] = random.choice([0, 7, 254, 255])
    return step


@pytest.mark.parametrize("seed", range(40))
def test_the_table_of_the_reading_is_what_the_transform_does(seed: int) -> None:
    """Of all 256 values, for random mappings, after a reduction and a choice of classes."""
    transforms = pytest.importorskip("mmseg_fixkit.transforms.remap_labels")
    random = Random(seed)
    step = random_step(random)
    before = {}
    if random.random() < 0.5:
        before = {old: random.choice([0, 1, 2, 255]) for old in random.sample(range(256), 9)}
    reduces = random.random() < 0.5
    table = _remapped(tuple(before.items()), {"type": "RemapLabels", **step})
    reading = LabelReading(19, reduce_zero_label=reduces, label_map=table)
    values = np.arange(256, dtype=np.uint8)[None]
    if reduces:  # as ``LoadAnnotations`` of mmsegmentation 1.2.2
        values[values == 0] = 255
        values = values - np.uint8(1)
        values[values == 254] = 255
    loaded = values.copy()
    for old, new in before.items():
        loaded[values == old] = new
    remap = transforms.RemapLabels(**step)
    known = {int(old) for old in dict(step["mapping"])} | {step.get("ignore_index", 255)}
    for value, label in enumerate(loaded[0].tolist()):
        if step.get("default") == "raise" and label not in known:
            continue  # the run stops there
        after = remap.transform({"gt_seg_map": np.array([[label]], np.uint8)})["gt_seg_map"]
        assert reading.label(value) == int(after[0, 0]), (value, label, step)


def test_a_table_after_a_subset_of_classes_maps_what_that_left(tmp_path: Path) -> None:
    path = config(tmp_path, DATASETS["subset"].format(root=data(tmp_path / "data")))
    step = "dict(type='RemapLabels', mapping={1: 0})"
    reading = of_config(load(with_step(path, step))).readings["train"]
    assert [reading.label(v) for v in (0, 13, 1)] == [0, 0, 255]  # road, car, sidewalk


def test_a_table_of_colours_in_the_pipeline_is_said(tmp_path: Path) -> None:
    path = config(tmp_path, DATASETS["folder"].format(root=data(tmp_path / "data")))
    step = "dict(type='RemapLabels', palette=[[0, 0, 0], [9, 9, 9]])"
    (note,) = of_config(load(with_step(path, step))).notes
    assert "RemapLabels turns colours into labels" in note


# --- what cannot be listed ----------------------------------------------------------------------

ODD = b"odd \xff\xfe \n\x1b[31m.png"  # no UTF-8, a line feed, and what a terminal obeys


def trouble(root: Path) -> Path:
    """Write three images and labels, and around them what stops a listing."""
    for name in ("a", "deep/b", "c"):
        picture(root / "img" / f"{name}.jpg")
        picture(root / "ann" / f"{name}.png")
    os.symlink("self.jpg", root / "img/self.jpg")
    os.symlink("self", root / "img/self")  # of any ending: the host looks at all names
    os.symlink("deep", root / "img/twin")  # no circle: the host lists its files twice
    os.symlink("..", root / "img/deep/up")
    os.symlink("nowhere.jpg", root / "img/gone.jpg")  # the host passes over it
    return root


def scanned(*parts: Any) -> dict[str, SplitStats]:
    readings = {part.source.split: part.reading for part in parts}
    files = (file for part in parts for file in files_of(part.source))
    return scan_files(files, readings, jobs=1)


def lost(stats: SplitStats) -> dict[str, str]:
    bad = stats.problems["unreadable"].worst_files
    return {Path(each.file).name: each.text for each in bad}


def test_what_cannot_be_listed_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    trouble(tmp_path)
    source = Source("train", str(tmp_path / "img"), str(tmp_path / "ann"), ".jpg", ".png")
    split = scanned(Part(source, LabelReading()))["train"]
    assert lost(split) == {
        "self.jpg": "it cannot be read: Too many levels of symbolic links",
        "self": "it cannot be read: Too many levels of symbolic links",
        "up": "it is a link to a folder that it lies in, so training would list files again and "
        "again",
    }
    assert split.raw == {0: 3 * 16}  # a, b and c
    assert split.problems["image-without-label"].files == 1  # twin/b
    backend = pytest.importorskip("mmengine.fileio").LocalBackend()
    with pytest.raises(OSError, match="symbolic links"):
        list(backend.list_dir_or_file(source.images, list_dir=False, recursive=True))


def test_a_folder_of_label_maps_with_a_ring_of_links_is_read_once(tmp_path: Path) -> None:
    for name in ("x/1.png", "y/2.png"):
        picture(tmp_path / name)
    os.symlink("../y", tmp_path / "x/to-y")
    os.symlink("../x", tmp_path / "y/to-x")
    os.symlink("self.png", tmp_path / "self.png")
    os.symlink("notes", tmp_path / "notes")  # no label map
    (inventory,) = of_folder(str(tmp_path)).parts
    split = scanned(inventory)[inventory.source.split]
    assert lost(split).keys() == {"self.png", "to-x", "to-y"}
    # Each folder by its own name, and by the link of the other one.
    assert split.raw == {0: 4 * 16}
    folder = Folder(tmp_path)
    names = ("self.png", "x/1.png", "x/to-y/2.png", "y/2.png", "y/to-x/1.png")
    assert folder.files("").names == names


def test_a_link_to_a_folder_above_the_scanned_one_is_a_circle(tmp_path: Path) -> None:
    picture(tmp_path / "labels/1.png")
    os.symlink("..", tmp_path / "labels/up")
    split = next(iter(scanned(*of_folder(str(tmp_path / "labels")).parts).values()))
    assert (split.files, [*lost(split)]) == (2, ["up"])


def test_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    picture(tmp_path / "data/images/train" / os.fsdecode(ODD))
    picture(tmp_path / "data/labels/train" / os.fsdecode(ODD), 3)
    picture(tmp_path / "data/images/val/1.png")
    picture(tmp_path / "data/labels/val/1.png")
    inventory = of_folder(str(tmp_path / "data"))
    found = scan_files(inventory.files, inventory.readings, jobs=1, cache=tmp_path / "cache")
    again = scan_files(inventory.files, inventory.readings, jobs=1, cache=tmp_path / "cache")
    assert found == again
    assert found["train"].raw == {3: 16}
    assert not found["train"].problems


@pytest.mark.parametrize("line", ["a\0b", "x" * 5000, "../" * 2000 + "a", "\ufffd", "a/" * 400])
def test_lines_of_a_list_that_are_no_names_are_findings(line: str, tmp_path: Path) -> None:
    picture(tmp_path / "img/1.jpg")
    picture(tmp_path / "ann/1.png")
    (tmp_path / "list.txt").write_text(f"1\n{line}\n1\n", "utf-8")
    paths = (str(tmp_path / name) for name in ("img", "ann"))
    source = Source("train", *paths, ".jpg", ".png", str(tmp_path / "list.txt"))
    part = Part(source, LabelReading())
    split = scan_files(files_of(source), {"train": part.reading}, cache=tmp_path / "c")["train"]
    assert (split.files, split.raw) == (3, {0: 32})
    assert sum(problem.files for problem in split.problems.values()) == 1
    assert [bad.file for name, bad in unpaired(source) if name == "label-without-image"]


def test_a_list_that_is_no_text_is_a_finding(tmp_path: Path) -> None:
    picture(tmp_path / "img/1.jpg")
    picture(tmp_path / "ann/1.png")
    (tmp_path / "list.txt").write_bytes(b"1\n\xff\n")
    listed = Source("val", *(str(tmp_path / n) for n in ("img", "ann")), ".jpg", ".png")
    bad = replace(listed, split="train", ann_file=str(tmp_path / "list.txt"))
    found = scanned(Part(bad, LabelReading()), Part(listed, LabelReading()))
    assert "codec can't decode byte 0xff" in lost(found["train"])["list.txt"]
    assert found["val"].raw == {0: 16}


def test_a_folder_without_permission_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "val"):
        for name in ("a", "closed/b"):
            picture(tmp_path / "images" / split / f"{name}.jpg")
            picture(tmp_path / "labels" / split / f"{name}.png")
    scandir = os.scandir

    def refuse(path: Any) -> Any:  # root may read what it closes
        if "images/train/closed" in str(path) or str(path).endswith("images/val"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    inventory = of_folder(str(tmp_path))
    monkeypatch.setattr(os, "scandir", refuse)
    found = scanned(*inventory.parts)
    denied = "it cannot be read: Permission denied"
    assert (lost(found["train"]), found["train"].raw) == ({"closed": denied}, {0: 16})
    assert lost(found["val"]) == {"val": denied}


PATHS = st.sampled_from(
    ["", "a", "a/b", "/a", "/r/a", "s3://b/a", "http://h/a", "https://h/a", "../a", "s3:/a"]
)


@given(root=st.sampled_from([None, "", "r", "/r", "r/s"]), img=PATHS, seg=PATHS, ann=PATHS)
def test_paths_are_joined_as_the_host_joins_them(root: Any, img: str, seg: str, ann: str) -> None:
    prefix = {"img_path": img, "seg_map_path": seg}
    host = BaseDataset.__new__(BaseDataset)
    host.data_root, host.data_prefix, host.ann_file = root, dict(prefix), ann
    host._join_prefix()
    ours = source_of(
        "train", "", {"data_root": root, "data_prefix": prefix, "ann_file": ann}, (".jpg", ".png")
    )
    joined = host.data_prefix
    assert (ours.images, ours.labels) == (joined["img_path"], joined["seg_map_path"])
    assert ours.ann_file == host.ann_file


def test_a_label_without_image_is_told_once_where_two_splits_read_a_folder(tmp_path: Path) -> None:
    root = data(tmp_path)
    picture(root / "ann" / "alone.png")
    both = f"type='BaseSegDataset', data_root='{root}', {PREFIX}, {CLASSES}"
    other = both.replace("seg_map_path='ann'", "seg_map_path='./ann'")
    for train, val, told in ((both, both, 1), (both, other, 2)):
        splits = scan(config(tmp_path, train, val), cache=False).splits
        counts = [split.problems.get(UNUSED, Problem()).files for split in splits.values()]
        assert list(splits) == ["train", "val"]
        assert counts == [1, told - 1]
