"""What the classes are: :class:`LabelSpace`. Everything else is written against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Union

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import read_text

#: Label maps are 8 bit in MMSegmentation and 255 means "ignored", so ids run from 0 to 254.
MAX_CLASSES = 255

#: What heads, losses, metrics and padding ignore or mark with where nothing is written.
DEFAULT_IGNORE = 255

Color = tuple[int, int, int]

_BLACK: Color = (0, 0, 0)


@dataclass(frozen=True)
class LabelSpace:
    """The classes of one segmentation task.

    Args:
        classes: names in the order of their label values.
        palette: one ``(r, g, b)`` of 0..255 for each class; :func:`voc_palette` where left out.
        ignore_index: the label value that no loss and no metric counts.
        reduce_zero_label: whether the files hold 0 for "ignored" and ``1..N`` for the classes.
        multilabel: whether the classes may overlap.

    Raises:
        FixkitError: no classes, too many, a name given twice or empty, a palette of another
            length, colours that are not three values of 0..255, or an ignore index that is no
            8-bit value.
    """

    classes: tuple[str, ...]
    palette: Optional[tuple[Color, ...]] = None
    ignore_index: int = 255
    reduce_zero_label: bool = False
    multilabel: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.classes, str):
            raise FixkitError(
                f"classes is the text {self.classes!r}, but a list of names is needed; "
                f"write ({self.classes!r},) with a comma for one class"
            )
        object.__setattr__(self, "classes", tuple(self.classes))
        _check_names(self.classes)
        if not 0 <= self.ignore_index <= 255:
            raise FixkitError(
                f"ignore_index is {self.ignore_index}, but labels are 8 bit: give 0 to 255"
            )
        palette = self._chosen_palette() if self.palette is None else self.palette
        object.__setattr__(self, "palette", _checked_palette(palette, self.num_classes))

    def _chosen_palette(self) -> tuple[Color, ...]:
        # Black is the background's, which is no label where labels may overlap.
        return voc_palette(self.num_classes + self.multilabel)[self.multilabel :]

    @classmethod
    def of(cls, num_classes: int) -> LabelSpace:
        """Return a space of classes named ``class_0``, ``class_1`` and so on."""
        return cls(tuple(f"class_{i}" for i in range(num_classes)))

    @property
    def num_classes(self) -> int:
        """How many classes there are: N."""
        return len(self.classes)

    @property
    def colors(self) -> tuple[Color, ...]:
        """The palette, which is always there once the object is built."""
        assert self.palette is not None
        return self.palette

    def as_multilabel(self) -> LabelSpace:
        """Return the space for labels that may overlap."""
        chosen = self.colors == self._chosen_palette()
        return replace(self, multilabel=True, palette=None if chosen else self.colors)

    def with_background(self) -> LabelSpace:
        """Return the space with ``background`` put before the first class.

        One class of the user's own means foreground plus background: a softmax over a single
        channel has a loss of 0 everywhere and trains nothing (mmsegmentation #304, #493).
        """
        classes = ("background", *self.classes)
        # Black is the background's; the colour map gives it to the first class as well.
        taken = _BLACK in self.colors
        return replace(self, classes=classes, palette=None if taken else (_BLACK, *self.colors))


#: A label space, names alone, or how many classes there are.
LabelsLike = Union[LabelSpace, Sequence[str], int]


def label_space(
    labels: LabelsLike, palette: Optional[tuple[Color, ...]] = None, *, multilabel: bool = False
) -> LabelSpace:
    """Return the label space that is meant; raise ``FixkitError`` as :class:`LabelSpace` does.

    A palette counts where only names are given, ``multilabel`` also where labels do not say so.
    """
    if isinstance(labels, (LabelSpace, int)):
        space = LabelSpace.of(labels) if isinstance(labels, int) else labels
        return space.as_multilabel() if multilabel else space
    # A text is no list of names, which the label space says itself.
    return LabelSpace(labels, palette, multilabel=multilabel)  # type: ignore[arg-type]


def read_class_names(source: Union[str, Path]) -> tuple[str, ...]:
    """Return class names: of a path the lines that are not empty, of a text what commas part.

    Raises ``FixkitError`` where the file cannot be read as text.
    """
    if isinstance(source, str):
        return tuple(name.strip() for name in source.split(","))
    lines = read_text(source).splitlines()
    return tuple(line.strip() for line in lines if line.strip())


def voc_palette(num_classes: int) -> tuple[Color, ...]:
    """Return ``num_classes`` distinct colours, black first.

    The bit-interleaving colour map of the PASCAL VOC development kit (Everingham et al., 2010).
    """

    def color(index: int) -> Color:
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        return (channels[0], channels[1], channels[2])

    return tuple(color(i) for i in range(num_classes))


def _check_names(classes: tuple[str, ...]) -> None:
    if not classes:
        raise FixkitError("no classes are given, but a label space needs at least one")
    if len(classes) > MAX_CLASSES:
        raise FixkitError(
            f"{len(classes)} classes are given, but MMSegmentation keeps labels in 8 bit with 255 "
            f"for ignored pixels, so at most {MAX_CLASSES} classes fit"
        )
    odd = [name for name in classes if not isinstance(name, str) or not name.strip()]
    if odd:
        raise FixkitError(f"class name {odd[0]!r} is not a text with at least one letter")
    twice = [name for name, times in Counter(classes).items() if times > 1]
    if twice:
        places = [str(i) for i, name in enumerate(classes) if name == twice[0]]
        raise FixkitError(
            f"class name {twice[0]!r} is given for labels {', '.join(places)}, "
            "but every class needs a name of its own"
        )


def _checked_palette(palette: Sequence[Sequence[int]], num_classes: int) -> tuple[Color, ...]:
    if len(palette) != num_classes:
        raise FixkitError(
            f"the palette has {len(palette)} colours, but there are {num_classes} classes; "
            "give one colour for each class, or none to have them chosen"
        )
    for color in palette:
        good = len(color) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in color)
        if not good:
            raise FixkitError(f"palette colour {list(color)} is not three whole numbers of 0..255")
    return tuple((c[0], c[1], c[2]) for c in palette)
