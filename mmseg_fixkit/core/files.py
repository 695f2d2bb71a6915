"""The one way to write a file: whole or not at all, and in the place that its name stands for."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Optional, Union

from mmseg_fixkit.core.errors import FixkitError

AnyPath = Union[str, "os.PathLike[str]"]

#: How much of a file's name its temporary file has; a name has room for 255 bytes.
_STEM = 40
#: As many links as Linux follows.
_MAX_LINKS = 40


def write_file(target: AnyPath, content: Union[str, bytes], *, option: str = "") -> None:
    """Write a file in one step, by the rules of :func:`replacing`; text becomes UTF-8.

    Raises ``FixkitError`` where that fails; the file is as it was then.
    """
    with replacing(target, option=option) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replacing(target: AnyPath, *, option: str = "") -> Iterator[Path]:
    """Give an empty temporary file, which takes the place of ``target`` when the block ends well.

    - Of a symbolic link, the file that it points to is replaced or made; the link stays.
    - A pipe, a device, or a name such as ``/dev/stdout`` is written to, and never replaced.
    - A file that is replaced hands on its permissions, and its owner and group where this process
      may set them.

    The temporary file has the suffix of ``target``. It is gone in the end, whatever happens. Raises
    ``FixkitError`` where the file, named by ``option`` in the message, cannot be written.
    """
    path = Path(target)
    with writing(path, option):
        folder = tempfile.gettempdir() if _is_stream(path) else _folder(path)
        with temporary_next_to(Path(folder, path.name)) as temporary:
            if path.exists():
                temporary.chmod(0o600)  # until it is known who may read it
            yield temporary
            put_in_place(temporary, path)


@contextmanager
def temporary_next_to(target: Path, content: bytes = b"") -> Iterator[Path]:
    """Keep ``content`` in a temporary file in the folder of ``target``, of the same suffix.

    It has the permissions of any new file, and is gone in the end. Raises ``OSError``.
    """
    temporary = target.with_name(f".{target.stem[:_STEM]}-{os.urandom(8).hex()}{target.suffix}")
    temporary.touch(exist_ok=False)
    try:
        if content:
            temporary.write_bytes(content)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, target: Path, *, overwrite: bool = True) -> bool:
    """Make the content of ``temporary`` that of ``target``, by the rules of :func:`replacing`.

    Both are on one file system, unless the target is a pipe or a device. Returns False where there
    is a file, and none may be replaced; raises ``OSError`` where it cannot be written.
    """
    real = os.path.realpath(target)
    if not overwrite:
        return _put_new(temporary, real)
    if _is_stream(target):
        with temporary.open("rb") as source, _open_stream(target) as stream:
            shutil.copyfileobj(source, stream)
        return True
    status = _status(target)
    if status is not None:
        _hand_on(status, temporary)
    os.replace(temporary, real)
    return True


def check_target(target: AnyPath, *, overwrite: bool) -> None:
    """Refuse a file that must not or cannot be written, before any work is done.

    Raises ``FixkitError`` where it is a folder, lies in none, or exists and may not be replaced.
    """
    path = Path(target)
    with writing(path):
        if path.is_dir():
            raise FixkitError(f"{path} is a folder; give the name of a file in it")
        if path.exists() and not overwrite and not _is_stream(path):
            raise FixkitError(
                f"{path} exists already; give --overwrite to replace it, or another -o"
            )
        if _status(path) is None and not os.path.isdir(_folder(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def lies_in(target: AnyPath, *folders: AnyPath) -> bool:
    """Whether a name stands for one of ``folders`` or what is in it, whatever links lead there."""
    real = Path(os.path.realpath(target))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in folders)


@contextmanager
def writing(target: Path, option: str = "") -> Iterator[None]:
    """Turn an ``OSError`` while ``target`` is written into one sentence, a ``FixkitError``."""
    try:
        yield
    except OSError as error:
        named = f"{option} {target}" if option else target
        raise FixkitError(f"{named} cannot be written: {_reason(error, target)}") from None


def _folder(target: Path) -> str:
    """Return the folder of what a name stands for."""
    return os.path.dirname(os.path.realpath(target))


def _reason(error: OSError, target: Path) -> str:
    folder = _folder(target)
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not os.path.isdir(folder):
        return f"there is no folder {folder if target.is_symlink() else target.parent}"
    return f"{error.strerror} in {folder}" if error.strerror else str(error)


def _status(target: Path) -> Optional[os.stat_result]:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _is_stream(target: Path) -> bool:
    """Whether a name stands for something that is written to, and cannot be replaced.

    Raises ``OSError`` for a folder, or for nothing: links that lead to each other.
    """
    status = _status(target)
    if status is None:
        return False
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return not stat.S_ISREG(status.st_mode) or _descriptor(target) is not None


def _descriptor(target: Path) -> Optional[int]:
    """Return the number of this process's open file that a name such as ``/dev/stdout`` means.

    Opened by its name once more, what a shell sends to a file would be cut off or written over.
    """
    own = os.path.realpath("/dev/fd")
    for _ in range(_MAX_LINKS):
        folder = os.path.realpath(target.parent)
        if folder == own and target.name.isdecimal():
            return int(target.name)
        if not target.is_symlink():
            break
        target = Path(folder, os.readlink(target))
    return None


def _open_stream(target: Path) -> BinaryIO:
    descriptor = _descriptor(target)
    return target.open("wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb")


def _hand_on(status: os.stat_result, temporary: Path) -> None:
    for owner, group in ((status.st_uid, -1), (-1, status.st_gid)):
        with suppress(OSError):  # few may give files away, and not every file system knows owners
            os.chown(temporary, owner, group)
    temporary.chmod(status.st_mode & 0o777)


def _put_new(temporary: Path, real: str) -> bool:
    try:
        os.link(temporary, real)  # which fails where there is a file, unlike a replacement
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if os.path.lexists(real):
            return False
        os.replace(temporary, real)
    return True
