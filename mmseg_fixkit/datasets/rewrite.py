"""``scan --fix``: corrected copies of label files in a new folder.

The call, as ``cli/scan.py`` makes it::

    recoding = parse_recoding(                 # label_files/recode.py, pure
        "palette,ignore",                      # the user's MODE text
        reading=reading,                       # of the split
        classes=stats.classes,
        palette=stats.palette,                 # the config's or the user's
        seen=stats.splits["train"].raw,        # `auto` needs it for 0/255
    )
    report = rewrite(files, out, recoding, root=root, jobs=jobs, progress=bar, overwrite=False)
    print(report.text())                       # report.refused > 0 -> exit code 1

The originals are only read. A new file is written beside its place, read back with Pillow,
compared, and then put in place in one step. A log in the folder says what was done to each file, so
that a run that was interrupted goes on where it was.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import Any, Callable, Optional, TextIO, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import lies_in, put_in_place, write_file, writing
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.core.palettes import as_hex
from mmseg_fixkit.core.parallel import cores, each
from mmseg_fixkit.core.text import counted, listed
from mmseg_fixkit.datasets.decode import PNG_SIGNATURE, Decoded, decode, png_chunk
from mmseg_fixkit.datasets.label_file import LabelFile, examine, is_local, read_bytes
from mmseg_fixkit.datasets.recode import LabelMapping, RewrittenLabel, recoded

_VOID = b"\xe0\xe0\xc0"  # the colour of values that a palette leaves out

Recodings = Union[LabelMapping, Mapping[str, LabelMapping]]


def rewrite(
    files: Iterable[LabelFile],
    out: Union[str, Path],
    recoding: Recodings,
    *,
    root: Union[str, Path, Sequence[Union[str, Path]]],
    jobs: Optional[int] = None,
    progress: Optional[Callable[[int], None]] = None,
    overwrite: bool = False,
) -> RewriteReport:
    """Write corrected copies of ``files`` to ``out``, and say what changed.

    Files in which nothing changes are copied byte for byte, so that ``out`` can take the place of
    ``root``. Files that are not PNG become PNG. Sizes never change.

    Args:
        files: the originals.
        out: the new folder; one that an earlier run began is gone on with.
        recoding: what to do; or one for each split.
        root: the folder that the names of files below ``out`` are relative to; or several.
        jobs: how many files at a time; None for one on each core.
        progress: is called with how many files are done.
        overwrite: whether files that are in ``out`` already are written over.

    Raises:
        FixkitError: ``out`` is a source folder, is within one, holds files of something else or of
            a run that did something else, or cannot be written; or a file is not below ``root``.
    """
    roots = [Path(root)] if isinstance(root, (str, Path)) else [Path(one) for one in root]
    target = Path(out)
    _check_places(target, roots)
    try:
        with writing(target), Log.opened(target, _digests(recoding), overwrite) as log:
            work = _Work(target, recoding, roots, overwrite, log)
            for number, entry in enumerate(_in_parallel(work, files, jobs), start=1):
                if entry is not None:
                    log.add(entry)
                if progress is not None:
                    progress(number)
            return log.finished(_texts(recoding))
    finally:
        shutil.rmtree(target / SCRATCH, ignore_errors=True)


def _check_places(out: Path, roots: Sequence[Path]) -> None:
    for root in roots:
        if lies_in(out, root):
            raise FixkitError(
                f"--out is {out}, but the label files to correct are in {root}; they stay as they "
                "are, so give a folder outside"
            )


def _digests(recoding: Recodings) -> frozenset[str]:
    return frozenset(one.digest for one in _several(recoding).values())


def _texts(recoding: Recodings) -> dict[str, str]:
    return {split: one.text for split, one in _several(recoding).items()}


def _several(recoding: Recodings) -> Mapping[str, LabelMapping]:
    return {"": recoding} if isinstance(recoding, LabelMapping) else recoding


def _in_parallel(
    work: _Work, files: Iterable[LabelFile], jobs: Optional[int]
) -> Iterator[Optional[Entry]]:
    """Yield what was done to each file, in their order; few of them are in memory at a time.

    Threads do: decoding, packing and inflating all run outside of Python's lock.
    """
    named = ((file, work.name(file)) for file in files)
    return each(lambda pair: work(*pair), named, jobs or cores(), "threads")


@dataclass
class _Work:
    """Does one file after the other; shared by all threads.

    Args:
        out, recoding, roots, overwrite: of :func:`rewrite`.
        log: what earlier runs did.
    """

    out: Path
    recoding: Recodings
    roots: Sequence[Path]
    overwrite: bool
    log: Log
    _numbers: Iterator[int] = field(default_factory=count)

    def name(self, file: LabelFile) -> str:
        """Return the name of a file below its root, with slashes."""
        path = Path(os.path.abspath(file.label))
        for root in self.roots:
            base = Path(os.path.abspath(root))
            if base in path.parents:
                return path.relative_to(base).as_posix()
        shown = listed([str(root) for root in self.roots], "or")
        raise FixkitError(f"{file.label} is not below {shown}, so it has no place in {self.out}")

    def __call__(self, file: LabelFile, name: str) -> Optional[Entry]:
        """Return what was done to a file; None if an earlier run did it."""
        if self.log.has(name):
            return None
        recoding = self._recoding(file)
        entry = Entry(name, file.label, recoding.digest)
        if not is_local(file.label, dict(recoding.reading.backend_args)):
            return entry.refused("it is not on this machine's disk")
        try:
            entry = entry.of_source(stamp(file.label))
            data = read_bytes(file.label)
            found = decode(data, recoding.reading.backend)
        except Exception:  # decoders raise what they like at broken files
            why = examine(file, recoding.reading.backend, with_image=False).error
            return entry.refused(why or "it cannot be read")
        new = recoded(found, recoding, anew=found.format != "PNG")
        if new.refused:
            return entry.refused(new.refused)
        return self._written(entry, data, found, new, recoding)

    def _recoding(self, file: LabelFile) -> LabelMapping:
        if isinstance(self.recoding, LabelMapping):
            return self.recoding
        return self.recoding[file.split]

    def _written(
        self, entry: Entry, data: bytes, found: Decoded, new: RewrittenLabel, recoding: LabelMapping
    ) -> Entry:
        copied = new.label is None
        name = entry.name if copied else _as_png(entry.name, found.format)
        target = self.out / name
        replace = self.overwrite or self.log.is_ours(entry.name)
        # A run that was interrupted may have written it, but not its line in the log.
        there = not replace and target.exists()
        if not there:
            if lies_in(target, *self.roots):
                return entry.refused(f"{target} is a link to an original, which stays as it is")
            content = data if new.label is None else _packed(found, new, recoding)
            there = not self._put(content, target, new, data, replace)
        if there and not _holds(target, new, data):
            return entry.refused(f"{target} is there already, and holds something else")
        return entry.done("copied" if copied else "written", name, stamp(target), new)

    def _put(
        self, content: bytes, target: Path, new: RewrittenLabel, data: bytes, replace: bool
    ) -> bool:
        """Write a file, read it back, and put it in place; False if there is one already."""
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.out / SCRATCH / f"{threading.get_ident()}-{next(self._numbers)}.png"
        scratch.write_bytes(content)
        try:
            if not _holds(scratch, new, data):
                raise OSError(f"{target} did not read back as it was written")
            return put_in_place(scratch, target, overwrite=replace)
        finally:
            scratch.unlink(missing_ok=True)


def _as_png(name: str, kind: str) -> str:
    return name if kind == "PNG" else str(Path(name).with_suffix(".png").as_posix())


def _packed(found: Decoded, new: RewrittenLabel, recoding: LabelMapping) -> bytes:
    assert new.label is not None
    return png(new.label, _palette(found, new, recoding))


def _palette(
    found: Decoded, new: RewrittenLabel, recoding: LabelMapping
) -> Optional[Sequence[Color]]:
    """Return the colours of a file that people knew by colours, if its values stay readable."""
    if recoding.reading.backend != "pillow" or not (new.colors or found.palette):
        return None  # OpenCV would decode the colours
    if recoding.palette is not None:
        return recoding.palette
    colors = found.palette
    if not colors:
        return None
    full = colors + _VOID * (256 - len(colors) // 3)
    return [(full[i], full[i + 1], full[i + 2]) for i in range(0, 768, 3)]


def _holds(path: Path, new: RewrittenLabel, data: bytes) -> bool:
    """Whether a file on disk is what was meant, as Pillow reads it."""
    if new.label is None:
        return path.read_bytes() == data
    try:
        with Image.open(path) as image:
            if image.format != "PNG" or image.mode not in ("L", "P"):
                return False
            return _equal(np.asarray(image), new.label)
    except Exception:  # a file of something else
        return False


def _equal(found: NDArray[np.uint8], meant: NDArray[np.uint8]) -> bool:
    return found.shape == meant.shape and bool((found == meant).all())


# --- what was done --------------------------------------------------------------------------------


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

    def done(self, did: str, out: str, now: Stamp, new: RewrittenLabel) -> Entry:
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
            key = (as_hex(old) if entry.colors else str(old), new)
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


# --- PNG ------------------------------------------------------------------------------------------


_UP = 2  # the filter that stores the difference to the pixel above (PNG specification, 9.2)
_GREY, _PALETTE = 0, 3


def png(
    label: NDArray[np.uint8], palette: Optional[Sequence[tuple[int, int, int]]] = None
) -> bytes:
    """Return a PNG file of one channel of 8 bit.

    What is above a pixel of a label map is mostly its own class, so the differences are runs of 0,
    for which zlib has a mode: as small as Pillow's default at a sixth of its time, see
    ``docs/benchmarks.md``.

    Args:
        label: (H, W).
        palette: a colour for each value; the file is then of mode P, and still holds the values.
    """
    height, width = label.shape
    rows = np.empty((height, width + 1), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = label[0]
    np.subtract(label[1:], label[:-1], out=rows[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    kind = _GREY if palette is None else _PALETTE
    colors = b"" if palette is None else png_chunk(b"PLTE", bytes(v for c in palette for v in c))
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    pixels = packer.compress(rows.data) + packer.flush()
    return b"".join(
        (
            PNG_SIGNATURE,
            png_chunk(b"IHDR", header),
            colors,
            png_chunk(b"IDAT", pixels),
            png_chunk(b"IEND", b""),
        )
    )
