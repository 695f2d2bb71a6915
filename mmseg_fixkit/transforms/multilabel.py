"""What the host's transforms do not do to a map of label bits as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs, RandomRotFlip
from mmseg.registry import TRANSFORMS
from torch import Tensor

from mmseg_fixkit.datasets.label_bits import IGNORED, LabelFileError, Map, swap
from mmseg_fixkit.datasets.multilabel_files import (
    OnValue,
    checked_labels,
    read_planes,
    side_by_side,
)

#: What configs call so: mmsegmentation's own since 1.2, mmcv's before.
RandomFlip: Any = TRANSFORMS.get("RandomFlip")


class AddMultiLabelAuxiliaryCategory(BaseTransform):
    """Makes a map of label bits of planes, for pipelines that come from PaddleSeg.

    There the transform of this name adds a plane that is on where no label is, in front of the
    others. Here that channel follows from the bits, in the loss, so nothing is added. Taken are:

    - planes (H, W, L), as PaddleSeg's own readers give them;
    - planes side by side (H, L * W), as ``LoadAnnotations`` of the host gives PaddleSeg's files;
    - a map that ``LoadMultiLabelAnnotations`` has loaded, which passes through.

    Results without labels pass through.

    Required Keys:

    - gt_seg_map (np.ndarray)
    - img (np.ndarray): for planes side by side, of the size in which the labels were made, so this
      transform comes before all others.

    Modified Keys:

    - gt_seg_map: (H, W)

    Added Keys:

    - label_names (tuple)

    Args:
        labels: names in the order of the planes, or how many, to compare with; where left out, as
            many as there are planes.
        values: what "on" is written as, see ``LoadMultiLabelAnnotations``.

    Raises:
        LabelFileError: while loading: planes of other values, another size or another number.
    """

    def __init__(
        self, labels: Union[int, Sequence[str], None] = None, values: Union[str, int] = "auto"
    ) -> None:
        self.labels = None if labels is None else checked_labels(labels)
        self.values = values
        self._meaning: Optional[OnValue] = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Put the labels of one image into one map, see the class."""
        if results.get("gt_seg_map") is None or "label_names" in results:
            return results
        file = str(results.get("seg_map_path") or "gt_seg_map")
        planes = self._planes(results, file)
        names = checked_labels(self.labels or len(planes))
        if len(names) != len(planes):
            raise LabelFileError(
                f"{file} has {len(planes)} planes, but {len(names)} labels are named: "
                f"{', '.join(names)}"
            )
        packed, self._meaning = read_planes(
            planes, [file] * len(planes), self.values, self._meaning
        )
        return {**results, "gt_seg_map": packed, "label_names": names}

    def _planes(self, results: dict[str, Any], file: str) -> list[Any]:
        label = results["gt_seg_map"]
        if label.ndim == 3:
            return list(label.transpose(2, 0, 1))
        image = results["img"].shape[:2] if "img" in results else label.shape
        count = len(self.labels) if self.labels else max(1, label.shape[1] // image[1])
        return list(side_by_side(label, count, file, image))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(labels={self.labels}, values={self.values!r})"


class PackMultiLabelInputs(PackSegInputs):
    """``PackSegInputs`` that leaves a map of label bits as narrow as it is.

    The host makes 64 bit of every label, which is eight times what up to 7 labels need. Maps of 16
    bit become int16, with the same bits, because torch computes nothing in uint16.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the inputs of a model, see the host's class."""
        label = results.get("gt_seg_map")
        packed: dict[str, Any] = super().transform(
            {key: value for key, value in results.items() if key != "gt_seg_map"}
        )
        if label is not None:
            packed["data_samples"].gt_sem_seg = PixelData(data=_tensor(label, results))
        return packed


def _tensor(label: Map, results: dict[str, Any]) -> Tensor:
    if label.ndim != 2:
        raise LabelFileError(
            f"{results.get('seg_map_path', 'gt_seg_map')} has the shape {label.shape}, but a map "
            "of label bits is (H, W); load it with LoadMultiLabelAnnotations"
        )
    label = np.ascontiguousarray(label)[None]
    return torch.from_numpy(label.view(np.int16) if label.dtype == np.uint16 else label)


class MultiLabelRandomFlip(RandomFlip):
    """``RandomFlip`` whose ``swap_seg_labels`` are labels, counted from 0, and not map values.

    Without ``swap_seg_labels``, ``RandomFlip`` of the host does the same.
    """

    def _flip_seg_map(self, seg_map: Map, direction: str) -> Map:
        flipped: Map = mmcv.imflip(seg_map, direction=direction)
        return swap(flipped, self.swap_seg_labels or ())


class MultiLabelRandomRotFlip(RandomRotFlip):
    """``RandomRotFlip`` that rotates labels to the nearest pixel, and ignores what comes in.

    The host's interpolates between label values, which makes other labels of bits (and other
    classes of single-label maps), and fills the corners with 0.
    """

    def random_rotate(self, results: dict[str, Any]) -> dict[str, Any]:
        """Rotate image and labels by a random angle."""
        angle = np.random.uniform(min(*self.degree), max(*self.degree))
        results["img"] = mmcv.imrotate(results["img"], angle=angle)
        for key in results.get("seg_fields", []):
            results[key] = mmcv.imrotate(
                results[key], angle=angle, border_value=IGNORED, interpolation="nearest"
            )
        return results
