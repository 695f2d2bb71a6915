"""What a file is, judged by its first bytes and its table of contents, before torch opens it.

Everything that is no checkpoint has one sentence; the tables below hold them.
"""

from __future__ import annotations

import codecs
import re
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from mmseg_fixkit.core.errors import FixkitError

_HEAD = 4096
#: Bytes of the list of tensors in a .safetensors: a line for each of 50,000 tensors.
_MAX_LIST = 5_000_000
#: First bytes of any file that the old ``torch.save`` wrote: its magic number, pickled.
_LEGACY = bytes.fromhex("6cfc9c46f9206aa85019")
_TAR_MEMBERS = {"pickle", "storages", "tensors"}

_ELSEWHERE = "give the file that training wrote (such as iter_40000.pth)"
_UNPACK = "unpack it and give the checkpoint in it"

#: First bytes of files that are given instead, what such a file is, what to do.
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG\r\n", "a PNG image", _ELSEWHERE),
    (b"\xff\xd8\xff", "a JPEG image", _ELSEWHERE),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89HDF", "an HDF5 file, as Keras writes weights", _ELSEWHERE),
    (b"\x93NUMPY", "a NumPy array", _ELSEWHERE),
)


@dataclass(frozen=True)
class FileType:
    """How a file has to be opened."""

    name: str  # 'zip' or 'legacy' (both of ``torch.save``), 'tar' (its oldest form), 'safetensors'
    mappable: bool = False  # its tensors can be used where they lie in the file


def detect_file_type(path: Path) -> FileType:
    """Tell how ``path`` has to be opened.

    Raises FixkitError if it is not there, cannot be read, or is no checkpoint; says what it is.
    """
    _check_is_file(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise FixkitError(f"{path} cannot be read: {error.strerror}") from None
    if not head:
        raise FixkitError(f"{path} is empty: a download or a save was cut off; fetch it again")
    if head.startswith(b"PK\x03\x04"):
        return _zip(path)
    kind = _torch_or_safetensors(path, head)
    if kind is None:
        raise FixkitError(f"{path} {_not_a_checkpoint(head)}")
    return kind


def _check_is_file(path: Path) -> None:
    try:
        path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FixkitError(f"{path} cannot be read: {reason}") from None
    if path.is_dir():
        raise FixkitError(f"{path} is a folder; give the checkpoint in it{_newest(path)}")
    if not path.is_file():
        raise FixkitError(f"{path} is no ordinary file (a pipe or a device), but a checkpoint is")


def _newest(folder: Path) -> str:
    try:
        files = [*folder.glob("*.pth"), *folder.glob("*.safetensors")]
        newest = max(files, key=lambda f: f.stat().st_mtime, default=None)
    except OSError:
        return ""
    return f", such as {newest.name}" if newest else ""


def _torch_or_safetensors(path: Path, head: bytes) -> Optional[FileType]:
    if _LEGACY in head[:64]:
        return FileType("legacy")
    if head[257:262] == b"ustar":
        return _tar(path)
    if head[8:9] == b"{" and head[0:1] != b"{":
        return _safetensors(path, int.from_bytes(head[:8], "little"))
    return None


# --- kinds of files that can be checkpoints -----------------------------------------------------


def _zip(path: Path) -> FileType:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise FixkitError(
            f"{path} is cut off or damaged: it begins as a checkpoint, but its table of contents, "
            f"which stands at the end, is not there ({_size(path)}). Fetch it again"
        ) from None
    reason = _unfit_zip(entries)
    if reason:
        raise FixkitError(f"{path} {reason}")
    stored = all(e.compress_type == zipfile.ZIP_STORED for e in entries)
    return FileType("zip", mappable=stored)


def _unfit_zip(entries: Sequence[zipfile.ZipInfo]) -> str:
    names = [entry.filename for entry in entries]
    own = {name.rpartition("/")[2] for name in names}
    if any(entry.flag_bits & 1 for entry in entries):
        return f"is an encrypted zip archive; with its password, {_UNPACK}"
    if {"constants.pkl", "data.pkl"} <= own:
        return (
            "is a TorchScript program (of torch.jit.save), which holds code: if you trust it, "
            "write torch.jit.load(…).state_dict() with torch.save and give that"
        )
    if "data.pkl" in own:
        return ""
    inner = [name for name in names if name.endswith((".pth", ".pt", ".ckpt", ".safetensors"))]
    if inner:
        return f"is a zip archive around {inner[0]}; {_UNPACK}"
    if names and all(name.endswith(".npy") for name in names):
        return f"is a NumPy archive (.npz), not a checkpoint; {_ELSEWHERE}"
    holds = ", ".join(names[:3]) or "nothing"
    return f"is a zip archive that torch.save did not write (it holds {holds}); {_ELSEWHERE}"


def _tar(path: Path) -> FileType:
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
    except (tarfile.TarError, OSError, EOFError):
        raise FixkitError(f"{path} is a tar archive that is cut off or damaged") from None
    if not names >= _TAR_MEMBERS:
        raise FixkitError(f"{path} is a tar archive; {_UNPACK}")
    return FileType("tar")


def _safetensors(path: Path, header: int) -> Optional[FileType]:
    # Any other file gives an absurd number here.
    if not 2 <= header <= 100_000_000:
        return None
    if header + 8 > path.stat().st_size:
        raise FixkitError(
            f"{path} is cut off: its list of tensors alone has {header} bytes, but the file has "
            f"{_size(path)}. Fetch it again"
        )
    if header > _MAX_LIST:
        raise FixkitError(
            f"{path} was not opened: its list of tensors has {header:,} bytes. That of a model for "
            f"segmentation is far shorter; {_MAX_LIST:,} bytes are read at most"
        )
    return FileType("safetensors", mappable=True)


# --- everything else ----------------------------------------------------------------------------


def _not_a_checkpoint(head: bytes) -> str:
    for magic, what, advice in SIGNATURES:
        if head.startswith(magic):
            return f"is {what}, not a checkpoint; {advice}"
    text = _text(head)
    if text is not None:
        return _text_fault(text)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return (
            "is a pickle that torch.save did not write (Detectron2 has such), and opening one can "
            "run code. If you trust it, open it in Python and write its weights with torch.save"
        )
    return f"is no checkpoint: it begins with the bytes {head[:8].hex(' ')}; {_ELSEWHERE}"


def _text(head: bytes) -> Optional[str]:
    # A letter of several bytes may be cut where the head ends.
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(head, final=len(head) < _HEAD)
    except UnicodeDecodeError:
        return None
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return None
    return text.lstrip("\ufeff \t\r\n")


def _text_fault(text: str) -> str:
    if text.startswith("version https://git-lfs"):
        size = re.search(r"^size (\d+)", text, re.M)
        of = f" of {size[1]} bytes" if size else ""
        return f"is a Git LFS pointer: the file itself{of} was not fetched; run git lfs pull"
    if re.match(r"<(!doctype html|html|head|body)", text, re.I):
        title = re.search(r"<title[^>]{0,99}>(.{0,999}?)</title>", text, re.I | re.S)
        named = f" with the title {title[1].strip()[:60]!r}" if title else ""
        return (
            f"is a web page{named}, not a checkpoint: the address led to a page (a login, a "
            "licence, an error) and that was saved; fetch the file itself"
        )
    first = text.splitlines()[0][:60] if text else ""
    return f"is a text, not a checkpoint (it begins {first!r}); {_ELSEWHERE}"


def _size(path: Path) -> str:
    return f"{path.stat().st_size} bytes"
