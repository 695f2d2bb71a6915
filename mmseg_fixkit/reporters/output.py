"""A report in a file."""

from __future__ import annotations

import os
from pathlib import Path

from mmseg_fixkit.atomic import beside
from mmseg_fixkit.errors import FixkitError


def write_report(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` in one step; a file that is there is replaced.

    Raises:
        FixkitError: the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")  # a pipe or a device has to stay one
            return
        target = path.resolve()
        with beside(target, text.encode()) as temporary:
            os.replace(temporary, target)
    except OSError as error:
        raise FixkitError(f"--output-file {path} cannot be written: {error.strerror}") from None
