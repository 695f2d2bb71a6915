"""What is known of one label file, and how a pipeline reads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Optional

#: The host casts labels to this many values.
_EIGHT_BIT = 256


@dataclass(frozen=True)
class LabelFile:
    """One label file to read.

    Args:
        split: ``train``, ``val`` or ``test``; a folder's own name, or ``""``, without a config.
        label: the path, as the pipeline opens it.
        image: that of its image; None where it is not known.
    """

    split: str
    label: str
    image: Optional[str] = None


@dataclass(frozen=True)
class Facts:
    """What one label file holds, whatever config reads it: this is what the cache keeps.

    Args:
        shape: ``(H, W)`` of a map with a value in each pixel; ``(H, W, C)`` of colours.
        mode: as Pillow names it: ``L``, ``P``, ``I;16``, ``RGB``, …; ``""`` if unreadable.
        format: of the file, as Pillow names it: ``PNG``, ``JPEG``, …
        values: ``(value, pixels)`` of a map, by value: as decoded, nothing cast or reduced.
        colors: ``(0xRRGGBB, pixels)`` of a file with colours, most frequent first, the first
            1,024 of them. Also of a palette file (mode ``P``): what its indices stand for.
        more_colors: how many colours were left out of ``colors``.
        image_shape: ``(H, W)`` of the image, as the host's image loader would return it.
        turned: whether the image's EXIF data turns it on its side.
        digest: of the label file's bytes.
        error: why it cannot be read; everything above is empty then.
    """

    shape: tuple[int, ...] = ()
    mode: str = ""
    format: str = ""
    values: tuple[tuple[int, int], ...] = ()
    colors: tuple[tuple[int, int], ...] = ()
    more_colors: int = 0
    image_shape: Optional[tuple[int, int]] = None
    turned: bool = False
    digest: int = 0
    error: str = ""

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.shape[0] * self.shape[1] if self.shape else 0


@dataclass(frozen=True)
class Reading:
    """How a pipeline turns the values of a file into labels.

    The host decodes, casts to 8 bit, reduces the zero label, then maps labels (mmseg 1.2.2,
    ``datasets/transforms/loading.py``). The scan leaves the cast out, to see what it would hide.

    Args:
        num_classes: labels 0 to ``num_classes - 1`` are classes; None where no config says.
        ignore_index: the label that is not counted.
        reduce_zero_label: whether 0 becomes 255 and every other value one less.
        label_map: old and new labels, after the reduction.
        backend: the decoder that ``imdecode_backend`` names.
        backend_args: of ``mmengine.fileio``, sorted; empty for this machine's own files.
        turns_images: whether the loader of images turns them as their EXIF data says: mmcv's does
            with ``color_type='color'`` or ``'grayscale'`` and the decoders cv2 and pillow.
    """

    num_classes: Optional[int] = None
    ignore_index: int = 255
    reduce_zero_label: bool = False
    label_map: tuple[tuple[int, int], ...] = ()
    backend: str = "pillow"
    backend_args: tuple[tuple[str, Any], ...] = ()
    turns_images: bool = True

    @cached_property
    def _mapped(self) -> dict[int, int]:
        return dict(self.label_map)

    def label(self, value: int) -> int:
        """Return the label that ``value`` of a file becomes, were it not cast to 8 bit."""
        if self.reduce_zero_label:
            # 255 stays: the host turns 0 into 255, takes one off, and turns 254 back.
            value = 255 if value in (0, 255) else value - 1
        return self._mapped.get(value, value)

    def wrapped(self, value: int) -> int:
        """Return the label that the host makes of ``value``, cast and all."""
        return self.label(value % _EIGHT_BIT)

    @cached_property
    def classes(self) -> frozenset[int]:
        """The 8-bit values that become the label of a class."""
        return frozenset(v for v in range(_EIGHT_BIT) if self.is_class(self.label(v)))

    @cached_property
    def ignored(self) -> frozenset[int]:
        """The 8-bit values that become the ignored label."""
        return frozenset(v for v in range(_EIGHT_BIT) if self.label(v) == self.ignore_index)

    def is_class(self, label: int) -> bool:
        """Whether a label is that of a class; without a config, every one but the ignored is."""
        if label == self.ignore_index:
            return False
        return label >= 0 and (self.num_classes is None or label < self.num_classes)
