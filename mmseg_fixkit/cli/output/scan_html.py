"""A scan as one page of HTML that needs nothing else: no network, no fonts, no other scripts.

The page is ``scan_page.html.jinja``; what stands on it is prepared here and in the modules beside.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files as resources
from typing import Any, Optional

from jinja2 import Environment, StrictUndefined, Template

import mmseg_fixkit
from mmseg_fixkit.cli.output import scan_rows as rows
from mmseg_fixkit.cli.output.markdown import blocks, code_spans
from mmseg_fixkit.cli.output.scan_charts import (
    MOST_COLORS,
    bar_lengths,
    distributions,
    most_frequent,
)
from mmseg_fixkit.cli.output.scan_gallery import MOST_VALUES, WorstFile, drawings, worst_files
from mmseg_fixkit.cli.output.scan_images import FRAME, MARK, Read, read_bytes
from mmseg_fixkit.cli.output.scan_matrix import class_matrix
from mmseg_fixkit.cli.output.scan_rows import Fault, percent, short
from mmseg_fixkit.cli.output.text import verdict
from mmseg_fixkit.core.diagnostics import Diagnostic, Severity
from mmseg_fixkit.core.rule import Rule
from mmseg_fixkit.core.text import counted, printable
from mmseg_fixkit.datasets import problems as kinds
from mmseg_fixkit.datasets.label_file import LabelFile
from mmseg_fixkit.datasets.stats import LabelStats
from mmseg_fixkit.rules import all_rules

#: Images on a page, unless the caller says otherwise.
MOST_IMAGES = 12

_MOST_FILES = 20

#: What the template is written with, besides the data of a scan.
_FILTERS = (
    bar_lengths, blocks, code_spans, counted, most_frequent, percent, printable, short,
    rows.color_name, rows.hexed, rows.unpacked,
)  # fmt: skip
_CONSTANTS = dict(
    CLASS=rows.CLASS, COLOR=rows.COLOR, COLOUR_MASK=kinds.COLOUR, FRAME=FRAME, MARK=MARK,
    MOST_COLORS=MOST_COLORS, MOST_VALUES=MOST_VALUES,
)  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A figure at the head of the page; ``state`` colours it."""

    title: str
    figure: str
    words: str
    state: str = ""


@dataclass(frozen=True)
class Finding:
    """A finding with its rule, if that is one of ours, and its files."""

    diagnostic: Diagnostic
    rule: Optional[Rule]
    first: bool  # of its code: links lead to it
    drawn: bool  # whether some of its files are
    faults: tuple[Fault, ...]  # the worst of its files
    files: int  # how many it has


def scan_html(
    stats: LabelStats,
    diagnostics: Sequence[Diagnostic],
    *,
    files: Iterable[LabelFile] = (),
    images: int = MOST_IMAGES,
    read: Read = read_bytes,
) -> str:
    """Return the page of a scan.

    At most ``images`` files are drawn, of up to 60 kB each, over their images where ``files``
    have these; ``read`` gets at their bytes.
    """
    chosen = worst_files(stats, diagnostics, images)
    return _template().render(
        version=mmseg_fixkit.__version__,
        style=_resource("css"),
        script=_resource("js"),
        stats=stats,
        subtitle=_subtitle(stats),
        sections=_sections(stats, chosen),
        tiles=_tiles(stats, diagnostics),
        findings=_findings(stats, diagnostics, chosen),
        drawings=drawings(stats, chosen, files, read),
        distributions=distributions(stats),
        matrix=class_matrix(stats),
    )


def _template() -> Template:
    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_finalized,
    )
    environment.filters.update({each.__name__: each for each in _FILTERS})
    environment.filters.update(hash=_hash, thousands="{:,}".format)
    environment.globals.update(_CONSTANTS)
    return environment.from_string(_resource("html.jinja"))


def _finalized(value: Any) -> Any:
    """Make text printable, unless it is HTML already."""
    return printable(value) if type(value) is str else value


def _resource(kind: str) -> str:
    return resources(__package__).joinpath(f"scan_page.{kind}").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's content security policy allows: this text and no other."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _sections(stats: LabelStats, chosen: Sequence[WorstFile]) -> dict[str, str]:
    counted_any = any(split.files for split in stats.splits.values())
    classes = {"classes": "Classes", "together": "Classes that meet", "sizes": "Sizes and modes"}
    return {
        "findings": "Findings",
        **({"files": "Worst files"} if chosen else {}),
        **(classes if counted_any else {}),
    }


def _subtitle(stats: LabelStats) -> str:
    found = [f"{count.files:,} {split}".strip() for split, count in stats.splits.items()]
    reading = rows.readings(stats)
    return f"{' + '.join(found) or 'no'} files{f'; read with {reading}' if reading else ''}"


def _tiles(stats: LabelStats, diagnostics: Sequence[Diagnostic]) -> Iterator[Tile]:
    splits = stats.splits.values()
    files = sum(split.files for split in splits)
    labels = sum(sum(split.labels.values()) for split in splits)
    ignored = sum(split.labels.get(stats.ignore_index, 0) for split in splits)
    bad = len({f.bad_file.file for d in diagnostics for f in rows.faults(stats, d)})
    yield Tile("Findings", f"{len(diagnostics):,}", verdict(diagnostics), _state(diagnostics))
    yield Tile("Files", f"{files:,}", f"{bad:,}{'+' * (bad >= 200)} with a fault" if bad else "")
    yield Tile("Pixels", short(sum(map(rows.pixels, splits))), "")
    yield _classes_tile(stats)
    share = ignored / labels if labels else 0.0
    yield Tile("Ignored", percent(share), f"label {stats.ignore_index}")
    sizes = sorted({size for split in splits for size in split.shapes})
    yield Tile("Sizes", f"{len(sizes):,}", sizes[0] if len(sizes) == 1 else "height x width")


def _state(diagnostics: Sequence[Diagnostic]) -> str:
    if any(d.severity is Severity.ERROR for d in diagnostics):
        return "error"
    return "warning" if diagnostics else "good"


def _classes_tile(stats: LabelStats) -> Tile:
    if stats.num_classes is None:
        found = {n for split in stats.splits.values() for n in split.labels}
        return Tile("Labels", f"{len(found - {stats.ignore_index}):,}", "classes not known")
    splits = [split for split in stats.splits.values() if split.labels]
    nowhere = set.intersection(*(set(rows.absent(stats, s)) for s in splits)) if splits else set()
    words = f"{len(nowhere):,} in no file" if nowhere else "all occur" if splits else ""
    return Tile("Classes", f"{stats.num_classes:,}", words)


def _findings(
    stats: LabelStats, diagnostics: Sequence[Diagnostic], chosen: Sequence[WorstFile]
) -> list[Finding]:
    rules = {rule.code: rule for rule in all_rules()}
    codes = [found.code for found in diagnostics]
    return [
        Finding(
            found,
            rules.get(found.code),
            first=found.code not in codes[:number],
            drawn=any(file.diagnostic is found for file in chosen),
            faults=rows.faults(stats, found)[:_MOST_FILES],
            files=sum(problem.files for _, _, problem in rows.problems_of(stats, found)),
        )
        for number, found in enumerate(diagnostics)
    ]
