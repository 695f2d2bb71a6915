"""The host's transforms on a map of bits, against the same transforms on separate planes."""

from __future__ import annotations

import copy
import importlib.util
import random
from typing import Any, Callable

import mmseg.datasets  # noqa: F401 - registers
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import TRANSFORMS

import mmseg_fixkit  # noqa: F401 - registers
from mmseg_fixkit.datasets.label_bits import IGNORED, map_type, pack, unpack
from tests.helpers.planes import planes_in

HEIGHT, WIDTH = 40, 56

#: Labels that take 8, 16 and 32 bit.
COUNTS = (3, 7, 15, 30)

#: Transforms of the host that move pixels of labels, as the zoo's pipelines and its docs use them.
UNCHANGED: dict[str, dict[str, Any]] = {
    "Resize": {"type": "Resize", "scale": (33, 47)},
    "Resize, ratio kept": {"type": "Resize", "scale": (70, 70), "keep_ratio": True},
    "RandomResize": {
        "type": "RandomResize",
        "scale": (64, 48),
        "ratio_range": (0.5, 2.0),
        "keep_ratio": True,
    },
    "RandomChoiceResize": {
        "type": "RandomChoiceResize",
        "scales": [24, 32, 50],
        "resize_type": "ResizeShortestEdge",
        "max_size": 80,
    },
    "ResizeShortestEdge": {"type": "ResizeShortestEdge", "scale": 30, "max_size": 60},
    "ResizeToMultiple": {"type": "ResizeToMultiple", "size_divisor": 32},
    "RandomCrop": {"type": "RandomCrop", "crop_size": (24, 24)},
    "CenterCrop": {"type": "CenterCrop", "crop_size": (24, 20)},
    "CenterCrop, padded": {"type": "CenterCrop", "crop_size": (80, 20), "auto_pad": True},
    "RandomFlip, horizontal": {"type": "RandomFlip", "prob": 1.0},
    "RandomFlip, any": {
        "type": "RandomFlip",
        "prob": [0.3, 0.3, 0.3],
        "direction": ["horizontal", "vertical", "diagonal"],
    },
    "RandomRotate": {"type": "RandomRotate", "prob": 1.0, "degree": 30},
    "RandomRotate, bound": {
        "type": "RandomRotate",
        "prob": 1.0,
        "degree": 30,
        "auto_bound": True,
    },
    "Pad": {"type": "Pad", "size": (64, 64)},
    "Pad, divisor": {"type": "Pad", "size_divisor": 32, "pad_val": {"img": 0, "seg": 255}},
    "RandomCutOut": {
        "type": "RandomCutOut",
        "prob": 1.0,
        "n_holes": 3,
        "cutout_shape": (8, 8),
        "seg_fill_in": 255,
    },
    "RandomCutOut, no label": {
        "type": "RandomCutOut",
        "prob": 1.0,
        "n_holes": 3,
        "cutout_ratio": (0.2, 0.2),
        "seg_fill_in": 0,
    },
    "RandomRotFlip, flips": {"type": "RandomRotFlip", "rotate_prob": 0.0, "flip_prob": 1.0},
    "SegRescale": {"type": "SegRescale", "scale_factor": 0.5},
    "RandomApply": {
        "type": "RandomApply",
        "prob": 0.7,
        "transforms": [{"type": "RandomRotate", "prob": 1.0, "degree": 20}],
    },
    "PhotoMetricDistortion": {"type": "PhotoMetricDistortion"},
}

#: Our own, in the place of host transforms that are not fit.
OURS: dict[str, dict[str, Any]] = {
    "MultiLabelRandomFlip": {"type": "MultiLabelRandomFlip", "prob": 1.0},
    "MultiLabelRandomRotFlip": {
        "type": "MultiLabelRandomRotFlip",
        "rotate_prob": 1.0,
        "degree": 30,
    },
}


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope("mmseg")


def sample(count: int, seed: int = 0) -> tuple[Any, Any]:
    """Return planes (L, H, W) of overlapping blocks, and ignored pixels."""
    rng = np.random.default_rng(seed)
    blocks = rng.random((count, HEIGHT // 8, WIDTH // 8)) < 0.4
    planes = blocks.repeat(8, 1).repeat(8, 2) ^ (rng.random((count, HEIGHT, WIDTH)) < 0.05)
    ignored = np.zeros((HEIGHT, WIDTH), bool)
    ignored[:5, 10:40] = True
    return planes & ~ignored, ignored


def results_of(label: Any, seed: int = 0) -> dict[str, Any]:
    image = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    shape = (HEIGHT, WIDTH)
    return {
        "img": image,
        "img_shape": shape,
        "ori_shape": shape,
        "gt_seg_map": label,
        "seg_fields": ["gt_seg_map"],
    }


def transformed(transform: Any, label: Any, seed: int) -> Any:
    """Transform one label map, with the randomness of ``seed``."""
    np.random.seed(seed)
    random.seed(seed)
    return transform(results_of(label.copy()))["gt_seg_map"]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", [*UNCHANGED, *OURS])
def test_a_map_is_transformed_as_its_planes_are(name: str, count: int) -> None:
    transform = TRANSFORMS.build({**UNCHANGED, **OURS}[name])
    planes, ignored = sample(count)
    for seed in range(3):
        moved = transformed(transform, pack(planes, ignored), seed)
        assert moved.dtype == map_type(count)
        # In the type of the map: OpenCV 5 rotates 32 bit by another routine than 8 and 16, which
        # takes another of two equally near pixels here and there.
        apart = planes_in(pack(planes, ignored), count).astype(moved.dtype)
        separate = [transformed(transform, plane, seed) for plane in apart]
        found, where = unpack(moved, count)
        assert (np.stack(separate) == np.where(where, IGNORED, found)).all()
        assert (moved[where] == IGNORED).all()


@pytest.mark.parametrize("count", COUNTS)
def test_mosaics_are_made_of_maps_as_of_planes(count: int) -> None:
    transform = TRANSFORMS.build({"type": "RandomMosaic", "prob": 1.0, "img_scale": (32, 40)})
    samples = [sample(count, seed) for seed in range(4)]

    def mosaic(labels: list[Any]) -> Any:
        np.random.seed(1)
        random.seed(1)
        results = results_of(labels[0])
        results["mix_results"] = [results_of(label, i) for i, label in enumerate(labels[1:])]
        return transform.transform(results)["gt_seg_map"]

    packed = [pack(planes, ignored) for planes, ignored in samples]
    moved = mosaic(packed)
    apart = [planes_in(p, count) for p in packed]
    separate = np.stack([mosaic([p[i] for p in apart]) for i in range(count)])
    found, where = unpack(moved, count)
    assert moved.dtype == map_type(count)
    assert where.any()
    assert (separate == np.where(where, IGNORED, found)).all()


ALBU: dict[str, Callable[[Any], Any]] = {
    "HorizontalFlip": lambda a: {"type": "HorizontalFlip", "p": 1.0},
    "Rotate": lambda a: {"type": "Rotate", "p": 1.0, **fill(a.Rotate)},
}


def fill(kind: Any) -> dict[str, Any]:
    """Return the argument for what comes in at the border; its name changed with a version."""
    import inspect

    names = inspect.signature(kind.__init__).parameters
    name = "fill_mask" if "fill_mask" in names else "mask_value"
    return {name: IGNORED, "border_mode": 0}


@pytest.mark.skipif(
    importlib.util.find_spec("albumentations") is None, reason="albumentations is not installed"
)
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ALBU)
def test_albumentations_moves_maps_as_planes(name: str, count: int) -> None:
    import albumentations

    step = {"type": "Albu", "transforms": [ALBU[name](albumentations)]}
    transform = TRANSFORMS.build(step)
    packed = pack(*sample(count))
    both = [packed, *planes_in(packed, count).astype(packed.dtype)]
    moved, *separate = [_seeded(copy.deepcopy(transform), label) for label in both]
    found, where = unpack(moved, count)
    assert (np.stack(separate) == np.where(where, IGNORED, found)).all()


def _seeded(transform: Any, label: Any) -> Any:
    if hasattr(transform.aug, "set_random_seed"):
        transform.aug.set_random_seed(3)
    return transformed(transform, label, 3)


def test_swapped_labels_follow_a_flip() -> None:
    planes, ignored = sample(9)
    flip = TRANSFORMS.build(
        {"type": "MultiLabelRandomFlip", "prob": 1.0, "swap_seg_labels": [(0, 8), (2, 3)]}
    )
    order = [8, 1, 3, 2, 4, 5, 6, 7, 0]
    moved = transformed(flip, pack(planes, ignored), 0)
    assert (moved == pack(planes[order], ignored)[:, ::-1]).all()


def test_crops_are_chosen_by_combinations_of_labels() -> None:
    """``cat_max_ratio`` counts map values: pixels of the same labels, those of none among them."""
    label = np.zeros((HEIGHT, WIDTH), np.uint8)
    label[:, WIDTH // 2 :] = 0b01
    label[: HEIGHT // 2, WIDTH // 2 :] = 0b11
    crop = TRANSFORMS.build({"type": "RandomCrop", "crop_size": (16, 16), "cat_max_ratio": 0.75})
    for seed in range(20):
        cropped = transformed(crop, label, seed)
        counts = np.bincount(cropped.ravel(), minlength=4)
        # Label 0 alone fills the right half, but no combination fills a crop.
        assert counts.max() < 0.75 * 16 * 16


# Where the host's transform is not fit for bits; docs/multilabel.md says what to use instead.


def test_the_hosts_random_rot_flip_makes_labels_that_were_nowhere() -> None:
    planes = np.zeros((7, HEIGHT, WIDTH), bool)
    planes[4, :, : WIDTH // 2] = True
    for kind, labels in (("RandomRotFlip", 7), ("MultiLabelRandomRotFlip", 1)):
        rotate = TRANSFORMS.build({"type": kind, "rotate_prob": 1.0, "degree": (20, 20.1)})
        moved, where = unpack(transformed(rotate, pack(planes), 0), 7)
        assert (moved.any((1, 2)).sum() > 1) == (labels > 1)
        assert where.any() == (labels == 1)


def test_the_hosts_swap_seg_labels_are_map_values() -> None:
    step = {"type": "RandomFlip", "prob": 1.0, "swap_seg_labels": [(0, 1)]}
    both = np.full((HEIGHT, WIDTH), 0b10, np.uint8)
    assert (transformed(TRANSFORMS.build(step), both, 0) == 0b10).all()
    ours = TRANSFORMS.build({**step, "type": "MultiLabelRandomFlip"})
    assert (transformed(ours, both, 0) == 0b01).all()


def test_pillow_resizes_maps_of_eight_bit_only() -> None:
    resize = TRANSFORMS.build({"type": "Resize", "scale": (20, 20), "backend": "pillow"})
    transformed(resize, np.zeros((HEIGHT, WIDTH), np.uint8), 0)
    with pytest.raises(AssertionError, match="uint8"):
        transformed(resize, np.zeros((HEIGHT, WIDTH), np.uint16), 0)


def test_edges_are_where_labels_change() -> None:
    planes, _ = sample(9)
    results = results_of(pack(planes))
    edge = TRANSFORMS.build({"type": "GenerateEdge", "edge_width": 1})(results)["gt_edge_map"]
    changes = (planes[:, 1:] != planes[:, :-1]).any(0)
    assert (edge[1:][changes] == 1).all()


def test_pack_seg_inputs_takes_maps_too() -> None:
    planes, ignored = sample(9)
    packed = TRANSFORMS.build({"type": "PackSegInputs"})(results_of(pack(planes, ignored)))
    label = packed["data_samples"].gt_sem_seg.data
    assert (label.numpy()[0] == pack(planes, ignored)).all()
