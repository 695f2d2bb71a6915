"""The worst files of a scan as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Optional

from mmseg_fixkit.diagnostics import Diagnostic
from mmseg_fixkit.errors import FixkitError
from mmseg_fixkit.label_files import problems as kinds
from mmseg_fixkit.label_files.facts import LabelFile
from mmseg_fixkit.label_files.stats import SAME_FILE, SAME_LABEL, LabelStats, Offender
from mmseg_fixkit.reporters.markup import Child, Markup, join, tag
from mmseg_fixkit.reporters.scan_charts import hexed, name
from mmseg_fixkit.reporters.scan_pictures import FRAME, MARK, Picture, Read, overlay
from mmseg_fixkit.reporters.scan_rows import Fault, color_name, counted, faults, printable

#: Label file -> its image.
Images = Mapping[str, Optional[str]]

#: Of these there is nothing to see: the file is an image, or nothing is wrong inside it.
_NOT_DRAWN = frozenset({kinds.NO_LABEL, kinds.NO_IMAGE, kinds.UNUSED, SAME_FILE, SAME_LABEL})

#: Files whose contents are at fault as a whole: nothing in them is marked.
_NOT_MARKED = frozenset({kinds.JPEG, kinds.COLOUR, kinds.GREY, kinds.SIZE, kinds.IGNORED})

_VALUES = 5


@dataclass(frozen=True)
class Shot:
    """One file to draw, and the finding that it belongs to."""

    diagnostic: Diagnostic
    fault: Fault

    @property
    def marks(self) -> tuple[int, ...]:
        """The values of the file to mark."""
        if self.fault.problem in _NOT_MARKED:
            return ()
        values = tuple(value for value, _ in self.fault.offender.values)
        return (255,) if self.fault.problem == kinds.BINARY else values


def shots(stats: LabelStats, diagnostics: Sequence[Diagnostic], most: int) -> tuple[Shot, ...]:
    """Choose the files to draw: the worst of each finding, then the next of each, and so on.

    Args:
        stats: of the scan.
        diagnostics: its findings.
        most: how many files in all.
    """
    queues = [[Shot(d, f) for f in faults(stats, d) if _drawn(f)] for d in diagnostics]
    rounds = (shot for turn in zip_longest(*queues) for shot in turn if shot is not None)
    once: dict[str, Shot] = {}
    for shot in rounds:
        once.setdefault(shot.fault.offender.file, shot)
    chosen = list(once.values())[:most]
    order = [d.code for d in diagnostics]
    return tuple(sorted(chosen, key=lambda shot: order.index(shot.diagnostic.code)))


def images_of(chosen: Sequence[Shot], files: Iterable[LabelFile]) -> Images:
    """Find the images of the files to draw among all files of a scan."""
    wanted = {shot.fault.offender.file for shot in chosen}
    return {file.label: file.image for file in files if file.label in wanted} if wanted else {}


def _drawn(fault: Fault) -> bool:
    return fault.problem not in _NOT_DRAWN


def gallery(stats: LabelStats, chosen: Sequence[Shot], images: Images, read: Read) -> Markup:
    """Return a figure for each file."""
    return tag("div", *(_figure(stats, shot, images, read) for shot in chosen), class_="gallery")


def _figure(stats: LabelStats, shot: Shot, images: Images, read: Read) -> Markup:
    path = shot.fault.offender.file
    try:
        picture = overlay(stats, path, images.get(path), bad=shot.marks, read=read)
    except FixkitError as reason:
        return _framed(shot, _placeholder(), f"not drawn: {reason}")
    return _framed(shot, _shown(picture, path), _legend(picture))


def _framed(shot: Shot, picture: Markup, legend: Child) -> Markup:
    fault = shot.fault
    code = tag("a", shot.diagnostic.code, href=f"#{shot.diagnostic.code}", class_="code")
    split = tag("span", name(fault.split), class_="muted") if fault.split else ""
    told = told_of(fault)
    caption = tag(
        "figcaption",
        tag("div", code, " ", fault.problem, " ", split, class_="figure-head"),
        tag("div", path_of(fault.offender.file), class_="path"),
        tag("div", told, class_="told") if told else "",
        tag("div", legend, class_="muted"),
    )
    return tag("figure", picture, caption, class_="card")


def path_of(path: str) -> Markup:
    """Return a path that may be broken behind each slash."""
    parts = printable(path).split("/")
    return tag("bdi", Markup("/<wbr>".join(join(part) for part in parts)))


def told_of(fault: Fault) -> Markup:
    """Return the values at fault with their pixels, or what else there is to say."""
    offender = fault.offender
    parts: list[Child] = list(_values(offender, fault.problem == kinds.COLOUR))
    if offender.text:
        parts.insert(0, tag("span", printable(offender.text)))
    return join(*(part for pair in zip_longest(parts, [" "] * len(parts)) for part in pair))


def _values(offender: Offender, as_colors: bool) -> Iterator[Markup]:
    for value, number in offender.values[:_VALUES]:
        text = color_name(value) if as_colors else str(value)
        square = _square(text) if as_colors else ""
        yield tag("span", square, tag("b", text), f" {counted(number, 'pixel')}", class_="chip")
    if len(offender.values) > _VALUES:
        yield tag("span", f"and {len(offender.values) - _VALUES:,} more", class_="muted")


def _square(color: str) -> Markup:
    square = tag("rect", width=14, height=14, rx=3, fill=color)
    return tag("svg", square, class_="swatch", viewBox="0 0 14 14", aria_hidden="true")


def _shown(picture: Picture, path: str) -> Markup:
    file = printable(path).rsplit("/", 1)[-1]
    seen = f"{counted(picture.marked, 'pixel')} marked" if picture.marked else "nothing marked"
    image = tag(
        "img",
        src=picture.url,
        width=picture.width,
        height=picture.height,
        alt=f"Labels of {file}, {seen}",
    )
    return tag("button", image, type="button", class_="zoom", aria_label=f"Enlarge {file}")


def _legend(picture: Picture) -> Markup:
    parts: list[Child] = []
    if picture.marked:
        parts += [_square(hexed(MARK)), f" {counted(picture.marked, 'pixel')} at fault; "]
    if picture.framed:
        parts += [_square(hexed(FRAME)), " where the labels end; "]
    return join(*parts, "labels over the image" if picture.with_image else "labels as they are")


def _placeholder() -> Markup:
    torn = "M150 60h70l40 40v100h-110zM220 60v40h40M165 150l18 12 18-16 18 16 26-14"
    drawing = tag("path", d=torn, class_="torn")
    return tag("svg", drawing, class_="placeholder", viewBox="0 0 410 260", role="img",
               aria_label="a torn page: the file is not drawn")  # fmt: skip
