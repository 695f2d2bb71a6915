"""The reports of a scan: a screen of text, and one page of HTML."""

from __future__ import annotations

import io
import json
import random
import re
import warnings
import zipfile
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Optional

import click
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len

from mmseg_fixkit.cli.output.scan_gallery import worst_files
from mmseg_fixkit.cli.output.scan_html import scan_html
from mmseg_fixkit.cli.output.scan_images import BOX, FRAME, MARK, MOST_BYTES, overlay
from mmseg_fixkit.cli.output.scan_rows import (
    COLOR,
    distribution,
    faults,
    percent,
    short,
)
from mmseg_fixkit.cli.output.scan_text import SCREEN, scan_text
from mmseg_fixkit.core.diagnostics import Diagnostic, Location, Severity
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.text import printable
from mmseg_fixkit.datasets import problems as kinds
from mmseg_fixkit.datasets.label_file import LabelFile
from mmseg_fixkit.datasets.scan_files import scan
from mmseg_fixkit.datasets.stats import BadFile, LabelStats, Problem, SplitStats
from mmseg_fixkit.rules import find_rule
from mmseg_fixkit.rules.label_sets import findings
from tests.helpers.paths import PACKAGE

CITY = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip
CITY_COLORS = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153),
    (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
    (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100),
    (0, 80, 100), (0, 0, 230), (119, 11, 32),
)  # fmt: skip
NASTY = (
    "<script>alert(1)</script>",
    "quo\"te's & co",
    "日本語クラス",
    "طريق",
    "line\nfeed\x1b[31m",
)


def split_of(
    classes: int,
    files: int = 2975,
    *,
    seed: int = 0,
    absent: tuple[int, ...] = (),
    extra: Optional[dict[int, int]] = None,
    **fields: object,
) -> SplitStats:
    """A split whose classes thin out over six powers of ten."""
    rng = random.Random(seed)
    order = rng.sample(range(classes), classes)
    labels = {c: int(3e9 * 10 ** (-6 * rank / max(classes - 1, 1))) for rank, c in enumerate(order)}
    images = {c: max(1, int(files * (1 - rank / classes) ** 2)) for rank, c in enumerate(order)}
    for missing in absent:
        labels.pop(missing), images.pop(missing)
    labels.update({255: 4 * 10**8, **(extra or {})})
    images.update({255: files, **dict.fromkeys(extra or {}, 2)})
    values: dict[str, object] = dict(
        files=files,
        raw=labels,
        labels=labels,
        images=images,
        together=fields.get("together") or met(images, rng),
        shapes={"1024x2048": files},
        modes={"L": files},
        formats={"PNG": files},
        reading="reduce_zero_label=False",
    )
    return SplitStats(**{**values, **fields})  # type: ignore[arg-type]


def met(images: dict[int, int], rng: random.Random) -> dict[tuple[int, int], int]:
    return {
        (a, b): rng.randint(0, min(images[a], images[b]))
        for a in sorted(images)
        for b in sorted(images)
        if a < b
    }


def found(code: str, name: str, message: str, *key: str, warning: bool = False) -> Diagnostic:
    severity = Severity.WARNING if warning else Severity.ERROR
    return Diagnostic(code, name, message, key, None, None, severity)


OUT = Problem(
    2,
    912,
    {34: 900, 200: 12},
    (
        BadFile("data/gt/frankfurt_000001_labelIds.png", 900, ((34, 900),)),
        BadFile("data/gt/<b>lindau</b>_000002.png", 12, ((200, 12),)),
    ),
)
UNREADABLE = Problem(1, 0, {}, (BadFile("data/gt/broken.png", text="it is truncated"),))


def city() -> tuple[LabelStats, list[Diagnostic]]:
    problems = {"out-of-range": OUT, "unreadable": UNREADABLE}
    train = split_of(19, absent=(16,), extra={34: 900, 200: 12}, problems=problems)
    val = split_of(19, 500, seed=0, absent=(16, 3))
    stats = LabelStats("configs/city.py", {"train": train, "val": val}, CITY, CITY_COLORS)
    message = (
        "train labels are 34 (900 pixels), 200 (12 pixels) in 2 of 2,975 files, but 19 classes "
        "allow 0 to 18, and 255 for ignored pixels: frankfurt_000001_labelIds.png (900 pixels); "
        "`mmseg-fix scan configs/city.py --fix ignore --out DIR` writes copies with these ignored"
    )
    return stats, [
        found("MSF401", "label-out-of-range", message, "train"),
        found("MSF411", "label-unreadable", "train labels cannot be read in 1 file", "train"),
        found("MSF423", "class-never-occurs", "'train' is in no file", "classes", warning=True),
        found("MSF424", "class-in-one-split-only", "'wall' is not in val", "classes", warning=True),
    ]


def many(classes: int) -> LabelStats:
    shapes = {f"{side}x{side + 300}": side for side in range(90)}
    training = split_of(classes, 20210, shapes=shapes)
    splits = {"training": training, "validation": split_of(classes, 2000, seed=1)}
    return LabelStats("data/ade", splits, tuple(f"class number {n}" for n in range(classes)))


COLORED = SplitStats(
    files=3, colors={0xFF0000: 4000, 0x00FF00: 30, 0: 1}, modes={"RGB": 3}, formats={"PNG": 3}
)
#: What a scan may come to.
SCANS = {
    "city": city(),
    "two": (LabelStats("d", {"": split_of(2, 10)}, ("background", "polyp")), []),
    "ade": (many(150), []),
    "unknown": (LabelStats("d", {"": split_of(5, 10, extra={1000: 3})}), []),
    "huge": (LabelStats("d", {"": split_of(3000, 10, together={(0, 1): 1})}), []),
    "nasty": (LabelStats("</title><script>x</script>", {"<train>": split_of(5)}, NASTY), []),
    "colours": (LabelStats("d", {"train": COLORED}), []),
    "unreadable": (
        LabelStats("d", {"t": SplitStats(files=1, problems={"unreadable": UNREADABLE})}),
        [found("MSF411", "label-unreadable", "t labels cannot be read", "t")],
    ),
    "no files": (LabelStats("d", {"train": SplitStats()}, ("a", "b")), []),
    "nothing": (LabelStats("d"), []),
    "many splits": (LabelStats("d", {f"split {n}": split_of(4) for n in range(12)}), []),
}
each_scan = pytest.mark.parametrize("name", SCANS)


# --- text ---------------------------------------------------------------------------------------


def lines_of(text: str) -> list[str]:
    assert text.endswith("\n")
    return text[:-1].split("\n")


@each_scan
def test_text_fits_a_screen(name: str) -> None:
    lines = lines_of(scan_text(*SCANS[name]))
    assert len(lines) <= SCREEN
    assert max(map(cell_len, lines)) <= 80


@settings(deadline=None, max_examples=60)
@given(
    classes=st.integers(1, 300),
    width=st.integers(20, 160),
    count=st.integers(0, 60),
    splits=st.integers(1, 7),
    words=st.integers(1, 80),
)
def test_text_fits_any_terminal(
    classes: int, width: int, count: int, splits: int, words: int
) -> None:
    parts = {f"split{n}": split_of(classes, seed=n, together={(0, 1): 1}) for n in range(splits)}
    names = tuple("long name " * (n % 4) + f"c{n}" for n in range(classes))
    wrong = [found(f"MSF4{n:02}", "name", "word " * words, "split0") for n in range(count)]
    lines = lines_of(scan_text(LabelStats("d", parts, names), wrong, width))
    assert max(map(cell_len, lines)) <= max(width, 40)
    assert not any(line.endswith(" ") for line in lines)
    assert len(lines) <= SCREEN + (2 if width >= 80 else 8)


def test_a_screen_names_all_findings_and_says_what_it_leaves_out() -> None:
    stats, wrong = city()
    text = scan_text(stats, wrong)
    for diagnostic in wrong:
        assert f"{diagnostic.code} {diagnostic.name}:" in text
    assert "absent in train: train" in text
    assert "absent in val: wall, train" in text
    assert "Scanned 3,475 files: 2 errors, 2 warnings." in text
    assert "more classes, " in text
    assert "`--html report.html` shows all" in text


def test_the_rarest_classes_are_drawn_however_many_there_are() -> None:
    stats = many(150)
    rows = [row for row in distribution(stats, stats.splits["training"]) if row.kind == "class"]
    text = scan_text(stats, [])
    assert rows[0].name in text
    assert all(row.name in text for row in rows[-3:])


def test_a_class_that_one_split_lacks_is_absent_there_and_no_other_is() -> None:
    lines = lines_of(scan_text(*city(), 120))
    absent = [line.split() for line in lines if "absent" in line.split()]
    assert [words[0] for words in absent if words[0] in CITY] == ["wall"]
    assert absent[0].count("absent") == 1


def test_bars_grow_with_the_logarithm_and_the_heading_says_so() -> None:
    labels = {0: 10**6, 1: 10**4, 2: 100, 3: 1}
    split = SplitStats(files=1, raw=labels, labels=labels, images=dict.fromkeys(labels, 1))
    text = scan_text(LabelStats("d", {"": split}), [])
    assert "log scale, 0.0001 to 100 %" in text
    bars = [len(re.findall("[▏▎▍▌▋▊▉█]", line)) for line in text.split("\n") if "█" in line]
    assert bars == sorted(bars, reverse=True)
    assert [a - b for a, b in zip(bars, bars[1:])] == pytest.approx([bars[0] / 3] * 2, abs=1)


def test_colour_changes_nothing_but_colour() -> None:
    for stats, wrong in SCANS.values():
        plain = scan_text(stats, wrong, 80)
        assert "\x1b" not in plain
        colored = click.unstyle(scan_text(stats, wrong, 80, color=True)).replace("▌", " ")
        assert [line.rstrip() for line in colored.split("\n")] == [
            line.replace("▌", " ").rstrip() for line in plain.split("\n")
        ]
    assert re.search(r"\x1b\[[\d;]*38;5;\d+", scan_text(*city(), 80, color=True))  # a colour


@pytest.mark.parametrize("color", [False, True])
def test_what_the_environment_says_of_terminals_does_not_count(
    monkeypatch: pytest.MonkeyPatch, color: bool
) -> None:
    expected = scan_text(*city(), 100, color)
    for name, value in (("TERM", "dumb"), ("COLUMNS", "20"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert scan_text(*city(), 100, color) == expected


def test_a_narrow_terminal_has_fewer_columns_and_whole_numbers() -> None:
    stats, _ = city()
    narrow = scan_text(stats, [], 40)
    (line,) = [each for each in narrow.split("\n") if each.startswith("  train")]
    assert line == "  train  2,975 files  6.00 G pixels"
    assert "1024x2048" in scan_text(stats, [], 80)


def test_names_cannot_write_to_the_terminal() -> None:
    text = scan_text(*SCANS["nasty"])
    assert "\x1b" not in text
    assert r"line\nfeed\x1b" in text
    assert "日本語クラス" in text


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (1, "100.0 %"), (0.0345, "3.45 %"), (1e-5, "0.0010 %"), (1e-9, "<0.0001 %")],
)
def test_shares_are_never_rounded_to_nothing(share: float, words: str) -> None:
    assert percent(share) == words


def test_large_numbers_are_short() -> None:
    assert [short(n) for n in (999_999, 1_234_567, 45 * 10**9)] == ["999,999", "1.23 M", "45.0 G"]


# --- HTML ---------------------------------------------------------------------------------------

_VOID = {"meta", "img", "input", "br", "wbr", "link", "!doctype"}


class Page(HTMLParser):
    """Checks that a page is balanced, and collects what is in it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, Optional[str]]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, tag: str) -> list[dict[str, Optional[str]]]:
        return [attributes for name, attributes in self.tags if name == tag]


@each_scan
def test_a_page_is_balanced_and_fetches_nothing(name: str) -> None:
    text = scan_html(*SCANS[name])
    page = Page(text)
    assert len(text.encode()) < 3_000_000
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("main")) == 1
    assert not page.all("link")
    for element, attributes in page.tags:
        assert not any(key.startswith("on") or key == "style" for key in attributes), element
        for key in ("src", "href", "action", "xlink:href"):
            assert re.match(r"#|data:image/", attributes.get(key) or "#"), element
    assert not re.search(r"url\(|@import|https?:", text)


def test_the_policy_allows_this_style_and_script_only() -> None:
    from base64 import b64encode
    from hashlib import sha256

    text = scan_html(*city())
    policy = next(m["content"] for m in Page(text).all("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag_name in ("style", "script"):
        body = re.search(rf"<{tag_name}>(.*?)</{tag_name}>", text, re.S)
        assert body is not None
        digest = b64encode(sha256(body.group(1).encode()).digest()).decode()
        assert f"{tag_name}-src 'sha256-{digest}'" in policy


def test_names_are_text_on_the_page_whatever_they_hold() -> None:
    wrong = [found("MSF499", "<i>name</i>", "a & b <script>alert(1)</script>", "<train>")]
    page = Page(scan_html(SCANS["nasty"][0], wrong))
    assert len(page.all("script")) == 1
    assert not page.all("i")
    for name in NASTY:
        assert printable(name) in page.text
    assert "a & b <script>alert(1)</script>" in page.text
    assert "</title><script>x</script>" in page.text
    matrix = json.loads(next(a["data-matrix"] for a in page.all("svg") if "data-matrix" in a) or "")
    assert set(matrix["names"]) == {printable(name) for name in NASTY}


def test_every_class_of_every_split_has_a_row_with_its_numbers() -> None:
    stats = many(150)
    text = scan_html(stats, [])
    rows = re.findall(r'<tr class="row-class" data-label="(\d+)">', text)
    assert sorted(map(int, rows)) == sorted([*range(150), *range(150)])
    assert all(f"{count:,}" in text for count in stats.splits["training"].labels.values())


def test_the_matrix_holds_what_was_counted() -> None:
    stats = many(30)
    page = Page(scan_html(stats, []))
    data = json.loads(next(a["data-matrix"] for a in page.all("svg") if "data-matrix" in a) or "")
    order = [int(name.split()[-1]) for name in data["names"]]
    for row, files in zip(order, data["files"]):
        assert files == sum(split.images[row] for split in stats.splits.values())
    pairs = iter(data["together"])
    for n, a in enumerate(order):
        for b in order[n + 1 :]:
            key = (min(a, b), max(a, b))
            assert next(pairs) == sum(split.together[key] for split in stats.splits.values())


def test_the_legend_of_the_matrix_names_each_shade_by_its_bounds() -> None:
    words = Page(scan_html(many(30), [])).text.split()
    shades = [f"to {share:g} %" for share in (1, 3, 10, 25, 50, 75, 90)]
    assert " ".join(["never", *shades, "over 90 %"]) in " ".join(words)


def test_a_page_explains_its_findings_by_their_rules() -> None:
    text = Page(scan_html(*city())).text
    assert "mmseg-fix rule MSF401" in text
    assert "Why is this bad?" in text
    assert "Cross entropy stops with" in text


def test_a_page_without_findings_says_so() -> None:
    assert "All right: nothing was found." in Page(scan_html(many(3), [])).text


def css_colors() -> dict[str, tuple[str, str]]:
    style = (PACKAGE / "cli" / "output" / "scan_page.css").read_text(encoding="utf-8")
    found_colors = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", style)
    return {name: (light, dark) for name, light, dark in found_colors}


def contrast(a: str, b: str) -> float:
    """The contrast ratio of WCAG 2.1."""

    def luminance(color: str) -> float:
        parts = (int(color[n : n + 2], 16) / 255 for n in (1, 3, 5))
        linear = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("words", "ground"),
    [
        *((w, g) for w in ("ink", "muted", "accent") for g in ("paper", "card", "sunken")),
        *((w, g) for w in ("error", "warning") for g in ("card", f"{w}-soft", "sunken")),
        ("good", "good-soft"),
        ("good", "card"),
        ("muted", "error-soft"),
        ("muted", "warning-soft"),
    ],
)
def test_text_has_enough_contrast(words: str, ground: str, mode: int) -> None:
    colors = css_colors()
    assert contrast(colors[words][mode], colors[ground][mode]) >= 4.5


def test_bars_are_seen_on_their_ground() -> None:
    colors = css_colors()
    for mode in (0, 1):
        assert contrast(colors["bar"][mode], colors["sunken"][mode]) >= 3


def test_rules_are_laid_out_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    doc = "Fault.\n\n## Use instead\na `<b>`\nc\n\n- x\n- `y`\n\n```python\na < 1\n  b\n```\n"
    rule = replace(find_rule("MSF401"), check=type("Check", (), {"__doc__": doc}))
    monkeypatch.setattr("mmseg_fixkit.cli.output.scan_html.all_rules", lambda: [rule])
    text = scan_html(*city())
    for part in (
        "<p>a <code>&lt;b&gt;</code> c</p>",
        "<ul><li>x</li><li><code>y</code></li></ul>",
        "<pre><code>a &lt; 1\n  b</code></pre>",
    ):
        assert part in text


# --- images -------------------------------------------------------------------------------------


def decoded(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def near(picture: np.ndarray[Any, Any], color: Sequence[int], most: int = 60) -> Any:
    return np.abs(picture - np.array(color)).max(axis=-1) <= most


def written(path: Path, values: Any, **options: Any) -> str:
    Image.fromarray(values).save(path, **options)
    return str(path)


STATS = LabelStats("d", {}, ("a", "b", "c"), ((10, 90, 10), (10, 10, 90), (90, 90, 10)))


@pytest.mark.parametrize("with_image", [False, True])
def test_a_single_pixel_of_a_large_label_map_is_marked(tmp_path: Path, with_image: bool) -> None:
    values = np.random.default_rng(0).integers(0, 3, (16, 32)).repeat(64, 0).repeat(64, 1)
    values[700, 300] = 77
    label = written(tmp_path / "l.png", values.astype(np.uint8))
    noise = np.random.default_rng(1).integers(0, 255, (1024, 2048, 3)).astype(np.uint8)
    image = written(tmp_path / "i.jpg", noise) if with_image else None
    picture = overlay(STATS, label, image, bad=[77])
    assert picture.marked == 1
    assert picture.with_image is with_image
    assert len(picture.data) <= MOST_BYTES
    assert picture.width <= BOX[0]
    drawing = decoded(picture.data)
    marked = np.argwhere(near(drawing, MARK))
    center = np.array([700 * picture.height / 1024, 300 * picture.width / 2048])
    assert len(marked) >= 4
    assert np.abs(marked - center).max() <= 6
    y, x = center.astype(int)
    assert near(drawing[y - 9 : y + 10, x - 9 : x + 10], (255, 255, 255), 70).any()


def test_marks_are_exactly_where_the_values_are(tmp_path: Path) -> None:
    values = np.zeros((60, 80), np.uint8)
    values[10:30, 20:50] = 9
    picture = overlay(STATS, written(tmp_path / "l.png", values), bad=[9])
    scale = picture.width // 80
    expected = (values == 9).repeat(scale, 0).repeat(scale, 1)
    seen = near(decoded(picture.data), MARK, 2)
    assert (seen == expected).all()
    assert picture.marked == 600


def test_a_label_map_that_is_wrong_nearly_everywhere_is_still_seen(tmp_path: Path) -> None:
    values = np.full((300, 400), 9, np.uint8)
    picture = overlay(STATS, written(tmp_path / "l.png", values), bad=[9])
    seen = near(decoded(picture.data), MARK)
    assert 0.3 < seen.mean() < 0.7


@pytest.mark.parametrize("kind", ["uint8", "uint16", "palette", "bool"])
def test_values_are_drawn_in_the_colours_of_their_classes(tmp_path: Path, kind: str) -> None:
    values = np.zeros((300, 400), np.uint8)
    values[:, 200:] = 1
    made = Image.fromarray(values.astype(bool) if kind == "bool" else values)
    if kind == "uint16":
        made = Image.fromarray(values.astype(np.uint16))
    if kind == "palette":
        made.putpalette([255, 255, 255] * 256)
    made.save(tmp_path / "l.png")
    drawing = decoded(overlay(STATS, str(tmp_path / "l.png")).data)
    left, right = drawing[150, 20], drawing[150, -20]
    assert left[1] > left[0]
    assert right[2] > right[0]


def test_colours_of_a_mask_are_drawn_as_they_are(tmp_path: Path) -> None:
    mask = np.zeros((300, 400, 3), np.uint8)
    mask[:, :200] = (250, 20, 20)
    label = written(tmp_path / "l.png", mask)
    drawing = decoded(overlay(STATS, label, bad=[0xFA1414, 0]).data)
    assert not near(drawing, MARK).any()
    assert drawing[150, 100, 0] > 150
    few = overlay(STATS, written(tmp_path / "m.png", mask[:, 180:]), bad=[0xFA1414])
    assert few.marked == 20 * 300
    assert near(decoded(few.data), MARK).any()


def test_a_label_map_of_another_size_is_framed_over_its_image(tmp_path: Path) -> None:
    label = written(tmp_path / "l.png", np.zeros((200, 300), np.uint8))
    turned = Image.fromarray(np.full((400, 800, 3), 90, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "i.jpg", exif=exif)
    picture = overlay(STATS, label, str(tmp_path / "i.jpg"))
    assert picture.framed
    assert picture.height == 2 * picture.width  # the image is turned
    frame = np.argwhere(near(decoded(picture.data), FRAME))
    assert frame.max(axis=0) == pytest.approx([picture.height / 4, picture.width * 3 / 4], abs=3)


@pytest.mark.parametrize(
    ("limit", "reason"), [(100_000, None), (30_000, None), (10_000, "it is too large")]
)
def test_large_label_maps_are_drawn_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, reason: Optional[str]
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    label = written(tmp_path / "l.png", np.zeros((200, 200), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if reason is None:
            assert overlay(STATS, label).width
        else:
            with pytest.raises(FixkitError, match=reason):
                overlay(STATS, label)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"text"])
def test_what_is_no_picture_gets_a_placeholder(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "l.png"
    path.write_bytes(data)
    problems = {kinds.UNREADABLE: Problem(1, worst_files=[BadFile(str(path))])}
    stats = replace(STATS, splits={"train": SplitStats(files=1, problems=problems)})
    page = Page(scan_html(stats, [found("MSF411", "label-unreadable", "x", "train")]))
    assert any(a.get("class") == "placeholder" for a in page.all("svg"))
    assert "not drawn: it cannot be read" in page.text


def faulty(root: Path) -> LabelStats:
    """Scan a folder with one file of each fault."""
    labels, images = root / "ann", root / "img"
    labels.mkdir(), images.mkdir()
    rng = np.random.default_rng(0)
    for n in range(8):
        values = rng.integers(0, 3, (8, 12)).repeat(10, 0).repeat(10, 1).astype(np.uint8)
        made: Any = values
        if n == 1:
            made = np.where(values == 1, 40, values).astype(np.uint8)
        if n == 2:
            made = np.array(STATS.palette, np.uint8)[values]
        if n == 3:
            made = np.where(values == 1, np.uint16(300), values).astype(np.uint16)
        if n == 4:
            made = values[:50]
        if n == 5:
            made = np.full_like(values, 255)
        written(labels / f"<{n}>.png", made)
        written(images / f"<{n}>.png", rng.integers(0, 255, (80, 120, 3)).astype(np.uint8))
    broken = labels / "<6>.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return scan(labels, ("a", "b", "c"), images=images, palette=STATS.palette, cache=False, jobs=1)


def files_of(root: Path) -> list[LabelFile]:
    return [
        LabelFile("ann", str(path), str(root / "img" / path.name))
        for path in sorted((root / "ann").iterdir())
    ]


def test_a_real_scan_is_reported_with_a_picture_of_each_fault(tmp_path: Path) -> None:
    stats = faulty(tmp_path)
    wrong = findings(stats)
    codes = {d.code for d in wrong}
    assert {"MSF401", "MSF402", "MSF403", "MSF408", "MSF411", "MSF414"} <= codes
    drawn = {file.diagnostic.code for file in worst_files(stats, wrong, 12)}
    assert {"MSF401", "MSF402", "MSF403", "MSF408", "MSF411", "MSF414"} <= drawn
    page = Page(scan_html(stats, wrong, files=files_of(tmp_path)))
    pictures = [img for img in page.all("img") if (img.get("src") or "").startswith("data:")]
    for img in pictures:
        data = b64decode((img["src"] or "").partition(",")[2])
        drawing = decoded(data)
        assert drawing.shape[:2] == (int(img["height"] or 0), int(img["width"] or 0))
        assert img["alt"]
        assert near(drawing, MARK).any() == ("marked" in img["alt"] and "nothing" not in img["alt"])
    assert any(a.get("class") == "placeholder" for a in page.all("svg"))
    assert "labels over the image" in page.text
    lines = lines_of(scan_text(stats, wrong))
    assert len(lines) <= SCREEN


def test_every_finding_that_names_a_label_file_knows_its_files(tmp_path: Path) -> None:
    stats = faulty(tmp_path)
    for diagnostic in findings(stats):
        if diagnostic.location is not None:
            assert faults(stats, diagnostic)[0].bad_file.file == diagnostic.location.file


def test_the_gallery_is_fair_and_bounded(tmp_path: Path) -> None:
    label = written(tmp_path / "l.png", np.full((1500, 1500), 9, np.uint8))
    copies = [str(tmp_path / f"{n}.png") for n in range(300)]
    for copy in copies:
        Path(copy).symlink_to(label)
    worst = tuple(BadFile(copy, 5, ((9, 5),)) for copy in copies[:250])
    problems = {
        kinds.OUT_OF_RANGE: Problem(250, 1250, {9: 1250}, worst),
        kinds.WRAPS: Problem(1, 3, {9: 3}, (BadFile(copies[260], 3, ((9, 3),)),)),
    }
    stats = replace(STATS, splits={"train": SplitStats(files=300, problems=problems)})
    wrong = [
        found("MSF401", "label-out-of-range", "x", "train"),
        found("MSF402", "label-wraps", "y", "train"),
    ]
    chosen = worst_files(stats, wrong, 12)
    assert [file.diagnostic.code for file in chosen] == ["MSF401"] * 11 + ["MSF402"]
    text = scan_html(stats, wrong)
    assert text.count("data:image/") == 12
    assert scan_html(stats, wrong, images=0).count("data:image/") == 0
    assert "250 files, the worst 20 of them" in Page(text).text
    assert len(text.encode()) < 3_000_000


def test_of_two_problems_the_place_of_a_finding_tells_which() -> None:
    missing = Problem(1, worst_files=[BadFile("a.png")])
    unused = Problem(1, worst_files=[BadFile("b.png")])
    problems = {kinds.NO_IMAGE: missing, kinds.UNUSED: unused}
    stats = LabelStats("d", {"train": SplitStats(files=2, problems=problems)})
    wrong = replace(found("MSF413", "x", "y", "train"), location=Location("b.png"))
    assert [fault.bad_file.file for fault in faults(stats, wrong)] == ["b.png"]


def test_colour_files_have_rows_of_colours() -> None:
    rows = distribution(SCANS["colours"][0], COLORED)
    assert (rows[0].name, rows[0].kind) == ("#ff0000", COLOR)
    assert "#00ff00" in scan_text(*SCANS["colours"])


def test_the_wheel_has_the_parts_of_the_page(tmp_path: Path) -> None:
    build = pytest.importorskip("hatchling.builders.wheel")
    builder = build.WheelBuilder(str(PACKAGE.parent))
    wheel = next(builder.build(directory=str(tmp_path), versions=["standard"]))
    names = zipfile.ZipFile(wheel).namelist()
    for kind in ("html.jinja", "css", "js"):
        assert f"mmseg_fixkit/cli/output/scan_page.{kind}" in names
