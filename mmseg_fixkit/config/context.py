"""What a rule may look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from mmseg_fixkit.config.document import ConfigDocument
from mmseg_fixkit.config.nodes import Dataset
from mmseg_fixkit.core.labels import LabelSpace

#: Weights asked for: N (or N + 1) numbers, ``"keep"``, ``"none"``, or None.
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
    """Where the files of one split are, in the words of ``BaseSegDataset``."""

    img_path: str  # the folder of the images, below ``data_root``
    seg_map_path: str  # that of the label maps
    ann_file: str  # the list of names; empty where all files are read
    img_suffix: str
    seg_map_suffix: str


@dataclass(frozen=True)
class DataLocation:
    """Where the user's files are; None leaves the config's own value."""

    data_root: Optional[str] = None
    img_dir: Optional[str] = None  # below data_root; ``{split}`` stands for train, val and test
    ann_dir: Optional[str] = None  # likewise
    ann_file: Optional[str] = None  # likewise; empty for none
    img_suffix: Optional[str] = None
    seg_map_suffix: Optional[str] = None
    #: what the folder holds for each split, where it was looked at: it counts before the above,
    #: from which it follows
    splits: Mapping[str, SplitFiles] = field(default_factory=dict)
    #: folders and lists of the config, in the order of :func:`own_files`, that are there in
    #: ``data_root``
    keep: frozenset[OwnFiles] = frozenset()


@dataclass(frozen=True)
class MultiLabelFormat:
    """How files hold labels that overlap; None leaves it as it is."""

    label_format: Optional[str] = None  # as ``LoadMultiLabelAnnotations`` names it
    file_pattern: Optional[str] = None  # where the file of each label is
    label_file: Optional[str] = None  # the JSON of COCO; ``{split}`` stands for train, val and test
    label_values: Optional[int] = None  # what planes and files write "on" as, 1 or 255


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
    multilabel: Optional[MultiLabelFormat] = None  # labels overlap, and are in such files


@dataclass(frozen=True)
class ConfigContext:
    """One config, the label space it is held against, and what the user asked for."""

    document: ConfigDocument
    labels: LabelSpace
    #: who says so, with its verb, as the message reads it
    expected_by: str = "the training dataset has"
    labels_given: bool = False  # whether the user gave them, or they were read from the config
    options: PatchOptions = field(default_factory=PatchOptions)  # empty in a plain check

    @property
    def num_classes(self) -> int:
        """N of the label space."""
        return self.labels.num_classes

    @property
    def channels(self) -> int:
        """How many channels a per-pixel head has: one more where labels overlap."""
        return self.labels.num_classes + self.labels.multilabel
