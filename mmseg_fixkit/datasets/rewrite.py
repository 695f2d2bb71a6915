"""``scan --fix``: corrected copies of label files in a new folder.

The originals are only read, by two libraries where both are installed: OpenCV and Pillow. A new
file is written to a folder of its own, read back by the one that did not give its values, compared
with what it is to hold, and then put in place in one step. What cannot be proved so is refused. A
manifest in the new folder has a line for each file,
so that a run that was interrupted goes on where it was, and ends with the report.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional, TextIO, Union

import numpy as np
from numpy.typing import NDArray

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.files import lies_in, put_in_place, temporary_next_to, writing
from mmseg_fixkit.core.labels import Color
from mmseg_fixkit.core.palettes import as_hex
from mmseg_fixkit.core.parallel import cores, each
from mmseg_fixkit.core.text import counted, listed, printable
from mmseg_fixkit.datasets.decode import (
    PNG_SIGNATURE,
    Decoded,
    decode,
    decode_again,
    png_chunk,
    same_pixels,
)
from mmseg_fixkit.datasets.label_file import LabelFile, examine, is_local, read_bytes
from mmseg_fixkit.datasets.recode import (
    VOID,
    Changes,
    LabelMapping,
    RewrittenLabel,
    expected,
    recoded,
)

AnyPath = Union[str, Path]

#: In the new folder: one line of JSON for each file, and one with the report.
MANIFEST = "mmseg-fix.jsonl"
#: Where files are written before they take their places.
SCRATCH = ".mmseg-fix"


def rewrite(
    files: Iterable[LabelFile],
    out: AnyPath,
    recoding: Union[LabelMapping, Mapping[str, LabelMapping]],
    *,
    root: Union[AnyPath, Sequence[AnyPath]],
    jobs: Optional[int] = None,
    progress: Optional[Callable[[int], None]] = None,
    overwrite: bool = False,
) -> RewriteReport:
    """Write corrected copies of ``files`` to ``out``, and return what changed.

    Files in which nothing changes are copied byte for byte, so that ``out`` can take the place of
    ``root``, one folder or several, that names below ``out`` are relative to. Files that are not
    PNG become PNG. Sizes never change. ``recoding`` may be one for each split. What an earlier run
    began is gone on with; files that are there are only written over with ``overwrite``.

    Raises:
        FixkitError: ``out`` is a source folder, is within one, holds files of something else or of
            a run that did something else, or cannot be written; or a file is not below ``root``.
    """
    roots = [Path(root)] if isinstance(root, (str, Path)) else [Path(one) for one in root]
    target = Path(out)
    for one in roots:
        if lies_in(target, one):
            raise FixkitError(
                f"--out is {target}, but the label files to correct are in {one}; they stay as "
                "they are, so give a folder outside"
            )
    mappings = [recoding] if isinstance(recoding, LabelMapping) else recoding.values()
    digests = frozenset(mapping.digest for mapping in mappings)
    try:
        with writing(target), Manifest.opened(target, digests, overwrite) as manifest:
            work = _Work(target, recoding, roots, overwrite, manifest)
            named = ((file, work.name(file)) for file in files)
            # Threads do: decoding, packing and inflating all run outside of Python's lock.
            entries = each(lambda pair: work(*pair), named, jobs or cores(), "threads")
            for number, entry in enumerate(entries, start=1):
                if entry is not None:
                    manifest.add(entry)
                if progress is not None:
                    progress(number)
            return manifest.finished(str(target))
    finally:
        shutil.rmtree(target / SCRATCH, ignore_errors=True)


@dataclass(frozen=True)
class _Work:
    """Does one file after the other; shared by all threads."""

    out: Path
    recoding: Union[LabelMapping, Mapping[str, LabelMapping]]
    roots: Sequence[Path]
    overwrite: bool
    manifest: Manifest

    def name(self, file: LabelFile) -> str:
        """Return the name of a file below its root, with slashes."""
        if file.fault:
            return file.label  # it is refused, wherever it is
        path = Path(os.path.abspath(file.label))
        for root in self.roots:
            base = Path(os.path.abspath(root))
            if base in path.parents:
                return path.relative_to(base).as_posix()
        shown = listed([str(root) for root in self.roots], "or")
        raise FixkitError(f"{file.label} is not below {shown}, so it has no place in {self.out}")

    def __call__(self, file: LabelFile, name: str) -> Optional[ManifestEntry]:
        """Return what was done to a file; None if an earlier run did it."""
        if name in self.manifest.done:
            return None
        known = self.recoding
        recoding = known if isinstance(known, LabelMapping) else known[file.split]
        entry = ManifestEntry(name, file.label, recoding.digest)
        if not is_local(file.label, dict(recoding.reading.backend_args)):
            return entry.refused("it is not on this machine's disk")
        try:
            entry = replace(entry, was=_stamp(file.label))
            data = b"" if file.fault else read_bytes(file.label)
            found = decode(data, recoding.reading.backend)
        except Exception:  # decoders raise what they like at broken files
            why = examine(file, recoding.reading.backend, with_image=False).error
            return entry.refused(why or "it cannot be read")
        new = recoded(found, recoding, always=found.format != "PNG")
        why = new.refused or _doubt(data, found, new)
        if why:
            return entry.refused(why)
        return self._written(entry, data, found, new, recoding)

    def _written(
        self,
        entry: ManifestEntry,
        data: bytes,
        found: Decoded,
        new: RewrittenLabel,
        recoding: LabelMapping,
    ) -> ManifestEntry:
        name = entry.name
        if new.label is not None and found.format != "PNG":
            name = Path(name).with_suffix(".png").as_posix()
        target = self.out / name
        may_replace = self.overwrite or name in self.manifest.replaceable
        # A run that was interrupted may have written it, but not its line in the manifest.
        there = not may_replace and target.exists()
        if not there:
            if lies_in(target, *self.roots):
                return entry.refused(f"{target} is a link to an original, which stays as it is")
            content = data if new.label is None else png(new.label, _palette(found, new, recoding))
            there = not self._put(content, target, found, new, may_replace)
        if there and not _holds(target, found, new, data):
            return entry.refused(f"{target} is there already, and holds something else")
        return entry.done("copied" if new.label is None else "written", name, _stamp(target), new)

    def _put(
        self,
        content: bytes,
        target: Path,
        found: Decoded,
        new: RewrittenLabel,
        may_replace: bool,
    ) -> bool:
        """Write a file, read it back, and put it in place; False if there is one already."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_next_to(self.out / SCRATCH / target.name, content) as temporary:
            if not _holds(temporary, found, new, content):
                raise OSError(f"{target} did not read back as it was written")
            return put_in_place(temporary, target, overwrite=may_replace)


def _palette(
    found: Decoded, new: RewrittenLabel, recoding: LabelMapping
) -> Optional[Sequence[Color]]:
    """Return the colours of a file that people knew by colours, if its values stay readable."""
    if recoding.reading.backend != "pillow" or not (new.colors or found.palette):
        return None  # OpenCV would decode the colours
    if recoding.palette is not None or not found.palette:
        return recoding.palette
    full = found.palette + bytes(VOID) * (256 - len(found.palette) // 3)
    return [(full[i], full[i + 1], full[i + 2]) for i in range(0, 768, 3)]


def _doubt(data: bytes, found: Decoded, new: RewrittenLabel) -> str:
    """Return why it is not proved what a file to be rewritten holds; nothing if it is."""
    if new.label is None:
        return ""  # it is copied
    try:
        again = decode_again(data, found.library)
    except Exception as error:
        return f"only one of OpenCV and Pillow reads it, so nothing proves its values: {error}"
    if not same_pixels(found, again):
        return "OpenCV and Pillow do not read the same from it, so nothing proves its values"
    return ""


def _holds(path: Path, found: Decoded, new: RewrittenLabel, data: bytes) -> bool:
    """Whether a file on disk is what was meant; ``data`` is that of a copy."""
    try:
        content = path.read_bytes()
        if new.label is None:
            return content == data
        written = decode_again(content, found.library)
        whole = written.format == "PNG" and written.mode in ("L", "P")
        return whole and np.array_equal(written.array, expected(found, new))
    except Exception:  # a file of something else
        return False


# --- what was done --------------------------------------------------------------------------------


_MAX_CHANGES = 256  # of one file, and refusals, that are kept
_MAX_CHANGES_IN_ALL = 4096
_SHOWN = 10  # changes and refusals that the text shows


def _stamp(path: AnyPath) -> Optional[tuple[int, int]]:
    """Return size and time of a file, which tell whether it is still the same; None without it."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class ManifestEntry:
    """What was done to one file."""

    name: str  # below its root
    source: str  # its path
    recoding: str  # the digest of what was to be done
    was: Optional[tuple[int, int]] = None  # size and time of the source
    did: str = ""  # ``written``, ``copied`` or ``refused``
    out: str = ""  # its name below the new folder
    now: Optional[tuple[int, int]] = None  # size and time of the new file
    changes: Changes = ()  # ``(old value or colour, new value, pixels)``
    colors: bool = False  # the old ones are colours, ``0xRRGGBB``
    why: str = ""  # it was refused

    def refused(self, why: str) -> ManifestEntry:
        """Return it with why there is no new file."""
        return replace(self, did="refused", why=why)

    def done(
        self, did: str, out: str, now: Optional[tuple[int, int]], new: RewrittenLabel
    ) -> ManifestEntry:
        """Return it with the new file."""
        changes = new.changes[:_MAX_CHANGES]
        return replace(self, did=did, out=out, now=now, changes=changes, colors=new.colors)

    @property
    def line(self) -> str:
        """As the manifest has it."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Optional[ManifestEntry]:
        """Read a line; None if it was cut off, or is the report."""
        try:
            found = json.loads(line)
            pairs = {key: tuple(found[key] or ()) or None for key in ("was", "now")}
            changes = tuple(tuple(change) for change in found["changes"])
            return cls(**{**found, **pairs, "changes": changes})
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Change:
    """One value that became another."""

    old: str  # as text, ``7`` or ``#804080``
    new: int
    pixels: int
    files: int  # in how many


@dataclass(frozen=True)
class RewriteReport:
    """What ``scan --fix`` did to all files."""

    out: str  # the new folder
    written: int = 0  # files with other values, or in another format
    copied: int = 0  # files that stayed as they are
    refused: int = 0  # files that were left out
    renamed: int = 0  # files whose name ends with ``.png`` now
    changes: tuple[Change, ...] = ()  # the most frequent first
    refusals: tuple[tuple[str, str], ...] = ()  # ``(file, why)``, the first of them

    @property
    def files(self) -> int:
        """How many there were."""
        return self.written + self.copied + self.refused

    def text(self) -> str:
        """Return the report for people."""
        return "\n".join(map(printable, self._lines()))

    def _lines(self) -> Iterator[str]:
        yield (
            f"{self.out}: {counted(self.written, 'file')} rewritten, {self.copied} copied as "
            f"they are, {self.refused} refused"
        )
        width = max((len(change.old) for change in self.changes), default=0)
        yield from (
            f"  {c.old:>{width}} -> {c.new:<3}  {counted(c.pixels, 'pixel')} in "
            f"{counted(c.files, 'file')}"
            for c in self.changes[:_SHOWN]
        )
        yield from _more(len(self.changes), "value")
        yield from (f"  refused: {file}: {why}" for file, why in self.refusals[:_SHOWN])
        yield from _more(self.refused, "refused file")
        if self.renamed:
            yield (
                f"{counted(self.renamed, 'file')} had another format; the name ends with .png "
                "now: set seg_map_suffix='.png' in the dataset"
            )
        if self.refused:
            yield "Refused files are not in the folder; see what --fix says that they need"


def _more(number: int, what: str) -> Iterator[str]:
    if number > _SHOWN:
        yield f"  and {counted(number - _SHOWN, f'more {what}')}, see {MANIFEST}"


@dataclass
class _Summary:
    """Sums up entries, in bounded memory."""

    counts: dict[str, int] = field(default_factory=dict)
    changes: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    refusals: list[tuple[str, str]] = field(default_factory=list)

    def add(self, entry: ManifestEntry) -> None:
        renamed = entry.did == "written" and entry.out != entry.name
        for name in (entry.did, *(["renamed"] if renamed else [])):
            self.counts[name] = self.counts.get(name, 0) + 1
        for old, new, pixels in entry.changes:
            key = (as_hex(old) if entry.colors else str(old), new)
            both = self.changes.setdefault(key, [0, 0])
            both[0] += pixels
            both[1] += 1
        if len(self.changes) > 2 * _MAX_CHANGES_IN_ALL:
            self.changes = dict(self._most_frequent())
        if entry.why and len(self.refusals) < _MAX_CHANGES:
            self.refusals.append((entry.name, entry.why))

    def _most_frequent(self) -> list[tuple[tuple[str, int], list[int]]]:
        found = sorted(self.changes.items(), key=lambda item: (-item[1][0], item[0]))
        return found[:_MAX_CHANGES_IN_ALL]

    def report(self, out: str) -> RewriteReport:
        changes = tuple(Change(*key, *both) for key, both in self._most_frequent())
        return RewriteReport(out, **self.counts, changes=changes, refusals=tuple(self.refusals))


@dataclass
class Manifest:
    """What earlier runs did to a folder, and what this one does."""

    done: set[str] = field(default_factory=set)  # files of an earlier run, unchanged since
    replaceable: set[str] = field(default_factory=set)  # its copies of files that changed since
    summary: _Summary = field(default_factory=_Summary)  # of all that was done
    _file: Optional[TextIO] = None

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, digests: frozenset[str], overwrite: bool) -> Iterator[Manifest]:
        """Read the manifest of a folder if it has one, and go on with it.

        Raises FixkitError if the folder holds something else, or what a run with another mapping
        wrote; OSError if it cannot be written to.
        """
        path = folder / MANIFEST
        if not overwrite:
            _check_folder(folder)
        (folder / SCRATCH).mkdir(parents=True, exist_ok=True)
        manifest = cls()
        with temporary_next_to(folder / SCRATCH / MANIFEST) as temporary:
            with temporary.open("w", encoding="utf-8", buffering=1) as manifest._file:
                for entry in () if overwrite else _entries(path):
                    manifest._carry(entry, folder, digests)
            put_in_place(temporary, path)
        with path.open("a", encoding="utf-8", buffering=1) as manifest._file:
            yield manifest

    def _carry(self, entry: ManifestEntry, folder: Path, digests: frozenset[str]) -> None:
        """Take over what is known of a copy that is still as it was written."""
        if entry.did == "refused" or entry.now is None or _stamp(folder / entry.out) != entry.now:
            return
        if entry.recoding not in digests:
            raise FixkitError(
                f"--out is {folder}, but it holds files of another --fix, or of other classes; "
                "give a new folder, or --overwrite to write over them"
            )
        if entry.was == _stamp(entry.source):
            self.done.add(entry.name)
            self.add(entry)
        else:
            self.replaceable.add(entry.out)

    def add(self, entry: ManifestEntry) -> None:
        """Write down what was done to a file."""
        assert self._file is not None
        self._file.write(entry.line)
        self.summary.add(entry)

    def finished(self, out: str) -> RewriteReport:
        """Return the report, after it is written as the last line."""
        assert self._file is not None
        report = self.summary.report(out)
        self._file.write(json.dumps({"files": report.files, **asdict(report)}) + "\n")
        return report


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FixkitError(f"--out is {folder}, but that is a file; give a new folder")
    if folder.is_dir() and not (folder / MANIFEST).exists() and set(os.listdir(folder)) - {SCRATCH}:
        raise FixkitError(
            f"--out is {folder}, but it holds files already that no --fix wrote; give a new "
            "folder, or --overwrite"
        )


def _entries(path: Path) -> Iterator[ManifestEntry]:
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from filter(None, map(ManifestEntry.of_line, file))


# --- PNG ------------------------------------------------------------------------------------------


_UP = 2  # the filter that stores the difference to the pixel above (PNG specification, 9.2)
_GREY, _PALETTE = 0, 3


def png(label: NDArray[np.uint8], palette: Optional[Sequence[Color]] = None) -> bytes:
    """Return a PNG file of one channel of 8 bit, (H, W); of mode P with a ``palette``.

    What is above a pixel of a label map is mostly its own class, so the differences are runs of 0,
    for which zlib has a mode: as small as Pillow's default at a sixth of its time, see
    ``docs/benchmarks.md``.
    """
    height, width = label.shape
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = label[0]
    np.subtract(label[1:], label[:-1], out=rows[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    kind = _GREY if palette is None else _PALETTE
    colors = b"" if palette is None else png_chunk(b"PLTE", bytes(v for c in palette for v in c))
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    pixels = packer.compress(rows.data) + packer.flush()
    start, image = png_chunk(b"IHDR", header), png_chunk(b"IDAT", pixels)
    return b"".join((PNG_SIGNATURE, start, colors, image, png_chunk(b"IEND", b"")))
