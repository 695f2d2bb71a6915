"""A second scan reads no file again; a cache that is damaged, shared or full never disturbs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmseg_fixkit.datasets import cache as module
from mmseg_fixkit.datasets import scan_files as fold
from mmseg_fixkit.datasets.cache import Cache, default_cache, packed, unpacked
from mmseg_fixkit.datasets.label_file import FileStats, LabelFile, LabelReading
from mmseg_fixkit.datasets.scan_files import scan_files

READINGS = {"train": LabelReading(3)}


@pytest.fixture
def files(tmp_path: Path) -> list[LabelFile]:
    rng = np.random.default_rng(0)
    found = []
    for index in range(30):
        label, image = tmp_path / f"{index:02}.png", tmp_path / f"{index:02}.jpg"
        Image.fromarray(rng.integers(0, 4, (9, 12)).astype(np.uint8)).save(label)
        Image.fromarray(rng.integers(0, 255, (9, 12, 3)).astype(np.uint8)).save(image)
        found.append(LabelFile("train", str(label), str(image)))
    return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels that were read, not looked up."""
    names: list[str] = []
    real = fold.examine

    def examine(file: LabelFile, *arguments: Any) -> FileStats:
        names.append(file.label)
        return real(file, *arguments)

    monkeypatch.setattr(fold, "examine", examine)
    return names


def scanned(files: list[LabelFile], cache: Any, **how: Any) -> Any:
    return scan_files(files, how.pop("readings", READINGS), jobs=1, cache=cache, **how)


def test_a_second_scan_reads_no_file(files: Any, read: list[str], tmp_path: Path) -> None:
    cache = tmp_path / "deep" / "cache.sqlite"
    first = scanned(files, cache)
    assert len(read) == 30
    assert scanned(files, cache) == first == scanned(files, None)
    assert len(read) == 60  # the scan without a cache


@pytest.mark.parametrize("changed", ["label", "image", "backend", "turns"])
def test_what_changed_is_read_again(
    changed: str, files: Any, read: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    scanned(files, cache)
    del read[:]
    if changed in ("label", "image"):
        path = getattr(files[3], changed)
        os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 1))
        scanned(files, cache)
        assert read == [files[3].label]
        return
    pytest.importorskip("cv2")
    other = (
        LabelReading(3, backend="cv2")
        if changed == "backend"
        else LabelReading(3, turns_images=False)
    )
    scanned(files, cache, readings={"train": other})
    assert len(read) == 30


def test_another_reading_of_the_same_values_needs_no_file(
    files: Any, read: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    scanned(files, cache)
    del read[:]
    reading = {"train": LabelReading(2, ignore_index=9, reduce_zero_label=True)}
    assert scanned(files, cache, readings=reading) == scanned(files, None, readings=reading)
    assert len(read) == 30


def test_a_label_that_appears_is_read(files: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache.sqlite"
    content = Path(files[0].label).read_bytes()
    Path(files[0].label).unlink()
    assert scanned(files, cache)["train"].problems["image-without-label"].files == 1
    Path(files[0].label).write_bytes(content)
    assert "image-without-label" not in scanned(files, cache)["train"].problems


@pytest.mark.parametrize(
    "damage", ["text", "empty", "middle", "schema", "row", "folder", "other table"]
)
def test_a_damaged_cache_is_made_anew(
    damage: str, files: Any, read: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    expected = scanned(files, cache)
    content = cache.read_bytes()
    if damage in ("row", "other table"):
        table = sqlite3.connect(cache)
        table.execute("UPDATE facts SET facts = x'5b31'" if damage == "row" else "DROP TABLE facts")
        if damage == "other table":
            table.execute("CREATE TABLE facts (a)")
        table.commit()
        table.close()
    elif damage == "folder":
        cache.unlink()
        cache.mkdir()
    else:
        middle = content[:2000] + b"x" * 3000 + content[5000:]
        schema = content.replace(b"CREATE TABLE facts", b"CREATE TABLE fa\xffts")  # named in errors
        damaged = {"text": b"hello" * 999, "empty": b"", "middle": middle, "schema": schema}
        cache.write_bytes(damaged[damage])
    del read[:]
    assert scanned(files, cache) == expected
    assert scanned(files, cache) == expected
    scanned(files, cache)
    if damage in ("folder", "other table"):
        assert len(read) == 90  # left as it is: it may be somebody's
    else:
        assert 30 <= len(read) <= 60


def test_a_folder_that_cannot_be_written_to_does_not_matter(files: Any) -> None:
    assert scanned(files, Path("/proc/none/cache.sqlite")) == scanned(files, None)


def test_several_processes_use_it_at_once(files: Any, tmp_path: Path) -> None:
    program = (
        "import sys, glob; from mmseg_fixkit.datasets.label_file import *\n"
        "from mmseg_fixkit.datasets.scan_files import scan_files\n"
        "files = [LabelFile('train', n) for n in sorted(glob.glob(sys.argv[1] + '/*.png'))] * 40\n"
        "found = scan_files(files, {'train': LabelReading(3)}, cache=sys.argv[2], jobs=2)\n"
        "print(found['train'].raw)"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(tmp_path / "cache.sqlite")]

    def run(_: int) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(run, range(3)))) == 1


def test_the_older_half_goes_where_there_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache.sqlite"
    for day in range(4):
        monkeypatch.setattr(module.time, "time", lambda day=day: 86_400.0 * day)
        cache = Cache(path)
        keys = range(100 * day, 100 * day + 100)
        cache.add((key, packed(key, FileStats((1, 1), values=((0, 1),)))) for key in keys)
        if day == 3:
            monkeypatch.setattr(module, "LIMIT", 1)
        cache.close()
    left = Cache(path).find(range(400))
    assert 100 <= len(left) <= 200
    assert set(range(300, 400)) <= set(left)


def test_facts_survive_packing() -> None:
    facts = FileStats(
        (3, 4), "P", "PNG", ((0, 7), (2**20, 5)), ((0xFF, 12),), 3, (4, 3), True, 2**64 - 1
    )
    assert unpacked(7, packed(7, facts)) == facts
    broken = FileStats(error="it is truncated", digest=3)
    assert unpacked(-7, packed(-7, broken)) == broken


FACTS = [[3, 4], "L", "PNG", [[0, 7], [2, 5]], [], 0, None, False, 5, ""]


def row(key: int, place: int, value: Any) -> bytes:
    """A row that is as it was written, by somebody who means ill."""
    data = json.dumps([*FACTS[:place], value, *FACTS[place + 1 :]]).encode()
    return zlib.crc32(data, key & 0xFFFFFFFF).to_bytes(4, "big") + data


SENSELESS = [
    (0, [3]),
    (0, [3, "4"]),
    (0, 7),
    (0, [3, 4.0]),
    (0, [4, 4]),
    (1, None),
    (3, [[0, 7], [2, 6]]),
    (3, [[0, 17], [2, -5]]),
    (3, [[0, 7], [2, 5, 1]]),
    (3, [[0, 7], ["2", 5]]),
    (3, [[0, 7], [2, True], [3, 4]]),
    (3, [[0, 12], [[], 0]]),
    (3, None),
    (4, [["red", 12]]),
    (6, [3]),
    (6, [3, None]),
    (6, 0),
    (7, 1),
    (8, "5"),
    (9, "it is truncated"),
    (9, 3),
]


@pytest.mark.parametrize(("place", "value"), SENSELESS)
def test_a_row_that_makes_no_sense_is_none(place: int, value: Any) -> None:
    unpacked(3, row(3, 9, ""))
    with pytest.raises(ValueError, match="holds"):
        unpacked(3, row(3, place, value))


@pytest.mark.parametrize(
    "data", [None, 7, "x", b"", b"\0" * 4, row(4, 9, ""), row(3, 9, "")[:-1], [], 1.5]
)
def test_a_row_that_is_not_as_it_was_written_is_none(data: Any) -> None:
    with pytest.raises(ValueError, match=r"as it was written|holds|value"):
        unpacked(3, data)


def deep(key: int) -> bytes:
    data = b"[" * 100_000
    return zlib.crc32(data, key & 0xFFFFFFFF).to_bytes(4, "big") + data


POISON = {
    "null": lambda key, data: None,
    "number": lambda key, data: 7,
    "text": lambda key, data: "no bytes \ud800".encode("utf-8", "surrogatepass"),
    "flipped": lambda key, data: data[:9] + bytes([data[9] ^ 1]) + data[10:],
    "another file's": lambda key, data: packed(key + 1, FileStats((1, 1), values=((2, 1),))),
    "wrong figures": lambda key, data: row(key, 3, [[0, 7], [2, 6]]),
    "wrong types": lambda key, data: row(key, 3, [["0", 12]]),
    "deep": lambda key, data: deep(key),
}


@pytest.mark.parametrize("poison", POISON)
def test_a_poisoned_row_costs_its_file_a_second_reading_and_nothing_else(
    poison: str, files: Any, read: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache.sqlite"
    expected = scanned(files, cache)
    table = sqlite3.connect(cache)
    rows = table.execute("SELECT key, facts FROM facts ORDER BY key").fetchall()
    for key, data in rows[:7]:
        value = POISON[poison](key, data)
        table.execute("UPDATE facts SET facts = ? WHERE key = ?", (value, key))
    table.commit()
    table.close()
    del read[:]
    assert scanned(files, cache) == expected
    assert len(read) == 7
    assert scanned(files, cache) == expected
    assert len(read) == 7  # and they are known again


def test_a_database_with_more_in_it_is_left_alone(
    files: Any, read: list[str], tmp_path: Path
) -> None:
    """A view may take for ever, and a trigger may change what is kept."""
    cache = tmp_path / "cache.sqlite"
    table = sqlite3.connect(cache)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    table.execute(f"CREATE VIEW facts AS {endless} SELECT i key, i facts, i day FROM n")
    table.commit()
    table.close()
    content = cache.read_bytes()
    for _ in range(2):
        scanned(files, cache)
    assert len(read) == 60
    assert cache.read_bytes() == content


def test_a_locked_cache_is_done_without(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", {True: 0.5, False: 0.2})
    cache = tmp_path / "cache.sqlite"
    expected = scanned(files, cache)
    table = sqlite3.connect(cache, isolation_level=None)
    table.execute("PRAGMA locking_mode=EXCLUSIVE")
    table.execute("BEGIN EXCLUSIVE")
    table.execute("UPDATE facts SET day = 0")
    start = time.monotonic()
    assert scanned(files, cache) == expected
    assert time.monotonic() - start < 10
    table.execute("ROLLBACK")
    table.close()


def test_a_home_that_nobody_has_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEG_FIXKIT_CACHE", "~nobody-of-that-name/b.sqlite")
    assert default_cache() == Path("~nobody-of-that-name/b.sqlite")


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEG_FIXKIT_CACHE", "/a/b.sqlite")
    assert default_cache() == Path("/a/b.sqlite")
    monkeypatch.delenv("MMSEG_FIXKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert default_cache() == Path("/c/mmseg-fixkit/labels.sqlite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache/mmseg-fixkit/labels.sqlite"
