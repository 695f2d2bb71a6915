"""What ``scan --fix`` did: a line for each file while it runs, a report in the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Optional, TextIO

from mmseg_fixkit.core.files import put_in_place, write_file
from mmseg_fixkit.core.text import counted
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.pixels import NewLabel

#: In the new folder: one line of JSON for each file, and the report.
LOG = "mmseg-fix.jsonl"
REPORT = "mmseg-fix.json"
#: Where files are written before they take their places.
SCRATCH = ".mmseg-fix"

_SCHEMA = 1
_KEPT = 256  # changes of one file, and refusals, that are kept
_KEPT_IN_ALL = 4096  # changes
_SHOWN = 10  # changes and refusals that the text shows

Stamp = tuple[int, int]


def stamp(path: Any) -> Stamp:
    """Return size and time of a file, which tell whether it is still the same.

    Raises:
        OSError: it is not there.
    """
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Entry:
    """What was done to one file.

    Args:
        name: below its root.
        source: its path.
        recoding: the digest of what was to be done.
        was: size and time of the source.
        did: ``written``, ``copied`` or ``refused``.
        out: its name below the new folder.
        now: size and time of the new file.
        changes: ``(old value or colour, new value, pixels)``.
        colors: whether the old ones are colours, ``0xRRGGBB``.
        why: it was refused.
    """

    name: str
    source: str
    recoding: str
    was: Stamp = (0, 0)
    did: str = ""
    out: str = ""
    now: Stamp = (0, 0)
    changes: tuple[tuple[int, int, int], ...] = ()
    colors: bool = False
    why: str = ""

    def of_source(self, was: Stamp) -> Entry:
        """Remember the source as it is."""
        return replace(self, was=was)

    def refused(self, why: str) -> Entry:
        """Say why there is no new file."""
        return replace(self, did="refused", why=why)

    def done(self, did: str, out: str, now: Stamp, new: NewLabel) -> Entry:
        """Say what the new file is."""
        changes = new.changes[:_KEPT]
        return replace(self, did=did, out=out, now=now, changes=changes, colors=new.colors)

    def has_new_file(self, folder: Path) -> bool:
        """Whether the new file is still as it was written."""
        return self.did in ("written", "copied") and _is(folder / self.out, self.now)

    @property
    def has_source(self) -> bool:
        """Whether the source is still as it was read."""
        return _is(self.source, self.was)

    @property
    def line(self) -> str:
        """For the log."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Optional[Entry]:
        """Read a line; None if it was cut off."""
        try:
            found = json.loads(line)
            pairs = {key: tuple(found[key]) for key in ("was", "now")}
            changes = tuple(tuple(change) for change in found["changes"])
            return cls(**{**found, **pairs, "changes": changes})
        except (ValueError, KeyError, TypeError):
            return None


def _is(path: Any, was: Stamp) -> bool:
    try:
        return stamp(path) == tuple(was)
    except OSError:
        return False


@dataclass(frozen=True)
class Change:
    """One value that became another.

    Args:
        old: as text, ``7`` or ``#804080``.
        new: the value that it became.
        pixels: how many.
        files: in how many files.
    """

    old: str
    new: int
    pixels: int
    files: int


@dataclass(frozen=True)
class RewriteReport:
    """What ``scan --fix`` did to all files.

    Args:
        out: the new folder.
        recoding: split -> what was asked for, in words.
        written: files with other values, or in another format.
        copied: files that stayed as they are.
        refused: files that were left out.
        renamed: files whose name ends with ``.png`` now.
        changes: the most frequent first.
        refusals: ``(file, why)``, the first of them.
    """

    out: str
    recoding: Mapping[str, str]
    written: int = 0
    copied: int = 0
    refused: int = 0
    renamed: int = 0
    changes: tuple[Change, ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()

    @property
    def files(self) -> int:
        """How many there were."""
        return self.written + self.copied + self.refused

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {"schema": _SCHEMA, "files": self.files, **asdict(self)}

    def text(self) -> str:
        """Return the report for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield (
            f"{self.out}: {counted(self.written, 'file')} written anew, {self.copied} copied as "
            f"they are, {self.refused} refused"
        )
        width = max((len(change.old) for change in self.changes), default=0)
        yield from (
            f"  {c.old:>{width}} -> {c.new:<3}  {counted(c.pixels, 'pixel')} in "
            f"{counted(c.files, 'file')}"
            for c in self.changes[:_SHOWN]
        )
        yield from _more(len(self.changes), "value", LOG)
        for file, why in self.refusals[:_SHOWN]:
            yield f"  refused: {file}: {why}"
        yield from _more(self.refused, "refused file", LOG)
        if self.renamed:
            yield (
                f"{counted(self.renamed, 'file')} had another format; the name ends with .png "
                "now: set seg_map_suffix='.png' in the dataset"
            )
        if self.refused:
            yield "Refused files are not in the folder; see what --fix says that they need"


def _more(number: int, what: str, where: str) -> Iterator[str]:
    if number > _SHOWN:
        yield f"  and {counted(number - _SHOWN, f'more {what}')}, see {where}"


@dataclass
class _Tally:
    """Sums up entries, in bounded memory."""

    counts: dict[str, int] = field(default_factory=dict)
    changes: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        renamed = entry.did == "written" and entry.out != entry.name
        for name in (entry.did, *(["renamed"] if renamed else [])):
            self.counts[name] = self.counts.get(name, 0) + 1
        for old, new, pixels in entry.changes:
            key = (f"#{old:06x}" if entry.colors else str(old), new)
            both = self.changes.setdefault(key, [0, 0])
            both[0] += pixels
            both[1] += 1
        if len(self.changes) > 2 * _KEPT_IN_ALL:
            self.changes = dict(self._sorted()[:_KEPT_IN_ALL])
        if entry.why and len(self.refusals) < _KEPT:
            self.refusals.append((entry.name, entry.why))

    def _sorted(self) -> list[tuple[tuple[str, int], list[int]]]:
        return sorted(self.changes.items(), key=lambda item: (-item[1][0], item[0]))

    def report(self, out: str, recoding: Mapping[str, str]) -> RewriteReport:
        changes = [Change(*key, *both) for key, both in self._sorted()[:_KEPT_IN_ALL]]
        refusals = tuple(self.refusals)
        return RewriteReport(
            out, recoding, **self.counts, changes=tuple(changes), refusals=refusals
        )


@dataclass
class Log:
    """The log of a folder: what earlier runs did to it, and what this one does."""

    folder: Path
    _file: TextIO
    _done: set[int]
    _ours: set[int]
    _tally: _Tally

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, digests: frozenset[str], overwrite: bool) -> Iterator[Log]:
        """Read the log of a folder if it has one, and go on with it.

        Raises:
            FixkitError: the folder holds something else, or what a run with another recoding wrote.
            OSError: it cannot be written to.
        """
        path = folder / LOG
        if not overwrite:
            _check_folder(folder)
        (folder / SCRATCH).mkdir(parents=True, exist_ok=True)
        done: set[int] = set()
        ours: set[int] = set()
        tally = _Tally()
        fresh = folder / SCRATCH / LOG
        with fresh.open("w", encoding="utf-8") as new:
            for entry in () if overwrite else _entries(path):
                if not entry.has_new_file(folder):
                    continue
                _check_recoding(entry, digests, folder)
                if entry.has_source:
                    new.write(entry.line)
                    done.add(_key(entry.name))
                    tally.add(entry)
                else:
                    ours.add(_key(entry.name))
        put_in_place(fresh, path)
        (folder / REPORT).unlink(missing_ok=True)
        with path.open("a", encoding="utf-8", buffering=1) as file:
            yield cls(folder, file, done, ours, tally)

    def has(self, name: str) -> bool:
        """Whether an earlier run did this file, and neither it nor its copy changed since."""
        return _key(name) in self._done

    def is_ours(self, name: str) -> bool:
        """Whether an earlier run wrote the copy of a file that has changed since."""
        return _key(name) in self._ours

    def add(self, entry: Entry) -> None:
        """Remember what was done to a file."""
        self._file.write(entry.line)
        self._tally.add(entry)

    def finished(self, recoding: Mapping[str, str]) -> RewriteReport:
        """Return the report, after it is written beside the log."""
        report = self._tally.report(str(self.folder), recoding)
        text = json.dumps(report.as_dict(), indent=1)
        write_file(self.folder / REPORT, f"{text}\n")
        return report


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FixkitError(f"--out is {folder}, but that is a file; give a new folder")
    if folder.is_dir() and not (folder / LOG).exists() and any(_foreign(folder)):
        raise FixkitError(
            f"--out is {folder}, but it holds files already that no --fix wrote; give a new "
            "folder, or --overwrite"
        )


def _foreign(folder: Path) -> Sequence[str]:
    return [name for name in os.listdir(folder) if name != SCRATCH]


def _check_recoding(entry: Entry, digests: frozenset[str], folder: Path) -> None:
    if entry.recoding not in digests:
        raise FixkitError(
            f"--out is {folder}, but it holds files of another --fix, or of other classes; give a "
            "new folder, or --overwrite to write over them"
        )


def _entries(path: Path) -> Iterator[Entry]:
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from filter(None, map(Entry.of_line, file))


def _key(name: str) -> int:
    """Return a name as a number, which takes less memory."""
    text = name.encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
