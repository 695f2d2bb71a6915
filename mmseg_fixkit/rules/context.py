"""What a rule may look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Union

from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.labels import LabelSpace

#: Weights asked for: N (or N + 1) numbers, ``"keep"``, ``"none"``, or nothing said.
ClassWeight = Union[None, str, tuple[float, ...]]


@dataclass(frozen=True)
class DataLocation:
    """Where the user's files are; None leaves the config's own value."""

    data_root: Optional[str] = None
    img_dir: Optional[str] = None
    ann_dir: Optional[str] = None
    img_suffix: Optional[str] = None
    seg_map_suffix: Optional[str] = None


@dataclass(frozen=True)
class Wishes:
    """What a patch was asked for beyond its classes."""

    class_weight: ClassWeight = None
    ignore_index: Optional[int] = None
    reduce_zero_label: Optional[bool] = None
    data: DataLocation = field(default_factory=DataLocation)
    load_from: Optional[str] = None
    palette: bool = False  # whether the colours of the label space were asked for
    guards: bool = False


@dataclass(frozen=True)
class Context:
    """One config, the label space it is held against, and what the user asked for.

    Args:
        document: the config.
        labels: the classes that everything is to agree with.
        owner: who says so, with its verb, as the message reads it.
        labels_given: whether the user gave them, or they were read from the config.
        wishes: empty in a plain check.
    """

    document: ConfigDocument
    labels: LabelSpace
    owner: str = "the training dataset has"
    labels_given: bool = False
    wishes: Wishes = field(default_factory=Wishes)

    @property
    def num_classes(self) -> int:
        """N of the label space."""
        return self.labels.num_classes
