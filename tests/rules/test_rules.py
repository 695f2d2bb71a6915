"""Every rule: documented under the same headings, with an example that is proved."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mmseg_fixkit import check, patch
from mmseg_fixkit.cli import app
from mmseg_fixkit.config import host
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.rule import HEADINGS, Rule
from mmseg_fixkit.rules import all_rules, find_rule, select_rules
from mmseg_fixkit.rules.examples import INHERITS, base_config

ALL = all_rules()
#: Rules that read a config; the others only speak when a patch asked for what they bring.
MENDED = set() if host.class_weight_crash_on_ignored() else {"MSF107"}
READING = [r for r in ALL if not (r.requested or r.reported or r.code in MENDED)]


def by_code(rules: list[Rule]) -> list:
    return [pytest.param(rule, id=rule.code) for rule in rules]


@pytest.mark.parametrize("rule", by_code(ALL))
def test_the_page_has_every_heading_in_order(rule: Rule) -> None:
    found = [line[3:] for line in rule.doc.splitlines() if line.startswith("## ")]
    assert found == list(HEADINGS), f"the docstring of {rule.code} needs the headings of HEADINGS"
    empty = [heading for heading in HEADINGS if not rule.section(heading)]
    assert not empty, f"write a text below {empty} in the docstring of {rule.code}"
    assert rule.summary.endswith("."), f"end the first line of {rule.code}'s docstring with a stop"


def written(rule: Rule, heading: str, folder: Path) -> Path:
    """Write the lines of an example, below the config that all examples inherit."""
    (folder / "base.py").write_text(base_config(rule))
    config = folder / "example.py"
    config.write_text(INHERITS + rule.example(heading))
    return config


@pytest.mark.parametrize("code", ["MSF101", "MSF601"])
def test_the_config_that_examples_inherit_is_clean(code: str, tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text(base_config(find_rule(code)))
    assert check(tmp_path / "base.py").diagnostics == ()


@pytest.mark.parametrize("rule", by_code(READING))
def test_the_example_is_found_and_only_that(rule: Rule, tmp_path: Path) -> None:
    config = written(rule, "Example", tmp_path)
    found = check(config).diagnostics
    assert {d.code for d in found} == {rule.code}, (
        f"below Example, show lines in which {rule.code} and no other rule finds something; they "
        f"change the config of mmseg_fixkit/rules/examples.py"
    )
    assert all(d.location is not None and d.location.line for d in found)


@pytest.mark.parametrize("rule", by_code(READING))
def test_what_to_use_instead_is_clean(rule: Rule, tmp_path: Path) -> None:
    assert check(written(rule, "Use instead", tmp_path)).diagnostics == ()


@pytest.mark.parametrize("rule", by_code(READING))
def test_the_fix_of_the_example_settles_it(rule: Rule, tmp_path: Path) -> None:
    config = written(rule, "Example", tmp_path)
    planned = patch(config, guards=False)
    fixable = any(d.fixable for d in check(config).diagnostics)
    if planned.plan.empty:
        assert not fixable or rule.section("Fix safety").startswith("Unsafe")
        return
    planned.write(tmp_path / "fixed.py")
    assert check(tmp_path / "fixed.py").diagnostics == ()
    assert patch(tmp_path / "fixed.py", guards=False).plan.empty


def test_the_page_of_a_rule_shows_the_config_of_its_example() -> None:
    shown = CliRunner().invoke(app, ["rule", "MSF101"]).output
    rule = find_rule("MSF101")
    assert rule.example() in shown
    assert shown.endswith(f"```python\n{base_config(rule)}```\n")


def test_codes_follow_their_family() -> None:
    assert all(rule.code[:3] == "MSF" and rule.code[3:].isdigit() for rule in ALL)
    assert len({rule.name for rule in ALL}) == len(ALL)


def test_a_rule_is_found_by_code_and_by_name() -> None:
    assert find_rule("msf101") == find_rule("head-class-count")
    with pytest.raises(FixkitError, match="MSF101"):
        find_rule("MSF999")


def test_selection_is_by_prefix() -> None:
    assert {r.code[:4] for r in select_rules(["MSF2"])} == {"MSF2"}
    assert "MSF101" not in {r.code for r in select_rules(None, ["MSF101"])}
    with pytest.raises(FixkitError, match="selects no rule"):
        select_rules(["MSF9"])


@pytest.mark.parametrize("rule", by_code(ALL))
def test_a_rule_is_found_by_its_code_and_by_its_name_and_by_nothing_else(rule: Rule) -> None:
    assert find_rule(rule.code) is find_rule(rule.code.lower()) is find_rule(rule.name) is rule
    for other in (f"{rule.name}s", rule.name[:-1], rule.code[:-1], rule.name.upper()):
        with pytest.raises(FixkitError, match=rule.code):
            find_rule(other)
