"""A report in a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mmseg_fixkit.errors import FixkitError


def write_report(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` in one step; a file that is there is replaced.

    Raises:
        FixkitError: the file cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")  # a pipe or a device has to stay one
        else:
            _replace(text, path.resolve())
    except OSError as error:
        raise FixkitError(f"--output-file {path} cannot be written: {error.strerror}") from None


def _replace(text: str, target: Path) -> None:
    handle, name = tempfile.mkstemp(".tmp", f".{target.name}-", target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(_mode(target))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _mode(target: Path) -> int:
    """Return the permissions of the file that is replaced, or those of any new file."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
