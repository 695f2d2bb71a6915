"""Which label files a scan reads: those that MMSegmentation's own datasets list, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit.config.load import load
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.from_config import of_config
from mmseg_fixkit.datasets.label_file import LabelFile
from mmseg_fixkit.datasets.listing import (
    LabelOverrides,
    of_folder,
)

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
