"""Loads the labels of an image into one map of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from mmcv.transforms import BaseTransform
from mmengine import fileio

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.label_formats import FILE_PATTERN
from mmseg_fixkit.datasets.coco import CocoFile, read_coco, read_image
from mmseg_fixkit.datasets.label_bits import LabelFileError, Map
from mmseg_fixkit.datasets.multilabel_files import (
    VALUES,
    OnValue,
    Size,
    check_size,
    checked_format,
    checked_labels,
    decode,
    filled,
    label_file_names,
    read_bits,
    read_planes,
    side_by_side,
)

_MISSING = "; say missing_ok=True if a label without a file is nowhere in the image"


class LoadMultiLabelAnnotations(BaseTransform):
    """Loads labels that may overlap, in the place of ``LoadAnnotations``.

    The labels of an image become one integer map (H, W) whose bits are the labels: bits 0 to 6,
    then 8, 9 and so on; ignored pixels are 255. Up to 7 labels it is uint8, up to 15 uint16, up to
    30 int32. Results without ``seg_fields`` come from no dataset but from inference, and pass
    through.

    Required Keys:

    - seg_map_path (str): what the dataset names; ``'files'`` takes the folder and the stem of it,
      ``'coco'`` does without.
    - img_path (str): for ``'coco'``.
    - ori_shape (tuple, optional): the labels are compared with it.

    Added Keys:

    - gt_seg_map (np.ndarray)
    - seg_fields: has ``'gt_seg_map'``.
    - label_names (tuple): the labels, in the order of their bits.

    Args:
        labels: names in the order of their bits, or how many.
        label_format: ``'bits'``, a grey PNG of 8 or 16 bit that is the map itself; ``'planes'``, a
            grey PNG of shape (H, L * W), as PaddleSeg has them; ``'files'``, a file for each label;
            ``'coco'``, a JSON whose categories are the labels.
        file_pattern: of ``'files'``: where the file of a label is, beside ``seg_map_path``;
            ``'{label}/{stem}.png'`` for a folder each. ``{index}`` is the number of the label.
        values: of ``'planes'`` and ``'files'``: what "on" is: 1, and 255 is ignored; 255; or
            ``'auto'``, one of the two by what the files hold, and the same in all.
        missing_ok: of ``'files'``: whether a file that does not exist means that the label is
            nowhere in the image.
        ann_file: of ``'coco'``: the JSON.
        backend_args: of the file backend, as in ``LoadAnnotations``.

    Raises:
        FixkitError: an argument makes no sense.
        LabelFileError: while loading: a file does not hold what it should.
    """

    def __init__(
        self,
        labels: Union[int, Sequence[str]],
        label_format: str = "bits",
        file_pattern: str = FILE_PATTERN,
        values: Union[str, int] = "auto",
        missing_ok: bool = False,
        ann_file: Optional[str] = None,
        backend_args: Optional[dict[str, Any]] = None,
    ) -> None:
        self.labels = checked_labels(labels)
        self.label_format = checked_format(label_format, len(self.labels))
        if values not in VALUES:
            raise FixkitError(f"values is {values!r}, but it has to be one of {VALUES}")
        self.file_pattern = file_pattern
        self.values = values
        self.missing_ok = missing_ok
        self.ann_file = ann_file
        self.backend_args = backend_args
        self._meaning: Optional[OnValue] = None
        self._coco = self._read_coco() if self.label_format == "coco" else None

    def _read_coco(self) -> CocoFile:
        if self.ann_file is None:
            raise FixkitError("the format is 'coco', but no ann_file is given; name the JSON")
        return read_coco(self._content(self.ann_file), self.labels, self.ann_file)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load the labels of one image, see the class."""
        if "seg_fields" not in results:
            return results
        _check_plain(results)
        results["gt_seg_map"] = self._load(results)
        results["seg_fields"].append("gt_seg_map")
        results["label_names"] = self.labels
        return results

    def _load(self, results: dict[str, Any]) -> Map:
        image = results.get("ori_shape")
        if self._coco is not None:
            return self._from_coco(self._coco, results["img_path"], image)
        path = _path(results)
        if self.label_format == "bits":
            return read_bits(self._decoded(path), len(self.labels), path, image)
        if self.label_format == "planes":
            planes = side_by_side(self._decoded(path), len(self.labels), path, image)
            return self._from_planes(list(planes), [path] * len(planes))
        return self._from_files(path, image)

    def _from_coco(self, coco: CocoFile, path: str, image: Optional[Size]) -> Map:
        entry = coco.image(path)
        check_size((entry.height, entry.width), image, f"{entry.name} in {coco.file}")
        return read_image(entry, len(self.labels), coco.file)

    def _from_files(self, path: str, image: Optional[Size]) -> Map:
        files = label_file_names(path, self.labels, self.file_pattern)
        planes = [self._plane(file) for file in files]
        size = image or next((plane.shape for plane in planes if plane is not None), None)
        if size is None:
            raise LabelFileError(f"{path} has no file of any label, so its size is not known")
        return self._from_planes(filled(planes, files, size), files)

    def _plane(self, file: str) -> Optional[Any]:
        """Decode the file of one label; None if there is none, and that is allowed."""
        if self.missing_ok and not fileio.exists(file, backend_args=self.backend_args):
            return None
        return self._decoded(file)

    def _from_planes(self, planes: Sequence[Any], files: Sequence[str]) -> Map:
        packed, self._meaning = read_planes(planes, files, self.values, self._meaning)
        return packed

    def _decoded(self, path: str) -> Any:
        return decode(self._content(path), path)

    def _content(self, path: str) -> bytes:
        try:
            content: bytes = fileio.get(path, backend_args=self.backend_args)
        except OSError as error:
            more = "" if self.label_format != "files" else _MISSING
            raise LabelFileError(
                f"{path} cannot be read: {error.strerror or error}{more}"
            ) from None
        return content

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(labels={self.labels}, label_format={self.label_format!r}, "
            f"values={self.values!r})"
        )


def _check_plain(results: dict[str, Any]) -> None:
    """Refuse what changes label values: they are bits here."""
    where = results.get("seg_map_path") or results.get("img_path")
    if results.get("reduce_zero_label"):
        raise LabelFileError(
            f"{where} comes from a dataset with reduce_zero_label=True, but the values of a label "
            "map are bits here, and 0 is a pixel without labels; set it to False"
        )
    if results.get("label_map"):
        raise LabelFileError(
            f"{where} comes from a dataset that maps label values, as its classes are some of "
            "those that its type declares, but the values are bits here; use type='BaseSegDataset'"
        )


def _path(results: dict[str, Any]) -> str:
    path: Optional[str] = results.get("seg_map_path")
    if path is None:
        raise LabelFileError(
            f"{results.get('img_path')} has no label file: the dataset names none; give it "
            "data_prefix=dict(img_path=…, seg_map_path=…)"
        )
    return path
