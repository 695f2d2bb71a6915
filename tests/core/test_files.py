"""The one way to write a file, over every kind of place that a name can stand for."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable

import pytest

from mmseg_fixkit.core import files
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import (
    check_target,
    put_in_place,
    replacing,
    temporary_next_to,
    write_file,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("near", "far"):
        Path(folder).mkdir()


def everything() -> set[str]:
    return {str(p) for p in Path().rglob("*") if not p.is_dir()}


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def file(text: str = "old") -> None:
    Path("near/f.txt").write_text(text)


def link() -> None:
    Path("far/real.txt").write_text("old")
    Path("near/f.txt").symlink_to("../far/real.txt")


def absolute_link() -> None:
    Path("far/real.txt").write_text("old")
    Path("near/f.txt").symlink_to(Path("far/real.txt").absolute())


def dangling_link() -> None:
    Path("near/f.txt").symlink_to("../far/real.txt")


def chain() -> None:
    link()
    Path("near/f.txt").rename("far/second.txt")
    Path("far/second.txt").unlink()
    Path("far/second.txt").symlink_to("real.txt")
    Path("near/f.txt").symlink_to("../far/second.txt")


def linked_folder() -> None:
    Path("near").rmdir()
    Path("near").symlink_to("far")
    Path("far/f.txt").write_text("old")


#: What stands under near/f.txt before -> the file that is to have the content.
PLACES: dict[str, tuple[Callable[[], object], str]] = {
    "nothing": (lambda: None, "near/f.txt"),
    "a file": (file, "near/f.txt"),
    "a link": (link, "far/real.txt"),
    "an absolute link": (absolute_link, "far/real.txt"),
    "a dangling link": (dangling_link, "far/real.txt"),
    "a chain of links": (chain, "far/real.txt"),
    "a file in a linked folder": (linked_folder, "far/f.txt"),
}


@pytest.mark.parametrize("name", PLACES)
def test_the_file_that_a_name_stands_for_is_written(name: str) -> None:
    make, real = PLACES[name]
    make()
    before = everything()
    links = {path: os.readlink(path) for path in before if os.path.islink(path)}
    write_file("near/f.txt", "neu é\n")
    assert Path(real).read_bytes() == "neu é\n".encode()
    assert not Path(real).is_symlink()
    assert {path: os.readlink(path) for path in links} == links
    assert everything() - before <= {real}


def written_by_half(error: Exception) -> None:
    with replacing("near/f.txt") as temporary:
        temporary.write_text("half of it")
        raise error


def contents() -> dict[str, object]:
    return {path: os.path.exists(path) and Path(path).read_text() for path in everything()}


@pytest.mark.parametrize("name", PLACES)
def test_a_failure_in_the_middle_changes_nothing(name: str) -> None:
    PLACES[name][0]()
    before = contents()
    with pytest.raises(ZeroDivisionError):
        written_by_half(ZeroDivisionError())
    with pytest.raises(FixkitError, match=r"^near/f\.txt cannot be written: No space left in "):
        written_by_half(OSError(28, "No space left"))
    assert contents() == before


def test_the_temporary_file_is_beside_the_real_one_and_of_the_suffix_of_the_name() -> None:
    Path("far/real").write_text("old")
    Path("near/f.onnx").symlink_to("../far/real")
    with replacing("near/f.onnx") as temporary:
        assert temporary.parent == Path("far").absolute()
        assert temporary.suffix == ".onnx"
        temporary.write_text("new")
    assert Path("far/real").read_text() == "new"


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, f"{'x' * 251}.txt"])
def test_a_name_as_long_as_can_be(name: str) -> None:
    write_file(name, "new")
    assert Path(name).read_text() == "new"


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o444, 0o755])
@pytest.mark.parametrize("name", ["a file", "a link"])
def test_permissions_are_kept(name: str, kept: int) -> None:
    make, real = PLACES[name]
    make()
    Path(real).chmod(kept)
    with replacing("near/f.txt") as temporary:
        assert mode(str(temporary)) == 0o600  # what others may not read, they never may
        temporary.write_text("new")
    assert mode(real) == kept
    assert Path(real).read_text() == "new"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(mask: int) -> None:
    before = os.umask(mask)
    try:
        write_file("near/f.txt", "new")
    finally:
        os.umask(before)
    assert mode("near/f.txt") == 0o666 & ~mask


def test_owner_and_group_are_kept() -> None:
    file()
    try:
        os.chown("near/f.txt", 1234, 2345)
    except PermissionError:
        pytest.skip("only root may give files away")
    Path("near/f.txt").chmod(0o640)
    write_file("near/f.txt", "new")
    found = os.stat("near/f.txt")
    assert (found.st_uid, found.st_gid, mode("near/f.txt")) == (1234, 2345, 0o640)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("kept", [0o4755, 0o2755, 0o6711, 0o1644])
def test_bits_that_run_as_owner_or_group_are_kept_with_them(kept: int) -> None:
    file()
    os.chown("near/f.txt", 1234, 2345)
    Path("near/f.txt").chmod(kept)
    write_file("near/f.txt", "new")
    assert mode("near/f.txt") == kept
    assert (os.stat("near/f.txt").st_uid, os.stat("near/f.txt").st_gid) == (1234, 2345)


@pytest.mark.parametrize(("kept", "left"), [(0o4755, 0o755), (0o2755, 0o755), (0o6640, 0o640)])
def test_what_ran_as_its_owner_never_runs_as_another_one(
    kept: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file()
    Path("near/f.txt").chmod(kept)
    before = os.stat("near/f.txt")
    given = (before.st_uid + 1, before.st_gid + 1)
    status = os.stat_result((*before[:4], *given, *before[6:]))
    monkeypatch.setattr(files, "_status", lambda _: status)
    monkeypatch.setattr(files.os, "chown", lambda *_: None)  # as where it may not be given away
    write_file("near/f.txt", "new")
    assert mode("near/f.txt") == left


def test_attributes_of_the_file_system_are_kept() -> None:
    file()
    try:
        os.setxattr("near/f.txt", "user.origin", b"the camera")
    except (OSError, AttributeError):
        pytest.skip("this file system keeps no attributes")
    write_file("near/f.txt", "new")
    assert os.getxattr("near/f.txt", "user.origin") == b"the camera"


def test_owner_and_group_are_kept_where_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(path: Path, owner: int, group: int) -> None:
        asked.append((owner, group))
        raise PermissionError(1, "Operation not permitted")

    file()
    found = os.stat("near/f.txt")
    monkeypatch.setattr(files.os, "chown", refuse)
    write_file("near/f.txt", "new")
    assert Path("near/f.txt").read_text() == "new"
    assert asked == [(found.st_uid, -1), (-1, found.st_gid)]


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_stays_a_pipe_and_its_reader_gets_everything(linked: bool) -> None:
    os.mkfifo("far/pipe")
    name = "near/f.txt" if linked else "far/pipe"
    if linked:
        Path("near/f.txt").symlink_to("../far/pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(Path("far/pipe").read_bytes()))
    reader.start()
    check_target(name, overwrite=False)  # nothing is lost by writing to it
    write_file(name, b"x" * 1_000_000)
    reader.join(30)
    assert got == [b"x" * 1_000_000]
    assert stat.S_ISFIFO(os.stat(name).st_mode)
    assert everything() == {"far/pipe", name}


def test_a_device_stays_a_device() -> None:
    write_file(os.devnull, "gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_device_that_is_full() -> None:
    with pytest.raises(FixkitError, match=r"^/dev/full cannot be written: No space left on device"):
        write_file("/dev/full", "x" * 100_000)


WRITES = """
from mmseg_fixkit.core.files import check_target, write_file
print("before", flush=True)
check_target("/dev/stdout", overwrite=False)
write_file("/dev/stdout", "between\\n")
print("after")
"""


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="POSIX has it")
@pytest.mark.parametrize("to", ["file", "pipe", "own link"])
def test_standard_output_by_its_name(to: str) -> None:
    code = WRITES
    if to == "own link":
        Path("out").symlink_to("/dev/stdout")
        code = code.replace("/dev/stdout", "out")
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if to == "pipe":
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        assert done.stdout == "before\nbetween\nafter\n"
        return
    with Path("log").open("w") as log:
        log.write("earlier\n")
        log.flush()
        inode = os.stat("log").st_ino
        subprocess.run(command, check=True, stdout=log, env=env)
    assert Path("log").read_text() == "earlier\nbefore\nbetween\nafter\n"
    assert os.stat("log").st_ino == inode


def loop() -> None:
    Path("near/f.txt").symlink_to("g.txt")
    Path("near/g.txt").symlink_to("f.txt")


def gone() -> None:
    Path("near").rmdir()


def blocked() -> None:
    Path("near").rmdir()
    Path("near").write_text("a file")


#: What stands in the way of near/f.txt -> what is said.
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "links in a circle": (loop, "Too many levels of symbolic links"),
    "a folder": (lambda: Path("near/f.txt").mkdir(), "it is a folder"),
    "no folder": (gone, "there is no folder near"),
    "a file for a folder": (blocked, "there is no folder near"),
    "a link to where no folder is": (
        lambda: Path("near/f.txt").symlink_to("../none/real.txt"),
        "there is no folder .*/none",
    ),
    "a link to a folder": (lambda: Path("near/f.txt").symlink_to("../far"), "it is a folder"),
}


@pytest.mark.parametrize("option", ["", "--html"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_place_that_cannot_be_written_to_is_one_sentence(name: str, option: str) -> None:
    make, words = REFUSED[name]
    make()
    before = everything()
    named = f"{option} near/f.txt".strip()
    with pytest.raises(FixkitError, match=rf"^{named} cannot be written: {words}"):
        write_file("near/f.txt", "new", option=option)
    with pytest.raises(FixkitError, match=r"^near/f\.txt "):
        check_target("near/f.txt", overwrite=True)
    assert everything() == before


@pytest.mark.parametrize("name", ["a file", "a link"])
def test_a_folder_that_may_not_be_written_to(name: str) -> None:
    make, real = PLACES[name]
    make()
    folder = Path(real).parent
    folder.chmod(0o500)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("root writes everywhere")
        with pytest.raises(FixkitError, match="cannot be written: Permission denied in"):
            write_file("near/f.txt", "new")
    finally:
        folder.chmod(0o700)
    assert Path(real).read_text() == "old"


@pytest.mark.skipif(os.geteuid() != 0, reason="the file system tells root by a full device only")
def test_a_file_system_that_takes_no_files() -> None:
    with pytest.raises(FixkitError, match=r"^/proc/f\.txt cannot be written: .* in /proc$"):
        write_file("/proc/f.txt", "new")


@pytest.mark.parametrize("name", PLACES)
def test_an_existing_file_is_replaced_only_where_asked(name: str) -> None:
    PLACES[name][0]()
    check_target("near/f.txt", overwrite=True)
    if not Path("near/f.txt").exists():
        check_target("near/f.txt", overwrite=False)
        return
    with pytest.raises(FixkitError, match=r"^near/f\.txt exists already; give --overwrite"):
        check_target("near/f.txt", overwrite=False)


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("name", PLACES)
def test_a_new_file_never_takes_the_place_of_one(
    name: str, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    make, real = PLACES[name]
    make()
    if not links:
        monkeypatch.setattr(files.os, "link", refuse)
    is_new = not Path(real).exists()
    scratch = Path("scratch")
    scratch.write_text("new")
    assert put_in_place(scratch, Path("near/f.txt"), overwrite=False) is is_new
    assert Path(real).read_text() == ("new" if is_new else "old")
    scratch.write_text("new")
    assert put_in_place(scratch, Path("near/f.txt")) is True
    assert Path(real).read_text() == "new"


def test_a_temporary_file_is_gone_in_the_end() -> None:
    with temporary_next_to(Path("near/f.py"), b"a = 1") as temporary:
        assert temporary.read_bytes() == b"a = 1"
        assert temporary.parent == Path("near")
        assert temporary.suffix == ".py"
    with pytest.raises(ZeroDivisionError), temporary_next_to(Path("near/f.py")):
        raise ZeroDivisionError
    assert everything() == set()


# What killed runs left


def leave(name: str, days: float) -> Path:
    path = Path("near", name)
    path.write_text("half of it")
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))
    return path


@pytest.mark.parametrize("name", ["f.txt", "f", "é\n.tar.gz", f"{'x' * 200}.py", ".hidden"])
def test_what_a_killed_run_left_is_removed_a_day_later(name: str) -> None:
    left = []
    for days in (1.1, 400, 0.9, 0):
        with temporary_next_to(Path("near", name)) as temporary:
            left.append(temporary.name)
        leave(left[-1], days)
    files._remove_leftovers.cache_clear()
    write_file("near/other.txt", "new")
    assert {p.name for p in Path("near").iterdir()} == {"other.txt", *left[2:]}


@pytest.mark.parametrize(
    "name",
    [
        "f-mmseg-fix-0123456789abcdef.txt",  # not hidden
        ".f-mmseg-fix-0123456789abcdeg.txt",  # no number
        ".f-mmseg-fix-0123456789abcde.txt",
        ".f-0123456789abcdef.txt",
        ".f-mmseg-fix-0123456789abcdef.txt.mine.txt",
        ".f-mmseg-fix-0123456789abcdef~",
        ".mmseg-fix",
    ],
)
def test_what_is_not_known_to_be_ours_stays(name: str) -> None:
    kept = leave(name, 400)
    files._remove_leftovers.cache_clear()
    write_file("near/f.txt", "new")
    assert kept.read_text() == "half of it"


def test_a_folder_or_a_link_of_such_a_name_stays() -> None:
    folder, link = (Path(f"near/.{n}-mmseg-fix-0123456789abcdef.txt") for n in "fg")
    folder.mkdir()
    link.symlink_to("../far")
    os.utime(folder, (0, 0))
    os.utime(link, (0, 0), follow_symlinks=False)
    files._remove_leftovers.cache_clear()
    write_file("near/f.txt", "new")
    assert folder.is_dir()
    assert link.is_symlink()


def test_a_new_file_is_not_written_over_one_that_was_made_meanwhile() -> None:
    def written_late() -> None:
        with replacing("near/f.txt", overwrite=False) as temporary:
            temporary.write_text("new")
            Path("near/f.txt").write_text("of another run")

    with pytest.raises(FixkitError, match=r"^near/f\.txt exists already; give --overwrite"):
        written_late()
    assert contents() == {"near/f.txt": "of another run"}


# Questions


@pytest.mark.parametrize(
    "name", ["x" * 300, "near/nothing", "loop", "~nobody-of-this-name", "a\0b", "\ud800", ""]
)
def test_a_question_has_an_answer_for_any_name(name: str) -> None:
    Path("loop").symlink_to("loop")
    assert not files.is_file(name)
    assert not files.is_folder(name)
    assert not files.exists(name)
    assert not files.holds(name, b"")
    assert files.modified(name) == 0
    assert files.why_no_file(name)
    assert files.expanded(name) == Path(name)
    assert files.real_path(name).is_absolute()
    with pytest.raises(FixkitError, match="cannot be "):
        files.read_text(name)


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800", "loop", "", "..", "/"])
def test_a_name_that_cannot_be_written_is_one_sentence(name: str) -> None:
    Path("loop").symlink_to("loop")
    before = everything()
    with pytest.raises(FixkitError, match="cannot be written: "):
        write_file(name, "new")
    assert everything() == before


def test_a_text_that_is_none_is_said_with_its_place() -> None:
    Path("near/f.txt").write_bytes(b"abc\xff")
    with pytest.raises(FixkitError, match=r"f\.txt cannot be read as text: .* byte 3$"):
        files.read_text("near/f.txt")
