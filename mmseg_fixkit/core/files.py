"""The one place that asks the disk, and the one way to write: a file is whole, or as it was.

Questions have an answer for any name: what cannot be looked at is not there.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO, Optional, Union

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import printable

AnyPath = Union[str, "os.PathLike[str]"]

#: How much of a file's name its temporary file has; a name has room for 255 bytes.
_STEM = 40
_LONGEST_SUFFIX = 16
#: In the name of each temporary file, so that what a killed run left is known for certain.
_MARK = "mmseg-fix"
_LEFTOVER = re.compile(rf"\..*-{_MARK}-[0-9a-f]{{16}}(\.[^.]*)?", re.DOTALL)
#: Seconds after which no run that has a temporary file can still be under way.
_DAY = 24 * 3600
_NO_NAME = "no file has such a name"
#: As many links as Linux follows.
_MAX_LINKS = 40


# --- questions ------------------------------------------------------------------------------------


def expanded(name: AnyPath) -> Path:
    """Return a path in which ``~`` and ``~user`` are home folders, where those are known."""
    return Path(os.path.expanduser(name))


def is_file(path: AnyPath) -> bool:
    """Whether a name stands for a file, whatever links lead there."""
    return os.path.isfile(path)


def is_folder(path: AnyPath) -> bool:
    """Whether a name stands for a folder, whatever links lead there."""
    return os.path.isdir(path)


def exists(path: AnyPath) -> bool:
    """Whether a name stands for anything, whatever links lead there."""
    return os.path.exists(path)


def real_path(path: AnyPath) -> Path:
    """Return what a name stands for without links; of links in a circle, the name itself."""
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):  # a name that no file can have
        return Path(os.path.abspath(path))


def lies_in(target: AnyPath, *folders: AnyPath) -> bool:
    """Whether a name stands for one of ``folders`` or what is in it, whatever links lead there."""
    real = real_path(target)
    return any(real.is_relative_to(real_path(folder)) for folder in folders)


def why_no_file(path: AnyPath) -> str:
    """Return why a name is no file, in words for a message; empty where it is one."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "there is no such file"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "it is a folder"
    return "" if stat.S_ISREG(mode) else "it is neither a file nor a folder"


def modified(path: AnyPath) -> float:
    """Return when a file was last written, in seconds; 0 where that is not known."""
    try:
        return os.stat(path).st_mtime
    except (OSError, ValueError):
        return 0.0


def holds(path: AnyPath, content: bytes) -> bool:
    """Whether a file is there that can be read, and has exactly this content."""
    try:
        return os.path.isfile(path) and Path(path).read_bytes() == content
    except OSError:
        return False


# --- reading --------------------------------------------------------------------------------------


@contextmanager
def reading(path: AnyPath, option: str = "") -> Iterator[None]:
    """Turn what goes wrong while ``path`` is read as text into one sentence, a ``FixkitError``."""
    named = f"{option} {path}" if option else path
    if "\0" in str(path):
        raise FixkitError(f"{named} cannot be read: {_NO_NAME}")
    try:
        yield
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        if isinstance(error, UnicodeDecodeError):
            why = f"it is no text in UTF-8, see its byte {error.start}"
        raise FixkitError(f"{named} cannot be read as text: {why or error}") from None


def read_text(path: AnyPath, *, option: str = "") -> str:
    """Return the text of a file in UTF-8; raise ``FixkitError`` where it cannot be read."""
    with reading(path, option):
        return Path(path).read_text("utf-8")


# --- writing --------------------------------------------------------------------------------------


def write_file(
    target: AnyPath, content: Union[str, bytes], *, option: str = "", overwrite: bool = True
) -> None:
    """Write a file in one step, by the rules of :func:`replacing`; text becomes UTF-8.

    Raises ``FixkitError`` where that fails; the file is as it was then.
    """
    # What stands for bytes of a name that are no UTF-8 cannot be written otherwise.
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with replacing(target, option=option, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(target: AnyPath, *, option: str = "", overwrite: bool = True) -> Iterator[Path]:
    """Give an empty temporary file, which takes the place of ``target`` when the block ends well.

    - Of a symbolic link, the file that it points to is replaced or made; the link stays.
    - A pipe, a device, or a name such as ``/dev/stdout`` is written to, and never replaced.
    - A file that is replaced hands on its permissions and what else its file system knows of it,
      its owner and group where this process may set them.
    - Without ``overwrite``, a file that was made in the meantime is not replaced.

    The temporary file has the suffix of ``target``. It is gone in the end, whatever happens. Raises
    ``FixkitError`` where the file, named by ``option`` in the message, cannot be written.
    """
    path = Path(target)
    with writing(path, option):
        folder = tempfile.gettempdir() if _is_stream(path) else _folder(path)
        with temporary_next_to(Path(folder, path.name)) as temporary:
            if exists(path):
                _set_mode(temporary, 0o600)  # until it is known who may read it
            yield temporary
            if not put_in_place(temporary, path, overwrite=overwrite):
                raise _is_there(path)


@contextmanager
def temporary_next_to(target: Path, content: bytes = b"") -> Iterator[Path]:
    """Keep ``content`` in a temporary file in the folder of ``target``, of the same suffix.

    It has the permissions of any new file, and is gone in the end. Where this process is killed it
    stays, until one that writes to the folder a day later or more. A ``FixkitError`` on it is one
    on ``target``. Raises ``OSError``.
    """
    _remove_leftovers(str(target.parent))
    suffix = target.suffix if len(target.suffix) <= _LONGEST_SUFFIX else ""
    temporary = target.with_name(f".{target.stem[:_STEM]}-{_MARK}-{os.urandom(8).hex()}{suffix}")
    name = str(temporary)
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        if content:
            temporary.write_bytes(content)
        yield temporary
    except FixkitError as error:
        if temporary.name not in str(error):
            raise
        told = str(error).replace(name, printable(str(target)))
        raise type(error)(told.replace(temporary.name, target.name)) from None
    finally:
        # First of all and in C, so that Ctrl-C comes before it, where it ends the block, or after.
        try:  # noqa: SIM105
            os.unlink(name)
        except OSError:
            pass  # it took the place of the target, or was never made


@cache
def _remove_leftovers(folder: str) -> None:
    """Remove what killed runs left in a folder, once a process; what cannot be removed stays."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _LEFTOVER.fullmatch(entry.name) and _is_left(entry.stat(follow_symlinks=False)):
                os.unlink(entry.path)


def _is_left(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _DAY


def put_in_place(temporary: Path, target: Path, *, overwrite: bool = True) -> bool:
    """Make the content of ``temporary`` that of ``target``, by the rules of :func:`replacing`.

    Both are on one file system, unless the target is a pipe or a device. Returns False where there
    is a file, and none may be replaced; raises ``OSError`` where it cannot be written.
    """
    if _is_stream(target):
        with temporary.open("rb") as source, _open_stream(target) as stream:
            shutil.copyfileobj(source, stream)
        return True
    real = os.path.realpath(target)
    if not overwrite:
        return _put_new(temporary, real)
    status = _status(target)
    if status is not None:
        _hand_on(status, real, temporary)
    os.replace(temporary, real)
    return True


def check_target(target: AnyPath, *, overwrite: bool) -> None:
    """Refuse a file that must not or cannot be written, before any work is done.

    Raises ``FixkitError`` where it is a folder, lies in none, or exists and may not be replaced.
    """
    path = Path(target)
    with writing(path):
        if is_folder(path):
            raise FixkitError(f"{path} is a folder; give the name of a file in it")
        there = _status(path) is not None
        if there and not overwrite and not _is_stream(path):
            raise _is_there(path)
        if not there and not is_folder(_folder(path)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _is_there(path: Path) -> FixkitError:
    return FixkitError(f"{path} exists already; give --overwrite to replace it, or another -o")


@contextmanager
def writing(target: Path, option: str = "") -> Iterator[None]:
    """Turn an ``OSError`` while ``target`` is written into one sentence, a ``FixkitError``."""
    named = f"{option} {target}" if option else target
    if "\0" in str(target):
        raise FixkitError(f"{named} cannot be written: {_NO_NAME}")
    try:
        yield
    except UnicodeEncodeError:
        raise FixkitError(f"{named} cannot be written: {_NO_NAME}") from None
    except OSError as error:
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


def _hand_on(status: os.stat_result, real: str, temporary: Path) -> None:
    """Give a temporary file what the one that it replaces has beside its content."""
    for owner, group in ((status.st_uid, -1), (-1, status.st_gid)):
        with suppress(OSError):  # few may give files away, and not every file system knows owners
            os.chown(temporary, owner, group)
    _copy_attributes(real, temporary)
    mode, now = stat.S_IMODE(status.st_mode), temporary.stat()
    # What runs as its owner, or as its group, never runs as another one.
    if now.st_uid != status.st_uid:
        mode &= ~stat.S_ISUID
    if now.st_gid != status.st_gid:
        mode &= ~stat.S_ISGID
    _set_mode(temporary, mode)


def _copy_attributes(real: str, temporary: Path) -> None:
    """Hand on extended attributes: a list of who may do what (ACL), and labels of SELinux."""
    if not hasattr(os, "listxattr"):
        return
    with suppress(OSError):
        for name in os.listxattr(real):
            with suppress(OSError):
                os.setxattr(temporary, name, os.getxattr(real, name))


def _set_mode(file: Path, mode: int) -> None:
    with suppress(OSError):  # a file system that knows no permissions
        file.chmod(mode)


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
