from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.demo.data import CLASSES, IGNORED, ShapesDataset, make_shapes


def files(root: Path) -> dict[str, str]:
    found = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): sha256(p.read_bytes()).hexdigest() for p in found}


def values(dataset: ShapesDataset, split: str) -> set[int]:
    maps = [np.asarray(Image.open(dataset.label_of(p))) for p in dataset.images(split)]
    return set(np.unique(np.stack(maps)).tolist())


@pytest.mark.parametrize("classes", range(2, len(CLASSES) + 1))
def test_every_class_occurs_in_both_splits_and_nothing_else(tmp_path: Path, classes: int) -> None:
    made = make_shapes(tmp_path, classes=classes, train=4, val=3, size=64)
    for split in ("train", "val"):
        assert values(made, split) == {*range(classes), IGNORED}
    assert made.labels.num_classes == classes


def test_same_seed_same_files_other_seed_other_files(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_shapes(tmp_path / name, train=2, val=1, size=48, seed=seed)
    first, again, other = (files(tmp_path / name) for name in "abc")
    assert first == again
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


def test_more_images_leave_the_first_ones_as_they_are(tmp_path: Path) -> None:
    few = make_shapes(tmp_path / "few", train=2, val=1, size=48)
    many = make_shapes(tmp_path / "many", train=4, val=2, size=48)
    assert files(few.root).items() <= files(many.root).items()


def test_every_image_has_a_label_of_its_size_in_one_byte(tmp_path: Path) -> None:
    made = make_shapes(tmp_path, train=3, val=2, size=80)
    assert {s: len(made.images(s)) for s in made.counts} == made.counts == {"train": 3, "val": 2}
    for image in made.images("train") + made.images("val"):
        with Image.open(image) as opened, Image.open(made.label_of(image)) as label:
            assert opened.mode == "RGB"
            assert label.mode == "P"
            assert opened.size == label.size == (80, 80)


def test_only_edges_are_ignored(tmp_path: Path) -> None:
    made = make_shapes(tmp_path, train=4, val=1)
    maps = np.stack([np.asarray(Image.open(made.label_of(p))) for p in made.images("train")])
    assert 0 < (maps == IGNORED).mean() < 0.1
    for value in range(1, len(CLASSES)):
        # An edge parts a class from the background: the two never touch.
        beside = (maps[:, :, :-1] == value) & (maps[:, :, 1:] == 0)
        assert beside.mean() < 0.001


def test_images_show_the_colour_of_the_class(tmp_path: Path) -> None:
    made = make_shapes(tmp_path, train=6, val=1)
    for image in made.images("train"):
        pixels = np.asarray(Image.open(image), np.float64)
        label = np.asarray(Image.open(made.label_of(image)))
        for value in set(np.unique(label).tolist()) - {0, IGNORED}:
            mean = pixels[label == value].mean(axis=0)
            distance = np.abs(np.asarray(made.palette) - mean).sum(axis=1)
            assert distance[1:].argmin() + 1 == value


@pytest.mark.parametrize("wanted", [{"classes": 1}, {"classes": 9}, {"size": 8}])
def test_refuses_what_cannot_be_drawn(tmp_path: Path, wanted: dict[str, int]) -> None:
    with pytest.raises(FixkitError, match=r"\d+"):
        make_shapes(tmp_path, **wanted)
    assert not list(tmp_path.iterdir())
