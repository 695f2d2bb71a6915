"""Recognising data folders: from listings made of names alone, and the listing of a real folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, relpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.layout import Folder, KnownPaths, Layout, Split, detect_layout
from mmseg_fixkit.datasets.pairing import IMAGE_SUFFIXES, FileNames


@dataclass
class Memory:
    """A folder that is only names: path -> lines."""

    content: dict[str, tuple[str, ...]]
    complete: bool = True

    def folders(self, path: str) -> tuple[str, ...]:
        parts = [p[len(path) :].lstrip("/").split("/") for p in self._below(path)]
        return tuple(sorted({p[0] for p in parts if len(p) > 1}))

    def files(self, path: str) -> FileNames:
        found = sorted(
            relpath(p, path or ".") for p in self._below(path) if p.lower().endswith(IMAGE_SUFFIXES)
        )
        return FileNames(tuple(found if self.complete else found[::2]), self.complete)

    def has(self, path: str) -> bool:
        return path in self.content

    def lines(self, path: str) -> tuple[str, ...]:
        return self.content[path]

    def _below(self, path: str) -> Iterator[str]:
        return (p for p in self.content if not path or p.startswith(f"{path}/"))


def memory(*paths: str, complete: bool = True, **lists: str) -> Memory:
    named = {f"splits/{name}.txt": tuple(names.split()) for name, names in lists.items()}
    return Memory({**dict.fromkeys(paths, ()), **named}, complete)


def pairs(listing: Memory, split: Split, base: str = "") -> set[tuple[str, str]]:
    """Pair files as ``BaseSegDataset.load_data_list`` does."""
    folder = join(base, split.img_path)
    names = listing.lines(join(base, split.ann_file)) if split.ann_file else ()
    stems = names or [
        name[: -len(split.img_suffix)]
        for name in Memory(listing.content).files(folder).names
        if name.endswith(split.img_suffix)
    ]
    return {
        (
            join(folder, stem + split.img_suffix),
            join(base, split.seg_map_path, stem + split.seg_map_suffix),
        )
        for stem in stems
    }


def seen(listing: Memory, wanted: KnownPaths = KnownPaths()) -> Layout:  # noqa: B008
    layout, reason = detect_layout(listing, wanted)
    assert layout is not None, reason
    return layout


#: Folders of images and of label maps, and where the list of a split is, for ``{s}``.
SHAPES = (
    ("img_dir/{s}", "ann_dir/{s}", ""),
    ("images/{s}", "labels/{s}", ""),
    ("images/{s}", "annotations/{s}", ""),
    ("imgs/{s}", "masks/{s}", ""),
    ("Images/{s}", "Ann/{s}", ""),
    ("{s}/images", "{s}/masks", ""),
    ("{s}/image", "{s}/label", ""),
    ("leftImg8bit/{s}", "gtFine/{s}", ""),
    ("images_{s}", "labels_{s}", ""),
    ("{s}_images", "{s}_masks", ""),
    ("{s}", "{s}_labels", ""),
    ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation/{s}.txt"),
    ("images", "labels", "splits/{s}.txt"),
    ("img", "gt", "{s}.txt"),
)
SPELT = (
    {"train": "train", "val": "val", "test": "test"},
    {"train": "training", "val": "validation"},
    {"train": "train", "val": "valid"},
    {"train": "train2017", "val": "val2017"},
)
IMAGE_ENDS = (
    ".jpg",
    ".png",
    ".JPG",
    ".tif",
    "_leftImg8bit.png",
    "_sat.jpg",
    "-rgb.png",
    "_0000.png",
)
LABEL_ENDS = (".png", "_mask.png", "_gtFine_labelTrainIds.png", "-gt.tif", "_L.png", ".bmp")
STEMS = st.lists(
    st.from_regex(r"[a-z0-9](?:[a-z0-9_-]{0,6}[a-z0-9])?", fullmatch=True),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(
    shape=st.sampled_from(SHAPES),
    spelt=st.sampled_from(SPELT),
    ends=st.tuples(st.sampled_from(IMAGE_ENDS), st.sampled_from(LABEL_ENDS)),
    stems=st.lists(STEMS, min_size=3, max_size=3),
    scene=st.sampled_from(["", "aachen/", "a/b/"]),
    base=st.sampled_from(["", "VOCdevkit/VOC2012", "farm"]),
    previews=st.booleans(),
)
def test_the_pairs_that_a_folder_was_made_of_are_found(
    shape: tuple[str, str, str],
    spelt: dict[str, str],
    ends: tuple[str, str],
    stems: list[list[str]],
    scene: str,
    base: str,
    previews: bool,
) -> None:
    images, labels, names = shape
    if names and "2017" in spelt["train"]:
        return  # lists with a year in their name are given with --ann-file
    content: dict[str, tuple[str, ...]] = {join(base, "README.txt"): ()}
    made = {}
    for (split, word), own in zip(spelt.items(), stems):
        files = [scene + stem for stem in own]
        folders = (join(base, images.format(s=word)), join(base, labels.format(s=word)))
        made[split] = {
            tuple(join(f, n + e) for f, n, e in zip(folders, (n, n), ends)) for n in files
        }
        content.update(dict.fromkeys((path for pair in made[split] for path in pair), ()))
        if previews:
            content.update({join(folders[1], f"{n}_color.png"): () for n in files})
        if names:
            content[join(base, names.format(s=word))] = tuple(files)
    listing = Memory(content)
    layout = seen(listing)
    assert layout.base == base
    assert {s.name: pairs(listing, s, base) for s in layout.splits} == made
    assert {s.name: s.pairing.pairs for s in layout.splits} == {k: len(v) for k, v in made.items()}


def test_without_splits_there_is_one_for_all() -> None:
    layout = seen(memory("images/a.jpg", "images/b.jpg", "masks/a.png", "masks/b.png"))
    assert [(s.name, s.img_path, s.seg_map_path) for s in layout.splits] == [
        ("all", "images", "masks")
    ]


def test_label_maps_by_class_come_before_colours_and_other_ids() -> None:
    of = ("color", "instanceIds", "labelIds", "labelTrainIds")
    labels = [f"gtFine/train/bern/bern_{i}_gtFine_{kind}.png" for i in (1, 2) for kind in of]
    images = [f"leftImg8bit/train/bern/bern_{i}_leftImg8bit.png" for i in (1, 2)]
    (split,) = seen(memory(*labels, *images)).splits
    assert (split.img_suffix, split.seg_map_suffix) == (
        "_leftImg8bit.png",
        "_gtFine_labelTrainIds.png",
    )
    raw = [path for path in labels if "TrainIds" not in path]
    (split,) = seen(memory(*raw, *images)).splits
    assert split.seg_map_suffix == "_gtFine_labelIds.png"


def test_files_that_do_not_go_together_are_counted() -> None:
    listing = memory(
        *(f"images/train/{n}" for n in ("a.jpg", "b.jpg", "c.jpg", "d.png")),
        *(f"labels/train/{n}" for n in ("a.png", "b.png", "x.png", "y.json")),
    )
    pairing = seen(listing).splits[0].pairing
    assert pairing.pairs == 2
    assert pairing.unlabelled == ("c.jpg",)
    assert pairing.other == ("d.png",)
    assert pairing.spare == ("x.png",)


def test_a_few_labelled_images_among_many_are_found() -> None:
    images = [f"images/train/{i:05}.jpg" for i in range(5000)]
    pairing = seen(memory(*images, "labels/train/03021_m.png")).splits[0].pairing
    assert (pairing.suffixes, pairing.pairs) == ((".jpg", "_m.png"), 1)


def test_the_folder_that_holds_label_maps_is_taken_of_two() -> None:
    xml = ["annotations/train/a.xml", "annotations/train/b.xml"]
    files = ["images/train/a.jpg", "images/train/b.jpg", "masks/train/a.png", "masks/train/b.png"]
    assert seen(memory(*files, *xml)).splits[0].seg_map_path == "masks/train"


def test_lists_with_names_that_are_not_there_are_counted() -> None:
    files = [f"{folder}{n}.png" for folder in ("images/", "labels/") for n in "abc"]
    split = seen(memory(*files, train="a b z", val="c")).splits[0]
    assert (split.ann_file, split.pairing.unlabelled) == ("splits/train.txt", ("z",))


def test_lists_of_whole_file_names_are_read_with_empty_suffixes() -> None:
    files = [f"{folder}{n}.png" for folder in ("images/", "labels/") for n in "abc"]
    split = seen(memory(*files, train="a.png b.png")).splits[0]
    assert (split.img_suffix, split.seg_map_suffix, split.pairing.pairs) == ("", "", 2)


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([], "no folder"),
        (["pics/a.jpg", "truth/a.png"], "the folders in it are pics, truth"),
        (["images/train/a.jpg", "labels/train/a.txt"], "no label map in labels/train"),
        (["images/1.jpg", "labels/2.png"], "no label map in labels"),
        (["images/frame_1.jpg", "labels/frame_2.png"], "no label map in labels"),
    ],
)
def test_what_is_not_recognised_is_said(paths: list[str], reason: str) -> None:
    layout, said = detect_layout(memory(*paths))
    assert layout is None
    assert reason in said


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            KnownPaths("pics/{split}", "truth/{split}"),
            ("train", "pics/training", "truth/train", ""),
        ),
        (
            KnownPaths("./pics/training/", "truth/train"),
            ("all", "pics/training", "truth/train", ""),
        ),
        (
            KnownPaths("pics", "truth", "own/{split}.lst"),
            ("train", "pics", "truth", "own/train.lst"),
        ),
    ],
)
def test_folders_that_are_given_are_found_however_splits_are_spelt(
    wanted: KnownPaths, expected: tuple[str, ...]
) -> None:
    listing = memory("pics/training/a.jpg", "truth/train/a.png", "pics/b.jpg", "truth/b.png")
    listing.content["own/train.lst"] = ("b",)
    split = seen(listing, wanted).splits[0]
    assert (split.name, split.img_path, split.seg_map_path, split.ann_file) == expected


def test_suffixes_that_are_given_are_kept() -> None:
    files = ("images/a.jpg", "images/a.png", "labels/a.png", "labels/a_fine.png")
    split = seen(memory(*files), KnownPaths(suffixes=(".png", "_fine.png"))).splits[0]
    assert split.pairing.suffixes == (".png", "_fine.png")
    assert detect_layout(memory(*files), KnownPaths(suffixes=(".tif", None)))[0] is None


def test_more_files_than_are_listed_are_looked_up_one_by_one() -> None:
    names = [f"{i:03}" for i in range(400)]
    files = [f"images/{n}.jpg" for n in names] + [f"labels/{n}_m.png" for n in names]
    pairing = seen(memory(*files, complete=False)).splits[0].pairing
    assert pairing.suffixes == (".jpg", "_m.png")
    assert not pairing.complete
    assert pairing.unlabelled == ()


def test_a_real_folder_is_listed_within_bounds(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "scene"
    folder.mkdir(parents=True)
    for i in range(50):
        (folder / f"{i:02}.jpg").touch()
    for name in (".hidden.jpg", "notes.txt"):
        (folder / name).touch()
    os.symlink(folder, folder / "again", target_is_directory=True)
    os.symlink(folder / "nowhere.jpg", folder / "broken.txt")
    assert Folder(tmp_path).folders("") == ("images",)
    whole = Folder(tmp_path, limit=10_000).files("images")
    assert whole.complete
    assert whole.has("scene/00.jpg")
    assert not whole.has("scene/.hidden.jpg")
    part = Folder(tmp_path, limit=20).files("images")
    assert not part.complete
    assert 0 < len(part.names) <= 21
    assert Folder(tmp_path).files("nowhere") == FileNames(())


def test_a_folder_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(FixkitError, match="cannot be read"):
        Folder(tmp_path / "nowhere")
