"""The documentation is fresh: rule pages, links, and the commands that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mmseg_fixkit.cli import VERBS, app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def command(verb: str) -> click.Command:
    found = app.get_command(click.Context(app), verb)
    assert found is not None
    return found


def test_the_rule_pages_are_those_of_the_command() -> None:
    shown = CliRunner().invoke(app, ["rule", "--all"]).output
    assert (ROOT / "docs" / "rules.md").read_text() == shown, (
        "run: mmseg-fix rule --all > docs/rules.md"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_options_that_are_shown_exist(page: Path) -> None:
    known = {
        option
        for verb in VERBS
        for parameter in command(verb).params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for line in re.findall(rf"mmseg-fix (?:{'|'.join(VERBS)})[^`\n]*", page.read_text()):
        options = set(re.findall(r"(?<!\S)--[a-z-]+", line))
        assert options <= known | {"--help"}, line


def test_makefile_targets_that_are_shown_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    shown = {t for page in PAGES for t in re.findall(r"make ([a-z-]+)", page.read_text())}
    assert shown - {"sure"} <= targets
