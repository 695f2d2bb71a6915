"""``patch --data-root``: the host's own datasets find exactly the files that are there."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, METRICS
from mmseg.utils import register_all_modules
from PIL import Image

import mmseg_fixkit.runtime  # noqa: F401 - registers the guards
from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.nodes import Dataset

register_all_modules(init_default_scope=False)

CITYSCAPES = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
ADE20K = "mmseg::pspnet/pspnet_r50-d8_4xb4-80k_ade20k-512x512.py"
VOC_AUG = "mmseg::pspnet/pspnet_r50-d8_4xb4-20k_voc12aug-512x512.py"
CHASE = "mmseg::unet/unet-s5-d16_pspnet_4xb4-40k_chase-db1-128x128.py"
OWN = ("weed", "crop")

MODEL = "dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=2))"


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with DefaultScope.overwrite_default_scope("mmseg"):
        yield


def picture(path: Path, value: Optional[int] = None, size: int = 16) -> None:
    """Write an image, or a label map of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size, size, 3) if value is None else (size, size)
    Image.fromarray(np.full(shape, 90 if value is None else value, np.uint8)).save(path)


def folder(root: Path, images: str, labels: str, **splits: str) -> set[tuple[str, str]]:
    """Write one pair for each name; ``{s}`` is the split and ``{n}`` the name."""
    made = set()
    for split, names in splits.items():
        for name in names.split():
            pair = tuple(root / text.format(s=split, n=name) for text in (images, labels))
            picture(pair[0])
            picture(pair[1], value=1)
            made.add((str(pair[0]), str(pair[1])))
    return made


def lists(root: Path, template: str, **splits: str) -> None:
    for split, names in splits.items():
        path = root / template.format(s=split)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names.split()))


def built(config: dict[str, Any]) -> Any:
    return DATASETS.build(copy.deepcopy(config))


def read(config: dict[str, Any], *, sample: bool = True) -> set[tuple[str, str]]:
    """Build a dataset, wrappers and all, load a sample, and return the pairs that it reads."""
    whole = built(config)
    if sample:
        assert whole[0]["data_samples"].gt_sem_seg.data.max() <= 255
    return {pair for inner in _inner(whole) for pair in _pairs(inner)}


def _inner(dataset: Any) -> Iterator[Any]:
    children = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if children == [None]:
        yield dataset
    for child in children if children != [None] else ():
        yield from _inner(child)


def _pairs(dataset: Any) -> Iterator[tuple[str, str]]:
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        yield info["img_path"], info["seg_map_path"]


def splits(config: Any, *, sample: bool = True) -> dict[str, set[tuple[str, str]]]:
    return {
        split: read(config[f"{split}_dataloader"]["dataset"].to_dict(), sample=sample)
        for split in ("train", "val", "test")
    }


def innermost(config: Any, split: str) -> Sequence[Dataset]:
    return [d for d in load(config).datasets if d.split == split]


LAYOUTS = {
    "img_dir": ("img_dir/{s}/{n}.jpg", "ann_dir/{s}/{n}.png"),
    "labels": ("images/{s}/{n}.jpeg", "labels/{s}/{n}_mask.png"),
    "annotations": ("images/{s}/{n}.png", "annotations/{s}/{n}.png"),
    "split outside": ("{s}/images/{n}.jpg", "{s}/masks/{n}.tif"),
    "cityscapes": (
        "leftImg8bit/{s}/bern/{n}_leftImg8bit.png",
        "gtFine/{s}/bern/{n}_gtFine_labelTrainIds.png",
    ),
    "odd names": ("a b/Images/{s}/{n} ü.jpg", "a b/Masks/{s}/{n} ü.png"),
}


@pytest.mark.parametrize(
    ("layout", "config"),
    [
        *((layout, CITYSCAPES) for layout in LAYOUTS),
        *(("labels", config) for config in (ADE20K, VOC_AUG, CHASE)),
    ],
)
def test_every_split_reads_exactly_its_files(layout: str, config: str) -> None:
    images, labels = LAYOUTS[layout]
    root = Path("data/farm")
    made = {
        s: folder(root, images, labels, **{s: n}) for s, n in (("train", "a b c"), ("val", "d"))
    }
    planned = patch(config, OWN, data_root="data/farm")
    assert planned.plan.remaining == ()
    # Samples are loaded with the guards in the pipelines.
    found = splits(planned.config, sample=layout in ("labels", "odd names"))
    assert found == {"train": made["train"], "val": made["val"], "test": made["val"]}
    again = patch(planned.config, OWN, data_root="data/farm")
    assert again.plan.empty


def test_ade20k_spells_its_splits_in_its_own_way() -> None:
    text = ("images/{s}/{n}.jpg", "annotations/{s}/{n}.png")
    train = folder(Path("ade"), *text, training="a b")
    val = folder(Path("ade"), *text, validation="c")
    config = patch(CITYSCAPES, OWN, data_root="ade").config
    assert splits(config, sample=False) == {"train": train, "val": val, "test": val}


@pytest.mark.parametrize("where", ["", "VOCdevkit/VOC2012"])
def test_lists_of_names_are_used(where: str) -> None:
    root = Path("data") / where
    made = folder(root, "JPEGImages/{n}.jpg", "SegmentationClass/{n}.png", x="a b c d")
    lists(root, "ImageSets/Segmentation/{s}.txt", train="a b", val="c")
    planned = patch(CITYSCAPES, OWN, data_root="data")
    found = splits(planned.config, sample=False)
    assert {k: {Path(i).stem for i, _ in v} for k, v in found.items()} == {
        "train": {"a", "b"},
        "val": {"c"},
        "test": {"c"},
    }
    assert found["train"] < made
    assert innermost(planned.config, "train")[0].config["data_root"] == root.as_posix()


def test_the_two_training_sets_of_voc_stay_two_where_both_are_there() -> None:
    root = Path("VOC2012")
    one = folder(root, "JPEGImages/{n}.jpg", "SegmentationClass/{n}.png", x="a b")
    two = folder(root, "JPEGImages/{n}.jpg", "SegmentationClassAug/{n}.png", x="c")
    lists(root, "ImageSets/Segmentation/{s}.txt", train="a", val="b", aug="c")
    config = patch(VOC_AUG, OWN, data_root="VOC2012").config
    assert read(config.train_dataloader.dataset.to_dict()) == {*two, sorted(one)[0]}


def test_of_several_training_sets_one_reads_a_folder_that_has_one() -> None:
    made = folder(Path("farm"), "images/{s}/{n}.jpg", "labels/{s}/{n}.png", train="a b")
    planned = patch(VOC_AUG, OWN, data_root="farm")
    (dataset,) = innermost(planned.config, "train")
    assert dataset.config["ann_file"] == ""
    assert len(built(planned.config.train_dataloader.dataset.to_dict())) == len(made)
    assert "MSF206" in {
        d.code
        for d in planned.diagnostics
        if d.found == "SegmentationClassAug/ImageSets/Segmentation/aug.txt"
    }


def test_a_data_set_that_is_repeated_on_purpose_is_left_so(tmp_path: Path) -> None:
    inner = "dict(type='BaseSegDataset', data_root='old', data_prefix=dict(img_path='x'))"
    folder(Path("farm"), "images/{s}/{n}.jpg", "labels/{s}/{n}.png", train="a")
    Path("cfg.py").write_text(
        f"model = {MODEL}\ntrain_dataloader = dict(dataset=dict(type='ConcatDataset', "
        f"datasets=[{inner}, {inner}]))\n"
    )
    planned = patch("cfg.py", OWN, data_root="farm", guards=False)
    assert len(innermost(planned.config, "train")) == 2


WRAPPED = {
    "RepeatDataset": "dict(type='RepeatDataset', times=3, dataset={})",
    "ClassBalancedDataset": "dict(type='ClassBalancedDataset', oversample_thr=1e-3, dataset={})",
    "MultiImageMixDataset": "dict(type='MultiImageMixDataset', dataset={}, pipeline=[])",
    "ConcatDataset": "dict(type='ConcatDataset', datasets=[{}])",
    "two": "dict(type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[{}]))",
}


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_datasets_below_wrappers(wrapper: str) -> None:
    made = folder(Path("farm"), "images/{s}/{n}.jpg", "labels/{s}/{n}_L.png", train="a b")
    inner = "dict(type='CityscapesDataset', data_root='old', data_prefix=dict(img_path='x'))"
    Path("cfg.py").write_text(
        f"model = {MODEL}\ntrain_dataloader = dict(dataset={WRAPPED[wrapper].format(inner)})\n"
    )
    planned = patch("cfg.py", OWN, data_root="farm", guards=False)
    (dataset,) = innermost(planned.config, "train")
    assert dataset.type == "BaseSegDataset"
    assert read(dataset.config, sample=False) == made
    planned.write("fixed.py")
    assert patch("fixed.py", OWN, data_root="farm", guards=False).plan.empty


def test_without_a_validation_split_it_is_said_what_validation_reads() -> None:
    made = folder(Path("farm"), "images/{n}.jpg", "masks/{n}.png", x="a b")
    planned = patch(CITYSCAPES, OWN, data_root="farm")
    assert any("validation reads the training files" in note for note in planned.notes)
    assert splits(planned.config, sample=False) == {"train": made, "val": made, "test": made}


def test_a_test_split_stands_in_for_validation() -> None:
    text = ("{s}/images/{n}.jpg", "{s}/labels/{n}.png")
    train, test = folder(Path("f"), *text, train="a"), folder(Path("f"), *text, test="b")
    planned = patch(CITYSCAPES, OWN, data_root="f")
    assert any("validation reads the test files" in note for note in planned.notes)
    assert splits(planned.config, sample=False) == {"train": train, "val": test, "test": test}


def test_a_test_dataset_of_its_own_reads_the_test_split() -> None:
    text = ("{s}/images/{n}.jpg", "{s}/labels/{n}.png")
    made = {s: folder(Path("f"), *text, **{s: s[0]}) for s in ("train", "val", "test")}
    Path("cfg.py").write_text(
        f"_base_ = {str(load(CITYSCAPES).path)!r}\n"
        "test_dataloader = dict(dataset=dict(data_prefix=dict(img_path='leftImg8bit/test')))\n"
    )
    assert splits(patch("cfg.py", OWN, data_root="f").config, sample=False) == made
    shared = splits(patch(CITYSCAPES, OWN, data_root="f").config, sample=False)
    assert shared == {**made, "test": made["val"]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"img_dir": "pics/{split}"}, ("pics/train", "labels/train", None, ".png")),
        ({"ann_dir": "farm/other"}, ("images", "other", None, ".jpg")),
        (
            {"ann_file": "own/{split}.txt", "ann_dir": "other"},
            ("images", "other", "own/train.txt", ".jpg"),
        ),
        ({"img_suffix": ".tif"}, ("images/train", "labels/train", None, ".tif")),
    ],
)
def test_what_is_given_counts_before_what_is_recognised(
    options: dict[str, str], expected: tuple[Any, ...]
) -> None:
    root = Path("farm")
    folder(root, "images/{s}/{n}.jpg", "labels/{s}/{n}.png", train="a b")
    folder(root, "images/{n}.jpg", "other/{n}.png", x="e")
    folder(root, "images/{s}/{n}.tif", "labels/{s}/{n}.png", train="a")
    folder(root, "pics/{s}/{n}.png", "labels/{s}/{n}.png", train="a b")
    lists(root, "own/{s}.txt", train="e", val="e")
    planned = patch(CITYSCAPES, OWN, data_root="farm", **options)
    config = innermost(planned.config, "train")[0].config
    prefix = config["data_prefix"]
    found = (prefix["img_path"], prefix["seg_map_path"], config.get("ann_file"))
    assert (*found, config["img_suffix"]) == expected


def test_a_folder_on_another_machine_is_written_as_it_is() -> None:
    planned = patch(VOC_AUG, OWN, data_root="/data/far/away/")
    assert any("/data/far/away/ is not here" in note for note in planned.notes)
    config = innermost(planned.config, "val")[0].config
    assert config["data_root"] == "/data/far/away/"
    assert config["data_prefix"]["img_path"] == "JPEGImages"
    assert config["ann_file"] == "ImageSets/Segmentation/val.txt"
    assert len(innermost(planned.config, "train")) == 2
    planned = patch(VOC_AUG, OWN, data_root="s3://bucket/x", img_dir="{split}/i", ann_file="")
    config = innermost(planned.config, "val")[0].config
    assert (config["data_prefix"]["img_path"], config["ann_file"]) == ("val/i", "")


def test_an_unknown_layout_says_what_to_give() -> None:
    folder(Path("farm"), "pics/{s}/{n}.jpg", "truth/{s}/{n}.png", train="a")
    (note,) = patch(CITYSCAPES, OWN, data_root="farm").notes
    assert "the folders in it are pics, truth" in note
    assert "--img-dir 'images/{split}'" in note


def test_a_home_folder_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = folder(tmp_path / "farm", "images/{n}.jpg", "labels/{n}.png", x="a")
    config = patch(CITYSCAPES, OWN, data_root="~/farm").config
    assert read(config.train_dataloader.dataset.to_dict()) == made


def test_a_file_is_no_data_folder() -> None:
    Path("farm.zip").touch()
    with pytest.raises(FixkitError, match=r"farm\.zip is a file"):
        patch(CITYSCAPES, OWN, data_root="farm.zip")


def test_a_class_of_the_users_own_keeps_its_suffixes() -> None:
    folder(Path("farm"), "images/{n}.tif", "labels/{n}.png", x="a")
    Path("cfg.py").write_text(
        f"model = {MODEL}\ntrain_dataloader = dict(dataset=dict(type='FarmDataset'))\n"
    )
    config = innermost(patch("cfg.py", OWN, data_root="farm").config, "train")[0].config
    assert config["data_prefix"] == {"img_path": "images", "seg_map_path": "labels"}
    assert "img_suffix" not in config


def test_files_that_stop_a_run_are_named() -> None:
    root = Path("farm")
    folder(root, "images/{s}/{n}.jpg", "labels/{s}/{n}.png", train="a b")
    picture(root / "images/train/c.jpg")
    picture(root / "images/train/d.png")
    picture(root / "labels/train/z.png", value=0)
    notes = "\n".join(patch(CITYSCAPES, OWN, data_root="farm").notes)
    assert "train 2 pairs" in notes
    assert "images/train: 1 image (c.jpg) without label map" in notes
    assert "images/train: 1 image (d.png) not read" in notes
    assert "labels/train: 1 label map (z.png) without image" in notes


def test_raw_cityscapes_needs_its_labels_converted() -> None:
    folder(
        Path("cs"),
        "leftImg8bit/{s}/bern/{n}_leftImg8bit.png",
        "gtFine/{s}/bern/{n}_gtFine_labelIds.png",
        train="a",
        val="b",
    )
    notes = patch(CITYSCAPES, data_root="cs").notes
    assert any("tools/dataset_converters/cityscapes.py" in note for note in notes)


@pytest.mark.parametrize(
    ("config", "classes", "ids", "suffixes"),
    [
        (
            CITYSCAPES,
            ("car", "road"),
            {13: 0, 0: 1, 5: 255},
            ("_leftImg8bit.png", "_gtFine_labelTrainIds.png"),
        ),
        (ADE20K, ("sky", "tree"), {3: 0, 5: 1, 1: 255, 0: 255}, (".jpg", ".png")),
    ],
)
def test_a_subset_of_the_dataset_s_own_classes_keeps_its_type(
    config: str, classes: tuple[str, ...], ids: dict[int, int], suffixes: tuple[str, str]
) -> None:
    own = load(config).datasets[0]
    for value in ids:
        picture(Path(f"data/images/train/{value}{suffixes[0]}"))
        picture(Path(f"data/labels/train/{value}{suffixes[1]}"), value=value)
    planned = patch(config, classes, data_root="data", guards=False)
    (dataset,) = innermost(planned.config, "train")
    assert dataset.type == own.type
    assert (dataset.suffix("img_suffix"), dataset.suffix("seg_map_suffix")) == suffixes
    assert dataset.reduce_zero_label == own.reduce_zero_label
    colours = dict(zip(own.info.classes, own.info.palette))
    assert dataset.metainfo["palette"] == [list(colours[name]) for name in classes]
    steps = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}, {"type": "PackSegInputs"}]
    real = built({**dataset.config, "pipeline": steps})
    assert real.metainfo["palette"] == [list(colours[name]) for name in classes]
    seen = {
        int(Path(s["data_samples"].img_path).name.split("_")[0].split(".")[0]): int(
            s["data_samples"].gt_sem_seg.data.max()
        )
        for s in real
    }
    assert seen == ids
    assert any("type stays" in note for note in planned.notes)


def test_labels_loaded_before_the_resize_stop_the_metric_and_the_fix_ends_it() -> None:
    folder(Path("farm"), "images/{n}.png", "labels/{n}.png", x="a")
    Path("cfg.py").write_text(
        f"model = {MODEL}\nval_dataloader = dict(dataset=dict(type='BaseSegDataset', "
        "metainfo=dict(classes=('weed', 'crop')), data_root='farm', img_suffix='.png', "
        "data_prefix=dict(img_path='images', seg_map_path='labels'), pipeline=["
        "dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), "
        "dict(type='Resize', scale=(8, 8)), dict(type='PackSegInputs')]))\n"
    )
    (found,) = check("cfg.py").diagnostics
    assert found.code == "MSF209"

    def evaluate(config: dict[str, Any]) -> None:
        sample = built(config)[0]["data_samples"]
        shape = (1, *sample.ori_shape)
        data = {
            **sample.to_dict(),
            "pred_sem_seg": {"data": sample.gt_sem_seg.data.new_zeros(shape)},
        }
        metric = METRICS.build({"type": "IoUMetric", "prefix": "x"})
        metric.dataset_meta = {"classes": OWN}
        metric.process({}, [data])

    with pytest.raises(IndexError, match="shape of the mask"):
        evaluate(load("cfg.py").datasets[0].config)
    fixed = patch("cfg.py")
    evaluate(innermost(fixed.config, "val")[0].config)
    kinds = [s["type"] for _, s in innermost(fixed.config, "val")[0].transforms]
    assert kinds == [
        *("LoadImageFromFile", "Resize", "LoadAnnotations", "AssertLabelBounds", "PackSegInputs"),
    ]


def test_class_names_of_0x_are_without_effect_and_are_renamed() -> None:
    folder(Path("farm"), "images/{n}.jpg", "labels/{n}.png", x="a")
    meta = {"CLASSES": OWN, "PALETTE": [[0, 0, 0], [9, 9, 9]]}
    plain = dict(type="BaseSegDataset", metainfo=meta, data_prefix={"img_path": "farm/images"})
    assert built(plain).metainfo.get("classes") is None
    with pytest.raises(AssertionError, match="should be specified when testing"):
        built({**plain, "test_mode": True})
    Path("cfg.py").write_text(f"model = {MODEL}\ntrain_dataloader = dict(dataset={plain!r})\n")
    assert {d.code for d in check("cfg.py").diagnostics} == {"MSF210"}
    config = innermost(patch("cfg.py").config, "train")[0].config
    real = built({**config, "test_mode": True, "pipeline": []})
    assert real.metainfo["classes"] == OWN
    assert real.metainfo["palette"] == meta["PALETTE"]
    # A type with classes of its own learns those today, so only a person can say what is meant.
    city = dict(plain, type="CityscapesDataset")
    Path("cfg.py").write_text(f"model = {MODEL}\ntrain_dataloader = dict(dataset={city!r})\n")
    (found,) = (d for d in check("cfg.py").diagnostics if d.key[-1] == "CLASSES")
    assert not found.fixable
    config = innermost(patch("cfg.py", OWN).config, "train")[0].config
    assert config["metainfo"]["classes"] == OWN
    assert "CLASSES" not in config["metainfo"]


def test_a_root_that_is_written_twice_is_not_found_by_the_host() -> None:
    made = folder(Path("data/farm"), "images/{n}.jpg", "labels/{n}.png", x="a")
    text = (
        f"model = {MODEL}\ntrain_dataloader = dict(dataset=dict(type='BaseSegDataset', "
        "metainfo=dict(classes=('weed', 'crop')), data_root='data/farm', data_prefix=dict("
        "img_path='data/farm/images', seg_map_path='data/farm/labels')))\n"
    )
    Path("cfg.py").write_text(text)
    assert {d.code for d in check("cfg.py").diagnostics} == {"MSF211"}
    with pytest.raises(FileNotFoundError):
        read(load("cfg.py").datasets[0].config)
    config = innermost(patch("cfg.py", guards=False).config, "train")[0].config
    assert read(config, sample=False) == made


NESTED = (
    "[dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=["
    "[dict(type='Resize', scale=(8, 8)), dict(type='Resize', scale=(16, 16))], "
    "[dict(type='LoadAnnotations', reduce_zero_label=True)], [dict(type='PackSegInputs')]])]"
)


def test_steps_inside_test_time_augmentation_are_seen() -> None:
    folder(Path("farm"), "images/{s}/{n}.jpg", "labels/{s}/{n}.png", test="a")
    Path("cfg.py").write_text(
        f"model = {MODEL}\ntest_dataloader = dict(dataset=dict(type='BaseSegDataset', "
        f"metainfo=dict(classes=('weed', 'crop')), pipeline=[]))\ntta_pipeline = {NESTED}\n"
    )
    assert {d.code for d in check("cfg.py").diagnostics} == {"MSF301"}
    planned = patch("cfg.py", OWN, data_root="farm")
    steps = planned.config.tta_pipeline[1].transforms
    assert [[s["type"] for s in ways] for ways in steps] == [
        ["Resize", "Resize"],
        ["LoadAnnotations"],
        ["PackSegInputs"],
    ]
    assert steps[1][0]["reduce_zero_label"] is False
    # As ``tools/test.py --tta`` does.
    config = innermost(planned.config, "test")[0].config
    sample = built(
        {
            **config,
            "pipeline": load(planned.config).tree["tta_pipeline"],
        }
    )[0]
    assert [s.gt_sem_seg.data.shape for s in sample["data_samples"]] == [(1, 16, 16)] * 2
    assert patch(planned.config, OWN, data_root="farm").plan.empty


def test_the_guard_of_other_classes_is_seen_inside_a_choice() -> None:
    Path("cfg.py").write_text(
        f"model = {MODEL}\ntrain_dataloader = dict(dataset=dict(type='BaseSegDataset', "
        "metainfo=dict(classes=('weed', 'crop')), pipeline=[dict(type='RandomChoice', "
        "transforms=[[dict(type='LoadAnnotations'), dict(type='AssertLabelBounds', "
        "num_classes=19)]])]))\n"
    )
    (found,) = check("cfg.py").diagnostics
    assert found.code == "MSF208"
    assert {e.value for e in patch("cfg.py", guards=False).plan.edits} == {2}


@pytest.mark.parametrize(
    "evaluator",
    [
        "dict(type='IoUMetric', ignore_index=254)",
        "[dict(type='IoUMetric', ignore_index=254)]",
        "dict(type='Evaluator', metrics=[dict(type='IoUMetric', ignore_index=254)])",
        "dict(type='Evaluator', metrics=dict(type='IoUMetric', ignore_index=254))",
    ],
)
def test_metrics_are_seen_however_they_are_written(evaluator: str) -> None:
    Path("cfg.py").write_text(
        f"model = {MODEL}\nval_evaluator = {evaluator}\ntrain_dataloader = dict(dataset=dict("
        "type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))\n"
    )
    (found,) = check("cfg.py").diagnostics
    assert (found.key[0], found.key[-1]) == ("val_evaluator", "ignore_index")
    assert patch("cfg.py", OWN, guards=False).plan.remaining == ()


def test_the_command_line_says_what_it_saw() -> None:
    folder(Path("farm"), "images/{s}/{n}.jpg", "labels/{s}/{n}.png", train="a b", val="c")
    lists(Path("farm"), "own/{s}.txt", train="train/a", val="val/c")
    given = ("--classes", "weed,crop", "--data-root", "farm", "--ann-file", "own/{split}.txt")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from mmseg_fixkit.cli import main; main()",
            "patch",
            CITYSCAPES,
            *given,
            "-o",
            "out.py",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "images + labels, listed in own/{split}.txt: train 1 pair, val 1 pair" in done.stderr
    config = load("out.py").datasets[0].config
    assert config["ann_file"] == "own/train.txt"
    assert [Path(i).name for i, _ in read(config, sample=False)] == ["a.jpg"]


# Folders without --data-root: the config's own root is looked at, where there is one


def two_datasets(*roots: str) -> str:
    """Write a config whose datasets have these roots; return its name."""
    loaders = "".join(
        f"{name}_dataloader = dict(dataset=dict(type='BaseSegDataset', data_root={root!r}, "
        f"data_prefix=dict(img_path='x', seg_map_path='y'), "
        f"metainfo=dict(classes=('weed', 'crop'))))\n"
        for name, root in zip(("train", "val"), roots)
    )
    Path("c.py").write_text(f"model = {MODEL}\n{loaders}")
    return "c.py"


def prefixes(planned: Any) -> list[Any]:
    return [
        (d.config.get("data_root"), d.config["data_prefix"].get("img_path"))
        for d in load_tree(planned)
    ]


def load_tree(planned: Any) -> list[Dataset]:
    planned.write(Path("out.py"))
    return list(load("out.py").datasets)


def test_folders_below_the_root_that_all_datasets_have() -> None:
    folder(Path("data"), "img/{s}/{n}.jpg", "ann/{s}/{n}.png", train="a b", val="c")
    planned = patch(two_datasets("data", "data"), img_dir="img/{split}", ann_dir="ann/{split}")
    assert prefixes(planned) == [("data", "img/train"), ("data", "img/val")]


def test_datasets_of_several_roots_or_none_keep_them() -> None:
    folder(Path("data"), "img/{s}/{n}.jpg", "ann/{s}/{n}.png", train="a b", val="c")
    planned = patch(two_datasets("data", "other"), img_dir="img/{split}", ann_dir="ann/{split}")
    assert prefixes(planned) == [("data", "img/train"), ("other", "img/val")]
    assert planned.notes == ()
    alone = patch(two_datasets(), ["weed", "crop"], img_dir="img/{split}", guards=False)
    assert alone.plan.empty
