"""Files of ``torch.save``, both forms: where the pickle lies, and where the numbers of tensors.

Today's form is a zip archive with a file for each storage. That of before torch 1.6 is one pickle
after the other, then the storages, each behind its length. Nothing is read before it is used.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Optional

from mmseg_fixkit.checkpoint.tensors import StorageId, Tensors, storage_id
from mmseg_fixkit.checkpoint.unpickle import read_pickle, skip_pickle

#: Numbers that begin at other places are copied: processors want them aligned.
_ALIGNED = 16
#: A compressed archive may become this many times larger, and as many bytes more.
_FACTOR, _SPARE = 20, 2**26
_LOCAL_HEADER = 30  # bytes of it before the name of a file in a zip archive
_MAGIC_NUMBER, _VERSION = 0x1950A86A20F9469CFC6C, 1001


def read_archive(path: Path, form: str, *, in_file: bool) -> Any:
    """Read a file of ``torch.save`` without running anything that stands in it.

    Args:
        path: the file.
        form: ``'zip'`` or ``'legacy'``.
        in_file: whether tensors stay in the file until they are used; changing one does not
            change the file.

    Raises:
        NotAllowedError: it asks for more than weights, logs and numbers.
        Exception: of any kind; the file is damaged.
    """
    with _mapped(path) as content:
        reader = _read_zip if form == "zip" else _read_legacy
        return reader(path, _Memory(content, in_file=in_file))


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file:
        # Private to this process. It lives as long as tensors look at it.
        yield mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


class _Memory:
    """The bytes of a file, as tensors."""

    def __init__(self, content: mmap.mmap, *, in_file: bool) -> None:
        self.content = content
        self.size = len(content)
        self._in_file = in_file

    def part(self, start: int, size: int) -> Any:
        """Return bytes of the file as a tensor, shape (size,). Raises EOFError if it has fewer."""
        import torch

        if start + size > self.size:
            raise EOFError
        if size == 0:
            return torch.zeros(0, dtype=torch.uint8, device="cpu")
        found = torch.frombuffer(self.content, dtype=torch.uint8, count=size, offset=start)
        return found if self._in_file and start % _ALIGNED == 0 else found.clone()


# --- today's form --------------------------------------------------------------------------------


def _read_zip(path: Path, memory: _Memory) -> Any:
    with zipfile.ZipFile(path) as archive:
        files = _Files(archive, memory)
        swapped = files.read("byteorder", b"little") == b"big"
        tensors = Tensors(files.storage, memory.size, big_endian=swapped)
        pickled = io.BytesIO(files.read("data.pkl"))
        return read_pickle(pickled, tensors.names, tensors.storage)


class _Files:
    """The files in an archive, below the folder that it begins with."""

    def __init__(self, archive: zipfile.ZipFile, memory: _Memory) -> None:
        self._archive = archive
        self._memory = memory
        self._root = archive.infolist()[0].filename.partition("/")[0]
        self._left = _FACTOR * memory.size + _SPARE
        self._storages: dict[str, Any] = {}

    def read(self, name: str, default: Optional[bytes] = None) -> bytes:
        """Return a file's content. Raises pickle.UnpicklingError if it is not there."""
        full = f"{self._root}/{name}"
        if full not in self._archive.NameToInfo:
            if default is None:
                raise UnpicklingError(f"there is no {full} in it")
            return default
        info = self._archive.getinfo(full)
        self._left -= info.file_size
        if self._left < 0:
            raise UnpicklingError(f"{full} says that it has {info.file_size} bytes")
        return self._archive.read(info)

    def storage(self, named: StorageId) -> Any:
        """Return the bytes of a storage, shape (bytes,), the same for the same name."""
        if named.key not in self._storages:
            self._storages[named.key] = self._bytes_of(f"data/{named.key}")
        return self._storages[named.key]

    def _bytes_of(self, name: str) -> Any:
        import torch

        info = self._archive.NameToInfo.get(f"{self._root}/{name}")
        if info is None or info.compress_type != zipfile.ZIP_STORED or not info.file_size:
            content = self.read(name)
            if not content:
                return self._memory.part(0, 0)
            return torch.frombuffer(bytearray(content), dtype=torch.uint8)
        # Before the content stands a header with lengths of its own.
        begin = info.header_offset
        header = self._memory.content[begin : begin + _LOCAL_HEADER]
        if not header.startswith(b"PK\x03\x04"):
            raise UnpicklingError(f"{info.filename} is not where the table of contents says")
        behind = sum(struct.unpack("<HH", header[26:30]))
        return self._memory.part(begin + _LOCAL_HEADER + behind, info.file_size)


# --- the old form --------------------------------------------------------------------------------


def _read_legacy(path: Path, memory: _Memory) -> Any:
    file = memory.content  # an open file would take memory for as many bytes as it is asked for
    head = [read_pickle(file) for _ in range(3)]  # the third is about the machine
    if head[:2] != [_MAGIC_NUMBER, _VERSION]:
        raise UnpicklingError("it does not begin as torch.save begins")
    start = file.tell()
    storages = _storages_behind(file, memory)
    tensors = Tensors(lambda named: storages[named.key], memory.size)
    file.seek(start)
    return read_pickle(file, tensors.names, tensors.storage)


def _storages_behind(file: mmap.mmap, memory: _Memory) -> dict[str, Any]:
    """Return the bytes of each storage; they lie behind the pickle and a list of their names."""
    named: dict[str, StorageId] = {}

    def note(found: Any) -> None:
        storage = storage_id(found)
        named.setdefault(storage.key, storage)

    skip_pickle(file, note)
    made = {}
    for key in read_pickle(file):
        storage = named[key]
        if int.from_bytes(file.read(8), "little") != storage.count:
            raise UnpicklingError(f"storage {key} has another size than it should")
        made[key] = memory.part(file.tell(), storage.nbytes)
        file.seek(storage.nbytes, io.SEEK_CUR)
    return made
