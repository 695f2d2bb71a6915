"""The documentation is fresh: generated pages, links, and the commands that it shows."""

from __future__ import annotations

import html
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional

import click
import pytest
import yaml
from click.testing import CliRunner

import mmseg_fixkit
from docs.generate.pages import PAGES as GENERATED
from docs.generate.pictures import recording
from docs.generate.scene import CITYSCAPES, MY_PSPNET, make_checkpoint, make_scene
from mmseg_fixkit.cli import VERBS, app
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.datasets import layout
from mmseg_fixkit.datasets.multilabel_files import FORMATS
from tests.helpers.docs_pages import (
    anchors,
    arguments,
    blocks,
    chunks,
    flat,
    headings,
    links,
    read,
    without_numbers,
)
from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"
README, CHINESE = ROOT / "README.md", ROOT / "README_zh-CN.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [README, CHINESE, CONTRIBUTING, *sorted(DOCS.glob("*.md"))]
LINKED = [*PAGES, ROOT / "CHANGELOG.md"]

#: How pages name a file or folder of the repository; what stands in <> is a placeholder.
A_PATH = re.compile(r"(?<![\w./-])(?:mmseg_fixkit|tests|docs|benchmarks)/[\w./-]*")
#: How they name a module, or something in it, which pages for contributors do without the package.
A_MODULE = re.compile(r"(?<![\w./-])mmseg_fixkit(?:\.[A-Za-z_]\w*)+")
FOR_CONTRIBUTORS = ("how-it-works", "CONTRIBUTING")
IN_A_ROOM = re.compile(
    r"`((?:apis|checkpoint|cli|config|core|datasets|hooks|models|rules)(?:\.\w+)+)[`(]"
)

#: Pages whose commands run one after the other, with the output that the page shows.
EXACT = (
    "README.md",
    "ci.md",
    "export.md",
    "fine-tune.md",
    "fix-safety.md",
    "paddleseg.md",
    "preflight.md",
    "quickstart.md",
)
#: What has to be there before.
BEFORE = {
    "export.md": ("fine-tune.md", "mmseg-fix adapt {checkpoint} mine.py -o start.pth"),
    "preflight.md": ("fine-tune.md",),
}
#: Words in commands -> what stands for them.
STANDS_FOR = {
    "CONFIG": "my_pspnet.py",
    "CONFIG...": "my_pspnet.py",
    "DIR": "data/farm",
    "CKPT": CITYSCAPES,
    "LOG": "run.log",
    "cityscapes.pth": CITYSCAPES,
    "farm.py": "patched/farm.py",
    "farm/config.py": "patched/config.py",
    "cfg.py": "patched/cfg.py",
    "lights.py": "patched/lights.py",
    "mask2former.py": "patched/mask2former.py",
}
#: Commands that only parse here, by how they begin -> why.
NOT_RUN = {
    "convert-labels": "tests/apis/test_convert_labels.py runs it on files of all kinds",
    "demo": "trains for minutes; tests/demo/test_demo.py",
    "preflight CONFIG": "the console blocks of the page run it",
    "export CONFIG": "the console block of the page runs it",
    "preflight farm.py": "docs/preflight.md runs it",
    "export farm.py": "docs/export.md runs it",
    "export after.py": "needs the training of the demo; tests/apis/test_export.py",
    "explain mmseg-fix": "an answer of explain, not a command of the page",
}


def command(verb: str) -> click.Command:
    found = app.get_command(click.Context(app), verb)
    assert found is not None
    return found


# --- what is generated ---------------------------------------------------------------------------


def test_the_rule_pages_are_those_of_the_command() -> None:
    shown = CliRunner().invoke(app, ["rule", "--all"]).output
    assert read(DOCS / "rules.md") == shown, "docs/rules.md is stale: run `make pages`"


@pytest.mark.parametrize("page", GENERATED)
def test_generated_pages_are_fresh(page: str) -> None:
    written = GENERATED[page]()
    assert read(DOCS / f"{page}.md") == written, f"docs/{page}.md is stale: run `make pages`"


def test_the_api_page_has_every_public_name() -> None:
    shown = {title for level, title in headings(read(DOCS / "api.md")) if level == 3}
    assert {name for name in mmseg_fixkit.__all__ if not name.startswith("__")} <= shown


# --- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", LINKED, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for path, anchor in links(read(page)):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(read(target))):
            lost.append(f"{path}#{anchor}")
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    text = read(page)
    lost = {path for path in A_PATH.findall(text) if not (ROOT / path.rstrip(".")).exists()}
    short = IN_A_ROOM.findall(text) if page.stem in FOR_CONTRIBUTORS else []
    for name in {*A_MODULE.findall(text), *(f"mmseg_fixkit.{name}" for name in short)}:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            lost.add(name)
    assert not lost, f"{page.name} names {sorted(lost)}, which do not exist: they were moved"


def test_every_page_is_listed() -> None:
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index", "README"}
    listed = {Path(path).stem.lower() for path, _ in links(read(DOCS / "README.md")) if path}
    in_site = set(re.findall(r"^([a-z-]+)$", read(DOCS / "index.md"), re.M))
    assert pages <= listed
    assert pages == in_site


# --- commands ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_options_that_are_shown_exist(page: Path) -> None:
    known = {
        option
        for verb in VERBS
        for parameter in command(verb).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for line in re.findall(rf"mmseg-fix (?:{'|'.join(VERBS)})[^`\n]*", read(page)):
        options = set(re.findall(r"(?<!\S)--[a-z-]+", line))
        assert options <= known | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_that_are_shown_parse(page: Path) -> None:
    for block in blocks(read(page)):
        for line, _ in block.commands:
            for inner in [*re.findall(r"\$\((mmseg-fix [^)]*)\)", line), line]:
                verb, *rest = arguments(inner)
                command(verb).make_context(verb, rest)


def test_makefile_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.M))
    shown = {
        t for page in PAGES for t in re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", read(page))
    }
    assert {name for names in shown for name in names if name} <= targets


def classic() -> bool:
    try:
        return bool(distribution("mmsegmentation"))
    except PackageNotFoundError:
        return False


needs_classic = pytest.mark.skipif(
    not classic(), reason="MMEngine of the other stack cannot read mmseg:: names in _base_"
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / CITYSCAPES)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    before = Path.cwd()
    os.chdir(folder)
    try:
        return make_scene(folder)
    finally:
        os.chdir(before)


@pytest.fixture
def scene(
    original: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A fresh folder, in which commands run as a user runs them."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return fresh(original, checkpoint, tmp_path / "scene", monkeypatch)


def fresh(original: Path, checkpoint: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(original, folder)
    (folder / CITYSCAPES).symlink_to(checkpoint)
    monkeypatch.chdir(folder)
    return folder


def run(line: str) -> Any:
    """Run a command in this process; anything but a plain end of the program is a failure."""
    for inner in re.findall(r"\$\((mmseg-fix [^)]*)\)", line):
        line = line.replace(f"$({inner})", run(inner).stdout.strip())
    result = CliRunner().invoke(app, arguments(line))
    if isinstance(result.exception, FixkitError):
        raise AssertionError(f"{line}: {result.exception}")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1), f"{line}\n{result.output}"
    return result


@needs_classic
@pytest.mark.parametrize("name", EXACT)
def test_a_page_shows_what_its_commands_print(name: str, scene: Path) -> None:
    for before in BEFORE.get(name, ()):
        lines = (
            [before.format(checkpoint=CITYSCAPES)]
            if before.startswith("mmseg-fix")
            else [line for line, _ in shown_in(DOCS / before)]
        )
        for line in lines:
            run(line)
    tried = 0
    for line, shown in shown_in(README if name == "README.md" else DOCS / name):
        assert_shown(line, shown, run(line))
        tried += 1
    assert tried


def shown_in(page: Path) -> list[tuple[str, str]]:
    return [c for b in blocks(read(page)) if b.language == "console" for c in b.commands]


def assert_shown(line: str, shown: str, result: Any) -> None:
    """Hold the output against what is shown: all of stdout, but for lines of ``...``."""
    printed, parts = flat(result.output), chunks(shown)
    said = flat(result.stdout)
    if arguments(line)[0] in ("preflight", "export"):
        printed, said = without_numbers(printed), without_numbers(said)
        parts = [without_numbers(part) for part in parts]
    at = 0
    for part in parts:
        found = printed.find(part, at)
        assert found >= 0, f"$ {line}\nshows\n{part}\nprinted\n{result.output}"
        at = found + len(part)
    if "..." not in shown.splitlines():
        assert said in " ".join(parts), f"$ {line}\nprinted\n{result.output}"


def other_blocks(page: Path) -> Iterator[tuple[tuple[str, str], ...]]:
    """Yield the commands of each block that is not compared, with what is shown below them."""
    exact = page.name in EXACT
    for block in blocks(read(page)):
        if not (exact and block.language == "console"):
            commands = tuple((line, said) for line, said in block.commands if not why_not(line))
            if commands:
                yield commands


def why_not(line: str) -> Optional[str]:
    words = " ".join(arguments(line))
    return next((why for start, why in NOT_RUN.items() if words.startswith(start)), None)


OTHERS = [page for page in PAGES if page != CHINESE and any(True for _ in other_blocks(page))]


@needs_classic
@pytest.mark.parametrize("page", OTHERS, ids=lambda p: p.name)
def test_commands_of_other_blocks_run(
    page: Path,
    original: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number, commands in enumerate(other_blocks(page)):
        made: set[str] = set()
        for index, (line, shown) in enumerate(commands):
            if index == 0 or not made:
                fresh(original, checkpoint, tmp_path / f"{number}_{index}", monkeypatch)
            if shown.startswith("mmseg-fix: error: "):
                with pytest.raises(AssertionError, match=re.escape(shown[18:].strip())):
                    run(stood_for(line, made))
            else:
                run(stood_for(line, made))
            made |= set(re.findall(r" -o (\S+)", line))


def stood_for(line: str, made: set[str]) -> str:
    """Put files of the scene in the place of those that a page names."""
    return re.sub(
        r"(?<=[ ])(?<!-o )[\w./]+(?=[ \n)]|$)",
        lambda m: m[0] if m[0] in made else STANDS_FOR.get(m[0], m[0]),
        line,
    )


# --- formats for programs ------------------------------------------------------------------------

JSON_COMMANDS = {
    "check": "mmseg-fix check my_pspnet.py",
    "scan": "mmseg-fix scan data/farm --classes soil,weed,crop",
    "weights": "mmseg-fix weights patched/farm.py",
    "adapt": f"mmseg-fix adapt {CITYSCAPES} patched/farm.py -o x.pth --dry-run",
    "explain": "mmseg-fix explain run.log",
    "preflight": "mmseg-fix preflight patched/farm.py",
    "export": f"mmseg-fix export patched/farm.py {CITYSCAPES} -o x.onnx --size 192x192",
}


@needs_classic
@pytest.mark.parametrize("verb", JSON_COMMANDS)
def test_the_json_page_has_the_keys(verb: str, scene: Path) -> None:
    if verb == "export":  # of the same classes as the checkpoint
        run(f"mmseg-fix adapt {CITYSCAPES} patched/farm.py -o start.pth")
        line = JSON_COMMANDS[verb].replace(CITYSCAPES, "start.pth")
    else:
        line = JSON_COMMANDS[verb]
    printed = json.loads(run(f"{line} --output-format json").stdout)
    first = printed[0] if isinstance(printed, list) else printed
    section = read(DOCS / "json.md").split(f"\n## {verb}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.M)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(first)


# --- the Chinese README --------------------------------------------------------------------------


def test_both_readmes_have_the_same_parts() -> None:
    ours, theirs = read(README), read(CHINESE)
    assert [level for level, _ in headings(ours)] == [level for level, _ in headings(theirs)]
    code = re.compile(r"^```(\S*)\n(.*?)^```", re.M | re.S)
    assert code.findall(ours) == code.findall(theirs)
    other = {"README.md": "README_zh-CN.md", "README_zh-CN.md": "README.md"}
    assert [other.get(path, path) for path, _ in links(ours)] == [path for path, _ in links(theirs)]
    assert sorted(re.findall(r"`([^`\n]+)`", code.sub("", ours))) == sorted(
        re.findall(r"`([^`\n]+)`", code.sub("", theirs))
    )


def test_the_readme_can_be_read_in_one_go() -> None:
    assert len(read(README).splitlines()) <= 300


# --- what the pages say of other parts -----------------------------------------------------------


def test_the_words_at_the_end_of_a_validation_are_those_of_the_hook() -> None:
    from mmseg_fixkit.hooks.seen_classes import in_words

    hits, seen = [0, 0, 0, 0, 5], [0, 3, 0, 0, 7]
    areas = [hits, seen, seen, [0, 0, 4, 4, 7]]
    said = "\n".join(in_words(areas, ("bridge", "boat", "soil", "weed", "road")))
    assert said in read(DOCS / "guards.md")


def test_the_layouts_of_data_folders_are_listed() -> None:
    section = read(DOCS / "data.md").split("\n## Layouts\n")[1].split("\n## ")[0]
    shown = [row.images.replace("{images}", "images") for row in layout.TABLE]
    lost = [images for images in shown if f"`{images}`" not in section]
    assert not lost, f"add a row to Layouts in docs/data.md for images in {lost}"


def test_the_formats_of_multilabel_files_are_listed() -> None:
    lost = [name for name in FORMATS if f"| `'{name}'` |" not in read(DOCS / "multilabel.md")]
    assert not lost, f"add a row to Files in docs/multilabel.md for {lost}"


def test_hooks_of_the_ci_page_are_those_of_the_repository() -> None:
    (hook,) = yaml.safe_load(read(ROOT / ".pre-commit-hooks.yaml"))
    texts = re.findall(r"```yaml\n(.*?)```", read(DOCS / "ci.md"), re.S)
    parsed = [yaml.safe_load(text) for text in texts]
    lists = [p.get("repos", []) if isinstance(p, dict) else p for p in parsed]
    hooks = [h for repos in lists for repo in repos for h in repo.get("hooks", [])]
    assert {h["id"] for h in hooks} == {hook["id"]}
    (local,) = [h for h in hooks if "entry" in h]
    assert {k: local[k] for k in ("entry", "exclude", "require_serial")} == {
        k: hook[k] for k in ("entry", "exclude", "require_serial")
    }


@needs_classic
def test_the_recording_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_pspnet.py").write_text(MY_PSPNET)
    words = [
        [html.unescape(text) for text in re.findall(r">([^<>]+)</text>", svg)]
        for svg in (read(DOCS / "pictures" / "check-fix.svg"), recording())
    ]
    assert words[0] == words[1], "run: python -m docs.generate.pictures docs/pictures"


def test_pictures_are_small() -> None:
    sizes = {p.name: p.stat().st_size for p in (DOCS / "pictures").iterdir()}
    assert {name for name, size in sizes.items() if size > 150_000} == set()


# --- the site ------------------------------------------------------------------------------------


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    own = ROOT / ".venv-docs" / "bin" / "python"
    if not own.exists() and not find_spec("sphinx"):
        pytest.skip("Sphinx is not installed here; make docs makes an environment that has it")
    python = own if own.exists() else sys.executable
    done = subprocess.run(
        [python, "-m", "sphinx", "-q", "-n", "-W", "--keep-going", DOCS, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "index.html").exists()
