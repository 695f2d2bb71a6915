"""``[tool.mmseg-fixkit]``: what it may hold, which file holds, and what wins over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmseg_fixkit.apis.check_files import find_targets
from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.core.settings import Settings, parse_settings, reasons_given, settings_for

FILE = Path("pyproject.toml")


def parsed(body: str) -> Settings:
    settings = parse_settings(f"[tool.mmseg-fixkit]\n{body}\n", FILE)
    assert settings is not None
    return settings


def project(folder: Path, body: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pyproject.toml"
    file.write_text(f"[tool.mmseg-fixkit]\n{body}\n")
    return file


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder beside the projects of a test."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_list_and_a_table_of_reasons() -> None:
    assert parsed("") == Settings(FILE)
    assert parsed('select = ["MSF1"]\nignore = ["MSF102"]') == Settings(
        FILE, ("MSF1",), ("MSF102",)
    )
    with_reasons = parsed('ignore = { MSF302 = "files hold 0\\n  for unlabelled" }')
    assert with_reasons.ignore == ("MSF302",)
    assert with_reasons.reasons == {"MSF302": "files hold 0 for unlabelled"}
    as_table = parsed('[tool.mmseg-fixkit.ignore]\nMSF302 = "why"\nMSF1 = "so"')
    assert as_table.ignore == ("MSF302", "MSF1")


@pytest.mark.parametrize(
    "text", ["", "[project]\nname = 'mmseg-fixkit'\n", "tool = 3\n# mmseg-fixkit", "[tool.ruff]"]
)
def test_a_file_about_other_tools_says_nothing(text: str) -> None:
    assert parse_settings(text, FILE) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("selct = []", ["tool.mmseg-fixkit.selct is not a setting", "select and ignore"]),
        ("select = 'MSF1'", ["tool.mmseg-fixkit.select is 'MSF1'", "a list of rule codes"]),
        ("select = []", ["tool.mmseg-fixkit.select is []", "a list of rule codes"]),
        ("select = [1]", ["tool.mmseg-fixkit.select is [1]"]),
        ("select = ['']", ["tool.mmseg-fixkit.select is ['']"]),
        ("ignore = 'MSF1'", ["tool.mmseg-fixkit.ignore is 'MSF1'", "a table of reasons"]),
        ("ignore = { MSF1 = '' }", ["tool.mmseg-fixkit.ignore.MSF1 is ''", "the reason"]),
        ("ignore = { MSF1 = true }", ["tool.mmseg-fixkit.ignore.MSF1 is True", "the reason"]),
        ("ignore = [", ["is not TOML"]),
    ],
)
def test_what_nobody_reads_is_refused(body: str, words: list[str]) -> None:
    with pytest.raises(FixkitError) as refused:
        parsed(body)
    text = str(refused.value)
    assert text.startswith("pyproject.toml")
    assert "\n" not in text
    assert all(word in text for word in words)


def test_the_table_itself_has_to_be_one() -> None:
    with pytest.raises(FixkitError, match=r"tool\.mmseg-fixkit is 3, but it has to be a table"):
        parse_settings("tool.mmseg-fixkit = 3", FILE)


def test_the_nearest_file_with_the_table_holds(tmp_path: Path, here: Path) -> None:
    outer = project(tmp_path / "outer", "ignore = ['MSF1']")
    inner = project(tmp_path / "outer" / "inner", "ignore = ['MSF2']")
    other = tmp_path / "outer" / "other"
    other.mkdir()
    (other / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert settings_for(tmp_path / "outer").file == outer
    assert settings_for(tmp_path / "outer" / "inner" / "configs" / "deep").file == inner
    assert settings_for(other).file == outer  # that of `other` says nothing about this tool


def test_elsewhere_the_current_folder_holds(tmp_path: Path, here: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    file = project(here, "ignore = ['MSF1']")
    assert settings_for(tmp_path / "elsewhere").file == file
    targets = find_targets(["mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"]).targets
    assert [t.settings.file for t in targets] == [file]


def test_without_any_all_rules_hold(tmp_path: Path, here: Path) -> None:
    assert settings_for(tmp_path) == Settings()


def test_a_file_that_is_not_toml_is_named(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.mmseg-fixkit\n")
    with pytest.raises(FixkitError, match=r"here/pyproject\.toml is not TOML: .*line 1"):
        settings_for(here)


def test_the_command_line_wins() -> None:
    settings = parsed('select = ["MSF1"]\nignore = { MSF302 = "why", MSF2 = "so" }')
    assert settings.under(None, None) == settings
    ignoring = settings.under(None, ("MSF101",))
    assert (ignoring.select, ignoring.ignore, ignoring.reasons) == (("MSF1",), ("MSF101",), {})
    family = settings.under(("MSF3",), None)
    assert (family.select, family.ignore) == (("MSF3",), ("MSF302", "MSF2"))
    named = settings.under(("msf302", "MSF203"), None)
    assert (named.ignore, named.reasons) == ((), {})


@pytest.mark.parametrize("key", ["select", "ignore"])
def test_a_code_that_fits_no_rule_is_the_fault_of_its_file(here: Path, key: str) -> None:
    file = project(here, f"{key} = ['MSF999']")
    (here / "a.py").write_text("model = dict()")
    with pytest.raises(FixkitError) as refused:
        find_targets(["a.py"])
    assert str(refused.value).startswith(f"{file}: tool.mmseg-fixkit.{key}: 'MSF999' selects no")
    with pytest.raises(FixkitError, match=r"^'MSF888' selects no rule"):
        find_targets(["a.py"], **{key: ("MSF888",)})


def test_each_reason_is_given_once() -> None:
    first = parsed('ignore = { MSF302 = "why" }')
    second = parsed('ignore = { MSF302 = "why", MSF1 = "so" }')
    plain = parsed('ignore = ["MSF2"]')
    assert reasons_given([first, second, plain, first]) == (
        "ignored MSF302: why",
        "ignored MSF1: so",
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder" / "pyproject.toml").mkdir(parents=True)
    with pytest.raises(FixkitError, match=r"folder.pyproject\.toml cannot be read"):
        settings_for(tmp_path / "folder")
    (tmp_path / "bytes").mkdir()
    (tmp_path / "bytes" / "pyproject.toml").write_bytes(b"[tool.mmseg-fixkit]\nx = '\xff'")
    with pytest.raises(FixkitError, match=r"bytes.pyproject\.toml cannot be read"):
        settings_for(tmp_path / "bytes")
