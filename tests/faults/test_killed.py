"""Killed at a random instant, a verb leaves the old file or the new one, and the next run works."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.faults.children import SEED, TOO_EARLY, Children, Ended, rounds
from tests.faults.verbs import VERBS, Verb, files_in, strangers, verb

STOPPED = "mmseg-fix: error: stopped by Ctrl-C, so nothing is reported\n"


def fresh(room: Path, name: str, what: Verb) -> Path:
    folder = room / "".join(c if c.isalnum() else "_" for c in name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    what.prepare(folder)
    return folder


class Watched:
    """A verb in a folder, with what it wrote when nothing disturbed it."""

    def __init__(self, children: Children, room: Path, name: str) -> None:
        self.verb, self.children, self.room, self.name = verb(name), children, room, name
        self.folder = fresh(room, name, self.verb)
        self.old = files_in(self.folder, self.verb.written)
        # What a user has beside it, which nothing may touch.
        self.mine = {n: b for n, b in files_in(self.folder, ".").items() if n not in self.old}
        self.whole = self.run()
        assert self.whole.code in (0, 1), self.whole.err
        self.new = files_in(self.folder, self.verb.written)
        assert self.new != self.old

    def run(self) -> Ended:
        return self.children.run(self.verb.arguments, self.folder)

    def reset(self) -> None:
        """Take what was written away again, but nothing that a killed process left."""
        place = self.folder / self.verb.written
        for entry in place.iterdir() if place.is_dir() else [place]:
            if entry.is_dir() and entry.name[0] != ".":
                shutil.rmtree(entry)
            elif entry.name[0] != ".":
                entry.unlink(missing_ok=True)
        for name, content in self.old.items():
            (self.folder / name).write_bytes(content)

    def check(self) -> None:
        """Hold what is in the folder against the rule: each file is the old one or the new one."""
        found = files_in(self.folder, self.verb.written)
        assert self.old.keys() <= found.keys() <= self.new.keys()
        for name, content in found.items():
            assert content == self.old.get(name) or self._is_new(name, content), name
        beside = files_in(self.folder, ".")
        assert {n: beside.get(n) for n in self.mine} == self.mine
        assert strangers(self.folder) == []

    def _is_new(self, name: str, content: bytes) -> bool:
        if self.verb.holds is not None:
            return self.verb.holds(self.folder / name)
        return content == self.new[name]

    def check_next_run(self) -> None:
        done = self.run()
        assert (done.code, "Traceback" in done.err) == (self.whole.code, False), done.err
        self.check()
        assert files_in(self.folder, self.verb.written).keys() == self.new.keys()


def instants(name: str, count: int, seconds: float) -> list[float]:
    seed = f"{name} {SEED}"
    print(f"instants of seed {SEED}, for all of the {seconds:.2f} s")
    chosen = random.Random(seed)
    return [chosen.uniform(0, 1.05 * seconds) for _ in range(count)]


@pytest.mark.parametrize("name", VERBS)
def test_kill_9(children: Children, room: Path, name: str) -> None:
    watched = Watched(children, room, name)
    for instant in instants(name, rounds(3), watched.whole.seconds):
        watched.reset()
        with children.started(watched.verb.arguments, watched.folder) as child:
            time.sleep(instant)
            child.signal(signal.SIGKILL)
            done = child.end()
        assert done.code in (-signal.SIGKILL, watched.whole.code), done.err
        watched.check()
    watched.check_next_run()
    watched.reset()
    for file in watched.folder.rglob(".*"):
        os.utime(file, (0, 0), follow_symlinks=False)
    watched.check_next_run()
    left = [p for p in watched.folder.rglob(".*") if p.is_file()]
    assert not left, "what killed runs left is removed by a run a day later"


@pytest.mark.parametrize("name", VERBS)
def test_ctrl_c(children: Children, room: Path, name: str) -> None:
    watched = Watched(children, room, name)
    for instant in instants(name, rounds(3), watched.whole.seconds):
        watched.reset()
        with children.started(watched.verb.arguments, watched.folder) as child:
            time.sleep(instant)
            child.signal(signal.SIGINT, whole=True)
            done = child.end()
        if done.code == TOO_EARLY:
            continue
        if done.code == 130:
            assert done.err.endswith(STOPPED), done.err
            assert done.err.removesuffix(STOPPED) in watched.whole.err, done.err
        else:
            assert (done.code, done.err) == (watched.whole.code, watched.whole.err)
        watched.check()
        assert not [p for p in watched.folder.rglob(".*") if p.is_file()]
    watched.check_next_run()
