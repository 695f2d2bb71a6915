"""A folder is a test: ``tests/rules/cases/<CODE>-<slug>/`` with a config before and after.

``cfg.py`` is the config; ``expected.txt`` what ``check`` says of it; ``fixed.py`` the overlay that
``patch`` writes, missing where nothing may be fixed. With ``options.json`` (arguments of
``mmseg_fixkit.patch``) the folder shows a patch that was asked for, and ``expected.txt`` is what
it says. Files in ``tests/rules/cases/clean/`` must give nothing.

``UPDATE_CASES=1 pytest tests/rules/test_cases.py`` writes the expected files anew: read their diff.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mmseg_fixkit import check, patch
from mmseg_fixkit.apis.patch import repair
from mmseg_fixkit.cli.output.text import patch_text, report_text
from mmseg_fixkit.config import host
from mmseg_fixkit.config.load import load
from mmseg_fixkit.config.text_edits import RUNNER_KEYS
from mmseg_fixkit.config.tree import same
from mmseg_fixkit.rules import all_rules, find_rule

CASES = Path(__file__).parent / "cases"
FOLDERS = sorted(p for p in CASES.iterdir() if (p / "cfg.py").is_file())
CLEAN = sorted((CASES / "clean").glob("*.py"))


@pytest.fixture(params=FOLDERS, ids=lambda p: p.name)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder: Path = request.param
    if folder.name.startswith("MSF107") and not host.class_weight_crash_on_ignored():
        pytest.skip("the installed host has mended the fault")
    monkeypatch.chdir(folder)  # reports name files from here
    return folder


def options(folder: Path) -> dict[str, Any]:
    file = folder / "options.json"
    return json.loads(file.read_text()) if file.is_file() else {"guards": False}


def expect(file: Path, text: str) -> None:
    if os.environ.get("UPDATE_CASES"):
        file.write_text(text)
    assert file.is_file(), f"UPDATE_CASES=1 pytest tests/rules/test_cases.py writes {file}: read it"
    assert file.read_text() == text


def test_the_report_is_as_expected(case: Path) -> None:
    code = case.name.split("-")[0]
    planned = patch("cfg.py", **options(case))
    if (case / "options.json").is_file():
        found, text = planned.diagnostics, patch_text(planned.plan, planned.plan.remaining)
    else:
        report = check("cfg.py")
        found, text = report.diagnostics, report_text(report)
    assert find_rule(code).code in {d.code for d in found}
    expect(case / "expected.txt", text)


def test_the_fix_is_as_expected_proved_and_final(case: Path, tmp_path: Path) -> None:
    given = options(case)
    planned = patch("cfg.py", **given)
    fixed = case / "fixed.py"
    if planned.plan.empty:
        assert not fixed.exists()
        return
    rendered = planned.render(fixed)
    expect(fixed, rendered.text)
    assert same(load(fixed).loaded, rendered.expected)
    again = patch("fixed.py", **given)
    assert again.plan.empty
    assert [d.code for d in again.plan.remaining] == [d.code for d in planned.plan.remaining]
    assert planned.write(tmp_path / "written.py") is True


def test_a_flat_file_says_the_same(case: Path, tmp_path: Path) -> None:
    planned = patch("cfg.py", **options(case))
    planned.write(tmp_path / "flat.py", mode="flat")
    assert same(load(tmp_path / "flat.py").loaded, planned.plan.after)


def test_the_file_changed_in_place_says_the_same(case: Path, tmp_path: Path) -> None:
    here = shutil.copytree(case, tmp_path / "case") / "cfg.py"
    planned = patch(here, **options(case))
    assert planned.write_in_place() is not planned.plan.empty
    now = load(here).loaded
    read = RUNNER_KEYS & (now.keys() | planned.plan.after.keys())
    assert all(same(now.get(key), planned.plan.after.get(key)) for key in read)
    assert patch(here, **options(case)).plan.empty


def test_unsafe_fixes_come_to_an_end(case: Path, tmp_path: Path) -> None:
    here = shutil.copytree(case, tmp_path / "case") / "cfg.py"
    repair(here, unsafe=True).write_in_place()
    assert not any(d.fixable for d in check(here).diagnostics)


@pytest.mark.parametrize("file", CLEAN, ids=lambda p: p.stem)
def test_a_right_config_gives_nothing(file: Path) -> None:
    report = check(file)
    assert report.diagnostics == ()
    assert report.notes == ()
    assert patch(file, guards=False).plan.empty


def test_every_rule_has_a_case() -> None:
    shown = {folder.name.split("-")[0] for folder in FOLDERS}
    wanted = {rule.code: rule.name for rule in all_rules() if not rule.reported}
    missing = [
        f"add tests/rules/cases/{code}-{name}/cfg.py, a config in which the rule finds "
        "something, and run UPDATE_CASES=1 pytest tests/rules/test_cases.py, which writes what is "
        "expected: read it"
        for code, name in wanted.items()
        if code not in shown
    ]
    assert not missing, "\n".join(missing)
