"""What a rule may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.core.labels import LabelSpace

#: Weights asked for: N (or N + 1) numbers, ``"keep"``, ``"none"``, or nothing said.
ClassWeight = Union[None, str, tuple[float, ...]]

#: ``img_path``, ``seg_map_path`` and ``ann_file`` of a dataset.
OwnFiles = tuple[Any, Any, Any]


def own_files(dataset: Dataset) -> OwnFiles:
    """Return the folders and the list that a dataset names, below its ``data_root``."""
    prefix = dataset.config.get("data_prefix")
    folders = prefix if isinstance(prefix, dict) else {}
    parts = (folders.get("img_path"), folders.get("seg_map_path"), dataset.config.get("ann_file"))
    return tuple(part if isinstance(part, str) else "" for part in parts)  # type: ignore[return-value]


@dataclass(frozen=True)
class SplitFiles:
    """Where the files of one split are, as a data folder shows it; as ``BaseSegDataset`` names it.

    Args:
        img_path: the folder of the images, below ``data_root``.
        seg_map_path: that of the label maps.
        ann_file: the list of names; empty where all files are read.
        img_suffix: what the names of images end with.
        seg_map_suffix: what the names of label maps end with.
    """

    img_path: str
    seg_map_path: str
    ann_file: str
    img_suffix: str
    seg_map_suffix: str


@dataclass(frozen=True)
class DataLocation:
    """Where the user's files are; None leaves the config's own value.

    Args:
        data_root: the folder that the others lie in.
        img_dir: of the images; ``{split}`` stands for train, val and test.
        ann_dir: of the label maps, likewise.
        ann_file: the list of names, likewise; empty for none.
        img_suffix: what the names of images end with.
        seg_map_suffix: what the names of label maps end with.
        splits: what the folder holds for each split, where it was looked at. It follows from the
            above where they are given, and so counts before them.
        keep: folders and lists of the config, in the order of :func:`own_files`, that are there
            in ``data_root``.
    """

    data_root: Optional[str] = None
    img_dir: Optional[str] = None
    ann_dir: Optional[str] = None
    ann_file: Optional[str] = None
    img_suffix: Optional[str] = None
    seg_map_suffix: Optional[str] = None
    splits: Mapping[str, SplitFiles] = field(default_factory=dict)
    keep: frozenset[OwnFiles] = frozenset()


@dataclass(frozen=True)
class MultiLabelFormat:
    """How the labels of a pixel that may have several stand in files; None leaves it as it is.

    Args:
        label_format: as ``LoadMultiLabelAnnotations`` names it.
        file_pattern: where the file of a label is, for a file a label.
        label_file: the JSON of COCO; ``{split}`` stands for train, val and test.
        label_values: what planes and files write "on" as, 1 or 255.
    """

    label_format: Optional[str] = None
    file_pattern: Optional[str] = None
    label_file: Optional[str] = None
    label_values: Optional[int] = None


@dataclass(frozen=True)
class PatchOptions:
    """What a patch was asked for beyond its classes."""

    class_weight: ClassWeight = None
    ignore_index: Optional[int] = None
    reduce_zero_label: Optional[bool] = None
    data: DataLocation = field(default_factory=DataLocation)
    load_from: Optional[str] = None
    binary: Optional[str] = None  # two classes in one "sigmoid" channel, or in two "softmax" ones
    palette: bool = False  # whether the colours of the label space were asked for
    guards: bool = False
    multilabel: Optional[MultiLabelFormat] = None  # several labels a pixel, from such files


@dataclass(frozen=True)
class ConfigContext:
    """One config, the label space it is held against, and what the user asked for.

    Args:
        document: the config.
        labels: the classes that everything is to agree with.
        expected_by: who says so, with its verb, as the message reads it.
        labels_given: whether the user gave them, or they were read from the config.
        options: empty in a plain check.
    """

    document: ConfigDocument
    labels: LabelSpace
    expected_by: str = "the training dataset has"
    labels_given: bool = False
    options: PatchOptions = field(default_factory=PatchOptions)

    @property
    def num_classes(self) -> int:
        """N of the label space."""
        return self.labels.num_classes

    @property
    def channels(self) -> int:
        """How many channels a per-pixel head has: one more for the background of several labels."""
        return self.labels.num_classes + self.labels.multilabel
