"""The label files of a config or a folder, one after the other, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

from mmseg_fixkit.document import ConfigDocument
from mmseg_fixkit.label_files.config_files import of_config
from mmseg_fixkit.label_files.facts import LabelFile, Reading
from mmseg_fixkit.label_files.folder_files import of_folder
from mmseg_fixkit.label_files.inventory import Asked, Inventory

__all__ = [
    "Asked",
    "Inventory",
    "files_of_config",
    "files_of_folder",
    "of_config",
    "of_folder",
    "readings_of_config",
]


def files_of_config(
    document: ConfigDocument, splits: Optional[Sequence[str]] = None
) -> Iterator[LabelFile]:
    """Yield the label files of a config's datasets; see :func:`of_config`."""
    return of_config(document, splits).files


def readings_of_config(document: ConfigDocument) -> dict[str, Reading]:
    """Return how a config reads the label files of each split; see :func:`of_config`."""
    return of_config(document).readings


def files_of_folder(path: str, images: Optional[str] = None) -> Iterator[LabelFile]:
    """Yield the label files of a folder; see :func:`of_folder`."""
    return of_folder(path, images).files
