"""Label files of the four formats, and what is said of those that are something else."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_fixkit import FixkitError
from mmseg_fixkit.datasets.label_bits import LabelFileError, pack
from mmseg_fixkit.transforms.load_multilabel import LoadMultiLabelAnnotations
from mmseg_fixkit.transforms.multilabel import AddMultiLabelAuxiliaryCategory, PackMultiLabelInputs
from tests.helpers.planes import joined
from tests.helpers.runs import run_dataset, run_loader_config

NAMES = ("cell", "nucleus", "halo")
SIZE = (6, 8)


def planes_of(seed: int = 0, labels: int = 3) -> Any:
    return (np.random.default_rng(seed).random((labels, *SIZE)) < 0.4).astype(np.uint8)


def save(path: Path, values: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return str(path)


def load(path: Any, size: Optional[tuple[int, int]] = SIZE, **options: Any) -> Any:
    """Load one image as a dataset does."""
    loader = options.pop("loader", None) or LoadMultiLabelAnnotations(
        **{"labels": NAMES, **options}
    )
    results: dict[str, Any] = {"seg_fields": [], "seg_map_path": str(path), "img_path": str(path)}
    if size is not None:
        results["ori_shape"] = size
    loaded = loader(results)
    assert loaded is not None
    assert loaded["seg_fields"] == ["gt_seg_map"]
    return loaded["gt_seg_map"]


def fault(path: Any, size: Optional[tuple[int, int]] = SIZE, **options: Any) -> str:
    with pytest.raises(LabelFileError) as caught:
        load(path, size, **options)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is LabelFileError
    assert str(again) == str(caught.value)
    # torch.utils.data rebuilds a worker's exception from its text alone.
    assert str(type(caught.value)(str(caught.value))) == str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("labels", [1, 7, 8, 15])
def test_a_map_of_bits_is_loaded_as_it_is(tmp_path: Path, labels: int) -> None:
    ignored = np.zeros(SIZE, bool)
    ignored[0, :3] = True
    packed = pack(planes_of(labels=labels), ignored)
    loaded = load(save(tmp_path / "a.png", packed), labels=labels)
    assert loaded.dtype == packed.dtype
    assert (loaded == packed).all()


@pytest.mark.parametrize("on", [1, 255])
@pytest.mark.parametrize("size", [SIZE, None])
def test_planes_side_by_side_are_loaded(
    tmp_path: Path, on: int, size: Optional[tuple[int, int]]
) -> None:
    planes = planes_of()
    path = save(tmp_path / "a.png", joined(planes * np.uint8(on)))
    assert (load(path, size, label_format="planes") == pack(planes)).all()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("{stem}_{label}.png", ["a_cell.png", "a_nucleus.png", "a_halo.png"]),
        ("{label}/{stem}.png", ["cell/a.png", "nucleus/a.png", "halo/a.png"]),
        ("../{index}/{stem}.bmp", ["../0/a.bmp", "../1/a.bmp", "../2/a.bmp"]),
    ],
)
@pytest.mark.parametrize("on", [1, 255])
def test_a_file_for_each_label_is_loaded(
    tmp_path: Path, pattern: str, names: list[str], on: int
) -> None:
    planes = planes_of()
    for plane, name in zip(planes, names):
        save(tmp_path / "ann" / name, plane * np.uint8(on))
    options = {"label_format": "files", "file_pattern": pattern}
    assert (load(tmp_path / "ann" / "a.png", **options) == pack(planes)).all()


def test_one_bit_and_palette_files_are_planes_too(tmp_path: Path) -> None:
    planes = planes_of()
    save(tmp_path / "a_cell.png", planes[0].astype(bool))
    indexed = Image.fromarray(planes[1])
    indexed.putpalette([0, 0, 0, 255, 0, 0])
    indexed.save(tmp_path / "a_nucleus.png")
    save(tmp_path / "a_halo.png", planes[2])
    assert (load(tmp_path / "a.png", label_format="files") == pack(planes)).all()


def test_a_label_without_a_file_is_nowhere_if_that_is_said(tmp_path: Path) -> None:
    planes = planes_of()
    planes[1] = 0
    save(tmp_path / "a_cell.png", planes[0])
    save(tmp_path / "a_halo.png", planes[2])
    text = fault(tmp_path / "a.png", label_format="files")
    assert text.startswith(f"{tmp_path}/a_nucleus.png cannot be read: No such file or directory")
    assert "missing_ok=True" in text
    loaded = load(tmp_path / "a.png", label_format="files", missing_ok=True)
    assert (loaded == pack(planes)).all()
    assert not load(tmp_path / "b.png", label_format="files", missing_ok=True).any()


@pytest.mark.parametrize("label_format", ["planes", "files"])
def test_255_is_ignored_for_all_labels_where_1_is_on(tmp_path: Path, label_format: str) -> None:
    planes = planes_of()
    planes[1, 2, 3] = 255
    ignored = np.zeros(SIZE, bool)
    ignored[2, 3] = True
    save(tmp_path / "a.png", joined(planes))
    for plane, name in zip(planes, NAMES):
        save(tmp_path / f"a_{name}.png", plane)
    options = {"label_format": label_format, "values": 1}
    assert (load(tmp_path / "a.png", **options) == pack(planes, ignored)).all()
    assert "values=1" in fault(tmp_path / "a.png", label_format=label_format)


# What is wrong with planes side by side -> what is said behind the name of the file.
WRONG_PLANES = {
    "another value": (
        lambda: joined(planes_of() * np.uint8(3)),
        "holds 3 (",
        "but a plane holds 0 and 1, or 0 and 255",
    ),
    "too few": (
        lambda: joined(planes_of(labels=2)),
        "is 16 x 6 pixels, but its image is 8 x 6 pixels, so 3 planes side by side would be 24 x 6",
        "it has 2 planes, and 3 labels are named",
    ),
    "one": (
        lambda: planes_of(labels=1)[0],
        "is 8 x 6 pixels",
        "it looks like a mask of one label",
    ),
    "single-label": (
        lambda: np.resize(np.arange(5, dtype=np.uint8), SIZE),
        "is 8 x 6 pixels",
        "it looks like a single-label map",
    ),
    "another size": (
        lambda: np.zeros((5, 24), np.uint8),
        "is 24 x 5 pixels",
        "so 3 planes side by side would be 24 x 6 pixels",
    ),
    "colour": (
        lambda: np.zeros((*SIZE, 3), np.uint8),
        "has 3 colour channels, but a label file has one",
        "",
    ),
    "both": (
        lambda: joined(planes_of() * np.array([1, 255, 1], np.uint8)[:, None, None]),
        "holds",
        "255",
    ),
}


@pytest.mark.parametrize("name", WRONG_PLANES)
def test_faults_of_planes_are_one_sentence_with_the_file(tmp_path: Path, name: str) -> None:
    values, *parts = WRONG_PLANES[name]
    path = save(tmp_path / "a.png", values())
    text = fault(path, label_format="planes")
    assert text.startswith(f"{path} {parts[0]}")
    assert parts[1] in text
    assert "\n" not in text


def test_a_width_that_is_no_multiple_is_told_without_an_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((4, 10), np.uint8))
    text = fault(path, None, label_format="planes")
    assert text == (
        f"{path} is 10 x 4 pixels, but the width of 3 planes side by side is a multiple of 3"
    )


def test_a_plane_that_is_a_single_label_map_is_called_so(tmp_path: Path) -> None:
    for name in NAMES:
        save(tmp_path / f"a_{name}.png", np.resize(np.arange(5, dtype=np.uint8), SIZE))
    text = fault(tmp_path / "a.png", label_format="files")
    assert text.startswith(f"{tmp_path}/a_cell.png holds 2 (")
    assert "every value of 0..4, as a single-label map does" in text


def test_a_file_of_another_size_is_named(tmp_path: Path) -> None:
    for name, size in zip(NAMES, (SIZE, (3, 4), SIZE)):
        save(tmp_path / f"a_{name}.png", np.zeros(size, np.uint8))
    text = fault(tmp_path / "a.png", label_format="files")
    assert text == f"{tmp_path}/a_nucleus.png is 4 x 3 pixels, but its image is 8 x 6 pixels"


def test_a_map_of_another_size_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((3, 4), np.uint8))
    assert fault(path) == f"{path} is 4 x 3 pixels, but its image is 8 x 6 pixels"


def test_two_kinds_of_planes_in_one_data_set_are_told(tmp_path: Path) -> None:
    loader = LoadMultiLabelAnnotations(NAMES, "planes")
    first = save(tmp_path / "a.png", joined(planes_of()))
    second = save(tmp_path / "b.png", joined(planes_of() * np.uint8(255)))
    load(first, loader=loader)
    text = fault(second, loader=loader)
    assert text.startswith(f"{second} holds 255, but {first} holds 0 and 1")
    other = LoadMultiLabelAnnotations(NAMES, "planes")
    load(second, loader=other)
    assert fault(first, loader=other) == f"{first} holds 1, but {second} holds 0 and 255"
    told = LoadMultiLabelAnnotations(NAMES, "planes", values=255)
    assert fault(first, loader=told) == f"{first} holds 1, but values=255 is given"


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    assert fault(tmp_path / "a.png").startswith(f"{tmp_path}/a.png cannot be read as an image")
    assert fault(tmp_path / "b.png").startswith(f"{tmp_path}/b.png cannot be read: No such file")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": 31}, "31 labels are given"),
        ({"labels": 16}, "16 labels, but a grey PNG of 16 bit has bits for 15"),
        ({"labels": ("a", "b", "a")}, "the label 'a' is given twice"),
        ({"labels": "cell"}, "the text 'cell'"),
        ({"label_format": "png"}, "the format is 'png'"),
        ({"values": 2, "label_format": "planes"}, "values is 2"),
        ({"label_format": "coco"}, "no ann_file is given"),
    ],
)
def test_arguments_that_make_no_sense_are_told_at_once(options: Any, said: str) -> None:
    with pytest.raises(FixkitError, match=said):
        LoadMultiLabelAnnotations(**{"labels": NAMES, **options})


@pytest.mark.parametrize("pattern", ["{stem}.png", "{name}_{label}.png", "{}.png"])
def test_patterns_name_a_file_for_each_label(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(FixkitError, match="file_pattern is"):
        load(tmp_path / "a.png", label_format="files", file_pattern=pattern)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("reduce_zero_label", True, "set it to False"), ("label_map", {0: 1}, "BaseSegDataset")],
)
def test_data_sets_that_change_values_are_refused(key: str, value: Any, said: str) -> None:
    results = {"seg_fields": [], "seg_map_path": "ann/a.png", key: value}
    with pytest.raises(LabelFileError, match=said) as caught:
        LoadMultiLabelAnnotations(NAMES)(results)
    assert str(caught.value).startswith("ann/a.png ")


def test_a_data_set_without_label_files_is_told() -> None:
    with pytest.raises(LabelFileError, match=r"img/a.jpg has no label file"):
        LoadMultiLabelAnnotations(NAMES)({"seg_fields": [], "img_path": "img/a.jpg"})


def test_inference_has_no_labels_and_passes_through() -> None:
    results = {"img_path": "img/a.jpg"}
    assert LoadMultiLabelAnnotations(NAMES)(results) is results


# COCO


def coco(root: Path, annotations: Sequence[dict[str, Any]], **changes: Any) -> str:
    entries = [{"id": i, "image_id": 5, **entry} for i, entry in enumerate(annotations)]
    tree = {
        "images": [{"id": 5, "file_name": "sub/a.jpg", "height": SIZE[0], "width": SIZE[1]}],
        "categories": [
            {"id": 9, "name": "halo"},
            {"id": 2, "name": "cell"},
            {"id": 4, "name": "nucleus"},
            {"id": 1, "name": "other"},
        ],
        "annotations": entries,
        **changes,
    }
    path = root / "labels.json"
    path.write_text(json.dumps(tree))
    return str(path)


def box(x: int, y: int, width: int, height: int) -> list[list[int]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def coco_map(ann_file: str, size: Any = SIZE) -> Any:
    return load("/data/img/sub/a.jpg", size, label_format="coco", ann_file=ann_file)


def test_polygons_and_rle_that_overlap_are_loaded(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    planes = np.zeros((3, *SIZE), np.uint8)
    planes[0, 1:4, 2:6] = 1
    planes[1, 2:5, 4:7] = 1
    planes[2, :, :2] = 1
    counts = [len(list(run)) for _, run in groupby(planes[1].ravel("F").tolist())]
    coded = masks.encode(np.asfortranarray(planes[2]))
    ann_file = coco(
        tmp_path,
        [
            {"category_id": 2, "segmentation": box(2, 1, 4, 3)},
            {"category_id": 4, "segmentation": {"size": list(SIZE), "counts": counts}},
            {
                "category_id": 9,
                "segmentation": {"size": list(SIZE), "counts": coded["counts"].decode()},
            },
            {"category_id": 1, "segmentation": box(0, 0, 8, 6)},
        ],
    )
    assert (coco_map(ann_file) == pack(planes)).all()


def test_an_image_without_annotations_has_no_labels(tmp_path: Path) -> None:
    assert not coco_map(coco(tmp_path, [])).any()


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ([], "annotation 0 of sub/a.jpg has no polygon and no RLE"),
        ([[1, 2]], "annotation 0 of sub/a.jpg cannot be drawn"),
        ({"size": [2, 2], "counts": [4]}, "annotation 0 of sub/a.jpg"),
    ],
)
def test_annotations_that_cannot_be_drawn_are_named(
    tmp_path: Path, segmentation: Any, said: str
) -> None:
    pytest.importorskip("pycocotools.mask")
    ann_file = coco(tmp_path, [{"category_id": 2, "segmentation": segmentation}])
    with pytest.raises(LabelFileError) as caught:
        coco_map(ann_file)
    assert str(caught.value).startswith(f"{ann_file}: {said}")


def test_faults_of_a_coco_json_are_told(tmp_path: Path) -> None:
    ann_file = coco(tmp_path, [])
    with pytest.raises(LabelFileError, match=r"a.jpg in .* is 8 x 6 pixels, but its image is 7 x"):
        coco_map(ann_file, (6, 7))
    with pytest.raises(LabelFileError, match=r"/img/b.jpg is no image of .*near it is 'sub/a.jpg'"):
        load("/img/b.jpg", label_format="coco", ann_file=ann_file)
    with pytest.raises(LabelFileError, match="'nuclei' is a label, but no category of"):
        LoadMultiLabelAnnotations(("cell", "nuclei"), "coco", ann_file=ann_file)
    Path(ann_file).write_text("[]")
    with pytest.raises(LabelFileError, match="is not the JSON of a COCO dataset"):
        LoadMultiLabelAnnotations(NAMES, "coco", ann_file=ann_file)
    with pytest.raises(LabelFileError, match="cannot be read: No such file"):
        LoadMultiLabelAnnotations(NAMES, "coco", ann_file=str(tmp_path / "no.json"))


# PaddleSeg's transform


def auxiliary(label: Any, image: Any = None, **options: Any) -> Any:
    results: dict[str, Any] = {"gt_seg_map": label, "seg_map_path": "a.png"}
    if image is not None:
        results["img"] = np.zeros((*image, 3), np.uint8)
    loaded = AddMultiLabelAuxiliaryCategory(**options)(results)
    assert loaded is not None
    return loaded


@pytest.mark.parametrize("options", [{}, {"labels": 3}, {"labels": NAMES}])
def test_planes_become_a_map_without_the_auxiliary_one(options: Any) -> None:
    planes = planes_of()
    for label, image in ((planes.transpose(1, 2, 0), None), (joined(planes), SIZE)):
        assert (auxiliary(label, image, **options)["gt_seg_map"] == pack(planes)).all()


def test_a_map_that_is_loaded_already_stays() -> None:
    packed = pack(planes_of())
    results = {"gt_seg_map": packed, "label_names": NAMES, "seg_fields": ["gt_seg_map"]}
    assert AddMultiLabelAuxiliaryCategory()(results) is results
    assert AddMultiLabelAuxiliaryCategory()({"img": 1}) == {"img": 1}


def test_other_numbers_of_planes_are_told() -> None:
    with pytest.raises(LabelFileError, match=r"a.png has 3 planes, but 2 labels are named: a, b"):
        auxiliary(planes_of().transpose(1, 2, 0), labels=("a", "b"))
    with pytest.raises(LabelFileError, match="it has 3 planes, and 2 labels are named"):
        auxiliary(joined(planes_of()), SIZE, labels=2)
    with pytest.raises(LabelFileError, match=r"as a single-label map does"):
        auxiliary(np.resize(np.arange(5, dtype=np.uint8), SIZE), SIZE)


# in the host's own dataset and loader


def dataset(root: Path, labels: int, **options: Any) -> Any:
    import mmseg.datasets  # noqa: F401 - registers
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    import mmseg_fixkit  # noqa: F401 - registers

    init_default_scope("mmseg")
    run_dataset(root, 2, size=SIZE[0] * 8)
    for index, file in enumerate(sorted((root / "ann").glob("*.png"))):
        rng = np.random.default_rng(index)
        save(file, pack(rng.random((labels, 48, 48)) < 0.3, rng.random((48, 48)) < 0.1))
    return DATASETS.build(
        dict(
            type="BaseSegDataset",
            data_root=str(root),
            data_prefix={"img_path": "img", "seg_map_path": "ann"},
            img_suffix=".png",
            metainfo={"classes": tuple(f"label_{i}" for i in range(labels))},
            pipeline=[
                {"type": "LoadImageFromFile"},
                {"type": "LoadMultiLabelAnnotations", "labels": labels, **options},
                {"type": "RandomCrop", "crop_size": (32, 32), "cat_max_ratio": 0.75},
                {"type": "RandomFlip", "prob": 0.5},
                {"type": "PackMultiLabelInputs"},
            ],
        )
    )


@pytest.mark.parametrize(
    ("labels", "kind"), [(3, torch.uint8), (9, torch.int16), (15, torch.int16)]
)
def test_a_batch_stays_as_narrow_as_its_labels(tmp_path: Path, labels: int, kind: Any) -> None:
    data = dataset(tmp_path, labels)
    first = data[0]["data_samples"].gt_sem_seg.data
    assert (first.dtype, tuple(first.shape)) == (kind, (1, 32, 32))


def test_two_dimensions_are_needed_to_pack() -> None:
    with pytest.raises(LabelFileError, match=r"has the shape \(6, 8, 3\), but a map of label bits"):
        PackMultiLabelInputs()({"gt_seg_map": planes_of().transpose(1, 2, 0)})


def test_a_fault_reaches_the_user_through_workers(tmp_path: Path) -> None:
    from mmengine.runner import Runner

    data = dataset(tmp_path, 3)
    save(tmp_path / "ann" / "02.png", np.full((48, 48), 64, np.uint8))
    loader = Runner.build_dataloader({**run_loader_config(data, workers=1), "dataset": data})
    with pytest.raises(LabelFileError, match=r"ann/02.png holds 64 \(2,304 pixels\)"):
        for _ in loader:
            pass
