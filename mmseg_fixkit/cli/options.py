"""Options that say what the classes are: the same for each verb that takes them."""

from __future__ import annotations

import re
from functools import wraps
from pathlib import Path
from typing import Any, Callable, Optional

import click

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import is_file, read_text
from mmseg_fixkit.core.labels import Color, LabelSpace, read_class_names
from mmseg_fixkit.core.palettes import parse_color
from mmseg_fixkit.core.text import listed

_NAMES = (
    click.option("--classes", metavar="A,B,C", help="Class names in the order of their labels."),
    click.option(
        "--classes-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Class names, one a line.",
    ),
    click.option(
        "--num-classes",
        metavar="N",
        type=int,
        help="Only how many; they are named class_0, class_1, …",
    ),
)
_PALETTE = click.option(
    "--palette",
    metavar="COLOURS|FILE",
    help="A colour for each class: '128,64,128;0,0,142' or '#804080;#00008e', or a file with one "
    "a line.",
)
_VALUES = (
    click.option(
        "--ignore-index", metavar="I", type=int, help="The label value that is not counted (255)."
    ),
    click.option(
        "--reduce-zero-label/--no-reduce-zero-label",
        default=None,
        help="Whether label files hold 0 for 'ignored' and 1..N for the classes.",
    ),
)


def class_options(*, palette: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options of classes to a command, which gets them as the library takes them.

    They are ``labels``, the names or None, ``ignore_index``, ``reduce_zero_label``, and with
    ``palette`` the colours or None.
    """

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def call(
            *args: Any,
            classes: Optional[str],
            classes_file: Optional[Path],
            num_classes: Optional[int],
            **others: Any,
        ) -> Any:
            if palette:
                others["palette"] = _palette_from(others["palette"])
            labels = _labels_from(classes, classes_file, num_classes)
            return command(*args, labels=labels, **others)

        for option in reversed((*_NAMES, *([_PALETTE] if palette else []), *_VALUES)):
            call = option(call)
        return call

    return decorated


def _labels_from(
    classes: Optional[str], classes_file: Optional[Path], num_classes: Optional[int]
) -> Optional[tuple[str, ...]]:
    """Return the classes that the options give; None if they give none.

    Raises FixkitError for classes given in two ways, too few or too many, or an unreadable file.
    """
    given = {
        "--classes": classes,
        "--classes-file": classes_file,
        "--num-classes": num_classes,
    }
    options = [name for name, value in given.items() if value is not None]
    if len(options) > 1:
        raise FixkitError(f"classes are given twice, by {listed(options)}; give one of them")
    if num_classes is not None:
        return LabelSpace.of(num_classes).classes
    source = classes if classes_file is None else classes_file
    return None if source is None else read_class_names(source)


def _palette_from(palette: Optional[str]) -> Optional[tuple[Color, ...]]:
    """Return the colours that ``--palette`` gives, itself or as a file; None if it is not given.

    Raises FixkitError if the file cannot be read, or something in it is no colour.
    """
    if palette is None:
        return None
    text = read_text(palette, option="--palette") if is_file(palette) else palette
    try:
        return tuple(parse_color(part) for part in re.split(r"[;\n]", text) if part.strip())
    except FixkitError as error:
        raise FixkitError(f"--palette: {error}, with a ; between two colours") from None
