"""Remembers what files hold, so that a second scan reads none of them again.

One table of an SQLite file: a hash of the paths, sizes and times of a label and its image, and of
how they were read -> what the label holds. A file that changes gets another hash. Several scans may
use it at once; where it is damaged or cannot be used, it is started again or done without. A row
that is not as it was written, or makes no sense, costs its file a second reading.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import Any, Optional

import PIL

from mmseg_fixkit.datasets.label_file import FileStats, LabelFile

#: Of what is stored; other versions are passed over, and pruned in time.
VERSION = 3

#: Names the file to use.
VARIABLE = "MMSEG_FIXKIT_CACHE"

#: Bytes of the table, some two million files; where there are more, the older half is forgotten.
LIMIT = 500_000_000

#: Seconds to wait for another process that writes, to write and to look something up.
_PATIENCE = {True: 5, False: 2}

Row = tuple[int, bytes]

#: What a damaged file raises: SQLite names the part that it cannot read, in the bytes of the file.
_ERRORS = (sqlite3.Error, UnicodeError)


def default_cache() -> Path:
    """Return where the cache is: ``$MMSEG_FIXKIT_CACHE``, else in ``$XDG_CACHE_HOME``."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(os.path.expanduser(named))
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "mmseg-fixkit" / "labels.sqlite"


def key_of(file: LabelFile, how: str) -> Optional[int]:
    """Return what a label, its image and ``how`` they are read is kept under; None: no label."""
    try:
        label = _stamp(file.label)
    except (OSError, ValueError):  # no name that a file can have
        return None
    image = ""
    if file.image is not None:
        with suppress(OSError, ValueError):
            image = _stamp(file.image)
    text = f"{how}\0{label}\0{image}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def _stamp(path: str) -> str:
    found = os.stat(path)
    return f"{os.path.abspath(path)}\0{found.st_size}\0{found.st_mtime_ns}"


def how_read(backend: str, turns: bool) -> str:
    """Return in a word how files are read; a new release of Pillow may read some in another way."""
    return f"{VERSION} {PIL.__version__} {backend} {turns:d}"


def packed(key: int, stats: FileStats) -> bytes:
    """Return what a file holds as few bytes, with a checksum of them and of the key."""
    data = json.dumps([*vars(stats).values()], separators=(",", ":")).encode()
    return _checksum(key, data) + data


def _checksum(key: int, data: bytes) -> bytes:
    return zlib.crc32(data, key & 0xFFFFFFFF).to_bytes(4, "big")


def unpacked(key: int, data: Any) -> FileStats:
    """Return what :func:`packed` packed; ValueError for anything else."""
    if not isinstance(data, bytes) or data[:4] != _checksum(key, data[4:]):
        raise ValueError("not as it was written")
    try:
        found = _stats(json.loads(data[4:]))
    except (TypeError, RecursionError) as error:
        raise ValueError("not what a file holds") from error
    if not _makes_sense(found):
        raise ValueError("no file holds that")
    return found


def _stats(row: Any) -> FileStats:
    shape, mode, kind, values, colors, more, image, turned, digest, error = row
    return FileStats(
        tuple(shape),
        mode,
        kind,
        tuple(map(tuple, values)),
        tuple(map(tuple, colors)),
        more,
        None if image is None else tuple(image),
        turned,
        digest,
        error,
    )


def _makes_sense(stats: FileStats) -> bool:
    """Whether a file may hold that: all is of its type, and each pixel is counted once."""
    pairs = stats.values + stats.colors
    if not {2}.issuperset(map(len, pairs)):
        return False
    values = (*stats.shape, *(stats.image_shape or ()), stats.more_colors, stats.digest)
    numbers = {int}.issuperset(map(type, chain(values, *pairs)))
    texts = type(stats.mode) is type(stats.format) is type(stats.error) is str
    if not (numbers and texts and type(stats.turned) is bool):
        return False
    if len(stats.image_shape or (1, 1)) != 2:
        return False
    if stats.error or len(stats.shape) not in (2, 3):
        return bool(stats.error) and not (stats.shape or pairs)
    counts = [count for _, count in stats.values or stats.colors]
    total = sum(counts)
    whole = total == stats.pixels or (total < stats.pixels and stats.more_colors > 0)
    return min(counts, default=0) > 0 and whole


class Cache:
    """What files hold. Reading and writing never fail: what cannot be had is not there.

    With ``write`` the file is made, with its folder, where it is not there, and added to.
    """

    def __init__(self, path: Path, *, write: bool = True) -> None:
        self._path = path
        self._table = _opened(path, write)
        self._rows: list[Row] = []
        self._written = time.monotonic()

    def find(self, keys: Sequence[int]) -> dict[int, FileStats]:
        """Return what is known of files."""
        found: dict[int, FileStats] = {}
        if self._table is None:
            return found
        query = f"SELECT key, facts FROM facts WHERE key IN ({','.join('?' * len(keys))})"
        rows: list[tuple[int, Any]] = []
        with suppress(*_ERRORS):
            rows = self._table.execute(query, keys).fetchall()
        for key, data in rows:
            with suppress(ValueError):
                found[key] = unpacked(key, data)
        return found

    def add(self, rows: Iterable[Row]) -> None:
        """Remember files; about once a second they are written."""
        self._rows += rows
        if time.monotonic() - self._written > 1:
            self._write()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        self._written = time.monotonic()
        if self._table is None or not rows:
            return
        today = int(time.time()) // 86_400
        insert = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)"
        try:
            with self._table:
                self._table.executemany(insert, ((key, data, today) for key, data in rows))
        except sqlite3.OperationalError:  # no room, or another process writes for long
            self._leave()
        except _ERRORS:
            self._leave()
            _remove(self._path)

    def _leave(self) -> None:
        if self._table is not None:
            self._table.close()
        self._table = None

    def close(self) -> None:
        """Write what is left, and forget the older half where there is too much."""
        self._write()
        with suppress(*_ERRORS):
            if self._table is not None and _size(self._table) > LIMIT:
                _prune(self._table)
        self._leave()


def _opened(path: Path, write: bool) -> Optional[sqlite3.Connection]:
    for _ in range(2):
        try:
            return _connect(path, write)
        except (sqlite3.OperationalError, OSError):  # no such folder, not writable, busy for long
            return None
        except _ERRORS:
            if not write:
                return None
            _remove(path)
    return None


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
    mode = "rwc" if write else "rw"
    table = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", timeout=_PATIENCE[write], uri=True
    )
    table.text_factory = bytes  # a text in a damaged row may be none
    try:
        if _holds_something_else(table):  # a view may take for ever; or it is somebody's
            raise sqlite3.OperationalError
        if write:
            # Readers do not wait for a writer then; and what a power failure costs is read again.
            table.execute("PRAGMA journal_mode=WAL")
            table.execute("PRAGMA synchronous=OFF")
            table.execute(_TABLE)
    except BaseException:
        table.close()
        raise
    return table


_TABLE = "CREATE TABLE IF NOT EXISTS facts (key INTEGER PRIMARY KEY, facts BLOB, day INTEGER)"
_TABLE_AS_KEPT = _TABLE.replace("IF NOT EXISTS ", "").encode()


def _holds_something_else(table: sqlite3.Connection) -> bool:
    found = table.execute("SELECT sql FROM sqlite_master").fetchall()
    return found not in ([], [(_TABLE_AS_KEPT,)])


def _remove(path: Path) -> None:
    for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        with suppress(OSError):
            name.unlink()


def _size(table: sqlite3.Connection) -> int:
    pages, unused, size = (
        table.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - unused) * size)


def _prune(table: sqlite3.Connection) -> None:
    half = table.execute("SELECT count(*) FROM facts").fetchone()[0] // 2
    query = "SELECT day FROM facts ORDER BY day LIMIT 1 OFFSET ?"
    (day,) = table.execute(query, (half,)).fetchone()
    with table:
        table.execute("DELETE FROM facts WHERE day <= ?", (day,))
