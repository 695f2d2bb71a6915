"""A second scan reads no file again; a cache that is damaged, shared or full never disturbs."""

from __future__ import annotations

import os
import subprocess
import sys
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


@pytest.mark.parametrize("damage", ["text", "empty", "middle", "row", "folder", "other table"])
def test_a_damaged_cache_is_made_anew(
    damage: str, files: Any, read: list[str], tmp_path: Path
) -> None:
    import sqlite3

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
        cache.write_bytes({"text": b"hello" * 999, "empty": b"", "middle": middle}[damage])
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
        cache.add((100 * day + i, packed(FileStats(shape=(1, 1)))) for i in range(100))
        if day == 3:
            monkeypatch.setattr(module, "LIMIT", 1)
        cache.close()
    left = Cache(path).find(range(400))
    assert 100 <= len(left) <= 200
    assert set(range(300, 400)) <= set(left)


def test_facts_survive_packing() -> None:
    facts = FileStats(
        (3, 4), "P", "PNG", ((0, 7), (2**20, 5)), ((0xFF, 12),), 3, (4, 3), True, 2**64 - 1, "é"
    )
    assert unpacked(packed(facts)) == facts
    assert unpacked(packed(FileStats())) == FileStats()


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMSEG_FIXKIT_CACHE", "/a/b.sqlite")
    assert default_cache() == Path("/a/b.sqlite")
    monkeypatch.delenv("MMSEG_FIXKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert default_cache() == Path("/c/mmseg-fixkit/labels.sqlite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path.home() / ".cache/mmseg-fixkit/labels.sqlite"
