"""``scan --fix``: corrected copies of label files in a new folder.

The call, as ``cli/scan.py`` makes it::

    recoding = parse_recoding(                 # label_files/modes.py, pure
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

import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Callable, Optional, Union

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_fixkit.core.files import lies_in, put_in_place, writing
from mmseg_fixkit.core.parallel import cores, each
from mmseg_fixkit.core.text import listed
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files.decode import Decoded, decode
from mmseg_fixkit.label_files.examine import examine, is_local, read_bytes
from mmseg_fixkit.label_files.facts import LabelFile
from mmseg_fixkit.label_files.pixels import NewLabel, recoded
from mmseg_fixkit.label_files.png import png
from mmseg_fixkit.label_files.recode import Recoding
from mmseg_fixkit.label_files.rewrite_log import (
    SCRATCH,
    Entry,
    Log,
    RewriteReport,
    stamp,
)
from mmseg_fixkit.labels import Color

_VOID = b"\xe0\xe0\xc0"  # the colour of values that a palette leaves out

Recodings = Union[Recoding, Mapping[str, Recoding]]


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


def _several(recoding: Recodings) -> Mapping[str, Recoding]:
    return {"": recoding} if isinstance(recoding, Recoding) else recoding


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

    def _recoding(self, file: LabelFile) -> Recoding:
        if isinstance(self.recoding, Recoding):
            return self.recoding
        return self.recoding[file.split]

    def _written(
        self, entry: Entry, data: bytes, found: Decoded, new: NewLabel, recoding: Recoding
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

    def _put(self, content: bytes, target: Path, new: NewLabel, data: bytes, replace: bool) -> bool:
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


def _packed(found: Decoded, new: NewLabel, recoding: Recoding) -> bytes:
    assert new.label is not None
    return png(new.label, _palette(found, new, recoding))


def _palette(found: Decoded, new: NewLabel, recoding: Recoding) -> Optional[Sequence[Color]]:
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


def _holds(path: Path, new: NewLabel, data: bytes) -> bool:
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
