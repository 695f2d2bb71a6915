"""A scan as one page of HTML that needs nothing else: no network, no fonts, no other scripts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.resources import files as resources
from string import Template
from typing import Optional

import mmseg_fixkit
from mmseg_fixkit.diagnostics import Diagnostic, Severity
from mmseg_fixkit.label_files.facts import LabelFile
from mmseg_fixkit.label_files.stats import LabelStats
from mmseg_fixkit.registry import Rule, all_rules
from mmseg_fixkit.reporters import scan_charts, scan_matrix
from mmseg_fixkit.reporters.markup import Markup, inline, join, prose, tag
from mmseg_fixkit.reporters.scan_charts import name
from mmseg_fixkit.reporters.scan_gallery import (
    Shot,
    gallery,
    images_of,
    path_of,
    shots,
    told_of,
)
from mmseg_fixkit.reporters.scan_pictures import Read, read_bytes
from mmseg_fixkit.reporters.scan_rows import (
    Fault,
    absent,
    counted,
    faults,
    percent,
    pixels,
    printable,
    problems_of,
    readings,
    short,
    verdict,
)

#: Pictures on a page, unless the caller says otherwise.
PICTURES = 12

_MOST_FILES = 20
_EXPLAINED = ("Why is this bad?", "Use instead", "Fix safety")


def scan_html(
    stats: LabelStats,
    diagnostics: Sequence[Diagnostic],
    *,
    files: Iterable[LabelFile] = (),
    pictures: int = PICTURES,
    read: Read = read_bytes,
) -> str:
    """Return the page of a scan.

    Args:
        stats: of the scan.
        diagnostics: its findings.
        files: of the scan, to find the images of those that are drawn; without them label maps
            are drawn on their own.
        pictures: how many files to draw at most; each has up to 60 kB.
        read: how to get at the bytes of a file.
    """
    chosen = shots(stats, diagnostics, pictures)
    style, script = _resource("css"), _resource("js")
    pictured = gallery(stats, chosen, images_of(chosen, files), read) if chosen else None
    sections = _sections(stats, diagnostics, chosen, pictured)
    return Template(_resource("html")).substitute(
        title=join(f"Labels of {printable(stats.source)}"),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        source=path_of(stats.source),
        subtitle=_subtitle(stats),
        links=join(*(_link(key, title) for key, title, _ in sections)),
        tiles=join(*_tiles(stats, diagnostics)),
        sections=join(*(_section(*section) for section in sections)),
        version=join(mmseg_fixkit.__version__),
    )


def _resource(kind: str) -> str:
    return resources(__package__).joinpath(f"scan_page.{kind}").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's content security policy allows: this text and no other."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _sections(
    stats: LabelStats,
    diagnostics: Sequence[Diagnostic],
    chosen: Sequence[Shot],
    pictured: Optional[Markup],
) -> list[tuple[str, str, Markup]]:
    sections = [("findings", "Findings", _findings(stats, diagnostics, chosen))]
    if pictured is not None:
        sections.append(("files", "Worst files", pictured))
    if any(split.files for split in stats.splits.values()):
        sections += [
            ("classes", "Classes", _classes(stats)),
            ("together", "Classes that meet", scan_matrix.together(stats)),
            ("sizes", "Sizes and modes", tag("div", scan_charts.files(stats), class_="cards")),
        ]
    return sections


def _link(key: str, title: str) -> Markup:
    return tag("a", title, href=f"#{key}")


def _section(key: str, title: str, body: Markup) -> Markup:
    heading = tag("h2", title, id=f"{key}-title")
    return tag("section", heading, body, id=key, aria_labelledby=f"{key}-title")


def _subtitle(stats: LabelStats) -> Markup:
    found = [f"{count.files:,} {split}".strip() for split, count in stats.splits.items()]
    words = [" + ".join(found) or "no", " files"]
    reading = readings(stats)
    text = f"{printable(''.join(words))}{f'; read with {printable(reading)}' if reading else ''}"
    return join(text)


def _tiles(stats: LabelStats, diagnostics: Sequence[Diagnostic]) -> Iterator[Markup]:
    splits = stats.splits.values()
    files = sum(split.files for split in splits)
    labels = sum(sum(split.labels.values()) for split in splits)
    ignored = sum(split.labels.get(stats.ignore_index, 0) for split in splits)
    bad = len({f.offender.file for d in diagnostics for f in faults(stats, d)})
    yield _tile("Findings", f"{len(diagnostics):,}", verdict(diagnostics), _state(diagnostics))
    yield _tile("Files", f"{files:,}", f"{bad:,}{'+' * (bad >= 200)} with a fault" if bad else "")
    yield _tile("Pixels", short(sum(map(pixels, splits))), "")
    yield _classes_tile(stats)
    share = ignored / labels if labels else 0.0
    yield _tile("Ignored", percent(share), f"label {stats.ignore_index}")
    sizes = sorted({size for split in splits for size in split.shapes})
    yield _tile("Sizes", f"{len(sizes):,}", sizes[0] if len(sizes) == 1 else "height x width")


def _state(diagnostics: Sequence[Diagnostic]) -> str:
    if any(d.severity is Severity.ERROR for d in diagnostics):
        return "error"
    return "warning" if diagnostics else "good"


def _classes_tile(stats: LabelStats) -> Markup:
    if stats.num_classes is None:
        found = {n for split in stats.splits.values() for n in split.labels}
        return _tile("Labels", f"{len(found - {stats.ignore_index}):,}", "classes not known")
    splits = [split for split in stats.splits.values() if split.labels]
    nowhere = set.intersection(*(set(absent(stats, s)) for s in splits)) if splits else set()
    words = f"{len(nowhere):,} in no file" if nowhere else "all occur" if splits else ""
    return _tile("Classes", f"{stats.num_classes:,}", words)


def _tile(title: str, figure: str, words: str, state: str = "") -> Markup:
    parts = [tag("dt", title), tag("dd", figure), tag("dd", words, class_="muted")]
    return tag("div", *parts, class_=f"tile {state}".strip())


def _findings(
    stats: LabelStats, diagnostics: Sequence[Diagnostic], chosen: Sequence[Shot]
) -> Markup:
    if not diagnostics:
        return tag("p", "All right: nothing was found.", class_="card all-right")
    rules = {rule.code: rule for rule in all_rules()}
    anchors: set[str] = set()
    cards = []
    for found in diagnostics:
        anchor = None if found.code in anchors else found.code
        anchors.add(found.code)
        pictured = any(shot.diagnostic is found for shot in chosen)
        cards.append(_finding(stats, found, rules.get(found.code), anchor, pictured))
    return tag("div", *cards, class_="findings")


def _finding(
    stats: LabelStats,
    found: Diagnostic,
    rule: Optional[Rule],
    anchor: Optional[str],
    pictured: bool,
) -> Markup:
    heading = tag(
        "h3",
        tag("span", found.code, class_="code"),
        " ",
        found.name,
        " ",
        tag("span", str(found.severity), class_=f"badge {found.severity}"),
    )
    link = tag("a", "See the pixels", href="#files") if pictured else ""
    more = tag("div", link, _worst(stats, found), _explained(rule), class_="more")
    message = tag("p", inline(printable(found.message)))
    return tag(
        "article", heading, message, more, id=anchor, class_=f"card finding {found.severity}"
    )


def _worst(stats: LabelStats, found: Diagnostic) -> Markup:
    listed = faults(stats, found)
    if not listed:
        return Markup()
    total = sum(problem.files for _, _, problem in problems_of(stats, found))
    shown = listed[:_MOST_FILES]
    rows = [_file(fault) for fault in shown]
    heads = join(*(tag("th", text, scope="col") for text in ("file", "split", "what is wrong")))
    table = tag("table", tag("thead", tag("tr", heads)), tag("tbody", *rows), class_="worst")
    first = f", the worst {len(shown)} of them" if total > len(shown) else ""
    summary = tag("summary", f"{counted(total, 'file')}{first}")
    box = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="files")
    return tag("details", summary, box)


def _file(fault: Fault) -> Markup:
    path = tag("th", path_of(fault.offender.file), scope="row", class_="path")
    return tag("tr", path, tag("td", name(fault.split)), tag("td", told_of(fault)))


def _explained(rule: Optional[Rule]) -> Markup:
    if rule is None:
        return Markup()
    parts = [
        part
        for heading in _EXPLAINED
        for part in (tag("h4", heading), prose(rule.section(heading)))
    ]
    command = tag("p", "In the terminal: ", tag("code", f"mmseg-fix rule {rule.code}"))
    return tag("details", tag("summary", "What this means"), *parts, command)


def _classes(stats: LabelStats) -> Markup:
    scale = _choice("Scale", "scale", (("log", "logarithmic"), ("linear", "linear")))
    order = _choice(
        "Order", "order", (("share", "by share"), ("label", "by label")), "needs-script"
    )
    split = tag("div", scan_charts.distributions(stats), class_="cards")
    return tag("div", tag("div", scale, order, class_="controls"), split, class_="chart")


def _choice(
    title: str, group: str, options: tuple[tuple[str, str], ...], extra: str = ""
) -> Markup:
    inputs = [
        tag("label", tag("input", type="radio", name=group, value=value, checked=not n), " ", words)
        for n, (value, words) in enumerate(options)
    ]
    return tag("fieldset", tag("legend", title), *inputs, class_=f"choice {extra}".strip())
