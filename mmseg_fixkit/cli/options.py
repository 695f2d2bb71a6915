"""Class options of the command line -> what the library takes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Optional

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.labels import Color, LabelSpace, read_class_names
from mmseg_fixkit.core.palettes import parse_color
from mmseg_fixkit.core.text import listed


def labels_from(
    classes: Optional[str],
    classes_file: Optional[Path],
    num_classes: Optional[int],
) -> Optional[tuple[str, ...]]:
    """Return the classes that the options give; None if they give none.

    Raises:
        FixkitError: classes are given in two ways, a file cannot be read, or there are too few or
            too many.
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


def palette_from(palette: Optional[str]) -> Optional[tuple[Color, ...]]:
    """Return the colours that ``--palette`` gives, itself or as a file; None if it is not given.

    Raises:
        FixkitError: the file cannot be read, or something in it is no colour.
    """
    if palette is None:
        return None
    try:
        text = Path(palette).read_text("utf-8") if os.path.isfile(palette) else palette
        return tuple(parse_color(part) for part in re.split(r"[;\n]", text) if part.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise FixkitError(f"--palette {palette} cannot be read as text: {error}") from None
    except FixkitError as error:
        raise FixkitError(f"--palette: {error}, with a ; between two colours") from None
