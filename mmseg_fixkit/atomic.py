"""Files that are written beside their place first, and take it in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(target: Path, content: bytes = b"") -> Iterator[Path]:
    """Keep ``content`` in a temporary file in the folder of ``target``, of the same suffix.

    ``os.replace`` puts it in place; where that has not happened, it is gone in the end. It has the
    permissions of the file that it is to replace, or those of any new file.

    Raises:
        OSError: the folder cannot be written to.
    """
    handle, name = tempfile.mkstemp(target.suffix, f".{target.stem}-", target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(_mode(target))
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _mode(target: Path) -> int:
    if target.exists():
        return target.stat().st_mode & 0o777
    # mkstemp keeps the file to its owner.
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
