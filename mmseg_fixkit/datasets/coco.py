"""Labels in a COCO JSON: polygons and RLE that may overlap, a category for each label."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets.label_bits import LabelFileError, Map, pack


@dataclass(frozen=True)
class Region:
    """One annotation: its label, its id and its ``segmentation``."""

    label: int
    number: Any
    shape: Any


@dataclass(frozen=True)
class CocoImage:
    """One image of the file and what is annotated in it."""

    name: str
    height: int
    width: int
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class CocoFile:
    """The images of one JSON by their ``file_name``; regions of other categories are left out."""

    file: str
    images: dict[str, CocoImage]

    def image(self, path: str) -> CocoImage:
        """Return the image that ends as ``path`` does; LabelFileError if none does."""
        parts = PurePath(path).parts
        for start in range(len(parts)):
            found = self.images.get("/".join(parts[start:]))
            if found is not None:
                return found
        near = get_close_matches(PurePath(path).name, self.images, 1)
        hint = f"; near it is {near[0]!r}" if near else ""
        raise LabelFileError(f"{path} is no image of {self.file}, by its file_name{hint}")


def read_coco(content: bytes, labels: Sequence[str], file: str) -> CocoFile:
    """Read a JSON for the categories that ``labels`` name.

    Raises LabelFileError if it is no COCO JSON of segments, or a label is no category of it.
    """
    try:
        tree = json.loads(content)
        names = {entry["id"]: entry["name"] for entry in tree["categories"]}
        _check_categories(tuple(names.values()), labels, file)
        return CocoFile(
            file, _images(tree, {i: n for i, n in names.items() if n in labels}, labels)
        )
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, FixkitError):
            raise
        raise LabelFileError(
            f"{file} is not the JSON of a COCO dataset: {type(error).__name__}: {error}"
        ) from None


def _check_categories(found: Sequence[str], labels: Sequence[str], file: str) -> None:
    for label in labels:
        if label not in found:
            near = get_close_matches(label, found, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(found[:20])}"
            raise LabelFileError(f"{label!r} is a label, but no category of {file}; {hint}")


def _images(tree: Any, names: dict[Any, str], labels: Sequence[str]) -> dict[str, CocoImage]:
    regions: dict[Any, list[Region]] = defaultdict(list)
    index = {name: i for i, name in enumerate(labels)}
    for entry in tree["annotations"]:
        if entry["category_id"] in names:
            region = Region(
                index[names[entry["category_id"]]],
                entry.get("id", "without id"),
                entry.get("segmentation"),
            )
            regions[entry["image_id"]].append(region)
    return {
        entry["file_name"]: CocoImage(
            entry["file_name"], entry["height"], entry["width"], tuple(regions[entry["id"]])
        )
        for entry in tree["images"]
    }


def read_image(image: CocoImage, labels: int, file: str) -> Map:
    """Return the map of one image, drawn as COCO's own tools draw it.

    Raises LabelFileError if an annotation has no segments, or some that cannot be drawn;
    FixkitError if pycocotools is not installed.
    """
    planes = np.zeros((labels, image.height, image.width), bool)
    for region in image.regions:
        planes[region.label] |= _drawn(region, image, file)
    return pack(planes)


def _drawn(region: Region, image: CocoImage, file: str) -> NDArray[np.bool_]:
    masks = _masks()
    size = (image.height, image.width)
    try:
        coded = _coded(region.shape, size, masks)
        drawn = None if coded is None else masks.decode(coded)
    except Exception as error:  # what the C library says of a shape it cannot draw
        raise LabelFileError(f"{_place(region, image, file)} cannot be drawn: {error}") from None
    if drawn is None:
        raise LabelFileError(f"{_place(region, image, file)} has no polygon and no RLE")
    if drawn.shape != size:
        raise LabelFileError(
            f"{_place(region, image, file)} has the size {drawn.shape}, but its image is {size}"
        )
    return np.asarray(drawn, bool)


def _place(region: Region, image: CocoImage, file: str) -> str:
    return f"{file}: annotation {region.number} of {image.name}"


def _coded(shape: Any, size: tuple[int, int], masks: Any) -> Optional[Any]:
    """Return the RLE of polygons, of counts, or of compressed counts."""
    if not shape:
        return None
    if isinstance(shape, list):
        return masks.merge(masks.frPyObjects(shape, *size))
    if isinstance(shape["counts"], list):
        return masks.frPyObjects(shape, *size)
    return shape


def _masks() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise FixkitError(
            "labels in a COCO JSON are drawn by pycocotools, which is not installed: "
            "pip install pycocotools"
        ) from None
    return mask
