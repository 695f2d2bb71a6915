"""Config files of any line ends, with form feeds, tabs, cookies: what is said of them is true."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
from mmengine.config import Config

from mmseg_fixkit import FixkitError, check, patch
from mmseg_fixkit.apis.check_files import find_targets
from mmseg_fixkit.config.source import line_starts

LINES = [
    "# a config",
    "count = 19",
    "",
    "model = dict(",
    "    type='EncoderDecoder',  # first",
    "    decode_head=dict(",
    "        type='FCNHead', in_channels=64, channels=16,  # width",
    "        num_classes=19))",
    "words = '''one",
    "two'''",
    "train_dataloader = dict(",
    "    dataset=dict(",
    "        type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky')),",
    "        pipeline=[",
    "            dict(type='LoadImageFromFile'),",
    "            dict(type='LoadAnnotations')]))",
    "last = 1",
]
ENDS = {"mac": "\r", "windows": "\r\n", "unix": "\n"}


def mixed(lines: list[str]) -> str:
    ends = ["\r", "\n", "\r\n"]
    return "".join(line + ends[i % 3] for i, line in enumerate(lines))


TEXTS = {
    **{name: end.join(LINES) + end for name, end in ENDS.items()},
    **{f"{name}, no end": end.join(LINES) for name, end in ENDS.items()},
    "mixed": mixed(LINES),
    "form feeds": "\n".join(f"\f{line}" if not line[:1].isspace() else line for line in LINES),
    "tabs": "\n".join(LINES).replace("    ", "\t") + "\n",
    "cookie": "# -*- coding: latin-1 -*-\n# Größe\n" + "\n".join(LINES) + "\n",
    "unknown cookie": "# coding: no-such-codec\n" + "\n".join(LINES) + "\n",
    "wide letters": "x = 'Größe 日本 \U0001f600'; " + "\n".join(LINES) + "\n",
    "separators": "x = 'a\x1cb\x85c\u2028d'\n" + "\n".join(LINES) + "\n",
    "long line": "x = '" + "y" * 1_000_000 + "'\n" + "\n".join(LINES) + "\n",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_line_and_column_are_those_of_an_editor(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(TEXTS[kind].encode())
    (found,) = check(path).diagnostics
    assert found.location is not None
    read = io.StringIO(TEXTS[kind], newline=None).read().split("\n")  # as every editor does
    assert found.location.line is not None
    line = read[found.location.line - 1]
    assert found.location.column is not None
    assert line[found.location.column - 1 :].startswith("19))")


@pytest.mark.parametrize("kind", TEXTS)
def test_in_place_keeps_all_else(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(TEXTS[kind].encode())
    planned = patch(path, 3, guards=False)
    assert "num_classes=3" in planned.text_diff()
    assert planned.write_in_place()
    text = path.read_bytes().decode()
    want = TEXTS[kind].replace("num_classes=19", "num_classes=3")
    kept = text.replace("'class_0', 'class_1', 'class_2'", "'road', 'car', 'sky'")
    assert kept.splitlines()[:8] == want.splitlines()[:8]
    assert Config.fromfile(str(path)).model.decode_head.num_classes == 3
    assert patch(path, 3, guards=False).plan.empty
    ends = [text.count("\r\n"), text.count("\r"), text.count("\n")]
    if kind in ENDS:
        assert [bool(n) for n in ends] == [
            ENDS[kind] in ("\r\n",),
            "\r" in ENDS[kind],
            "\n" in ENDS[kind],
        ]


@pytest.mark.parametrize("kind", TEXTS)
def test_with_the_guards_and_out_of_place(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(TEXTS[kind].encode())
    planned = patch(path, ("a", "b"), class_weight="1,2")
    planned.write(tmp_path / "out.py")
    planned.write(tmp_path / "flat.py", mode="flat")
    assert planned.write_in_place()
    assert patch(path, ("a", "b"), class_weight="1,2").plan.empty
    assert path.read_bytes().decode().count("# width") == 1
    ast.parse(path.read_bytes().decode())


def test_a_config_with_the_line_ends_of_old_macs_is_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(TEXTS["mac"].encode())
    (tmp_path / "script.py").write_bytes(b"import os\rx = 1\r")
    found = find_targets([str(tmp_path)])
    assert [Path(t.config).name for t in found.targets] == ["x.py"]


def test_what_a_diff_shows_of_old_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(TEXTS["mac"].encode())
    diff = patch(path, ("road", "car", "sky"), guards=False).text_diff()
    assert "\r" not in diff
    assert [line for line in diff.split("\n") if line[:1] in "+-" and line[1:2] not in "+-"] == [
        "-        num_classes=19))",
        "+        num_classes=3))",
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xef\xbb\xbfmodel = dict(type='EncoderDecoder')\n", "line 1: invalid non-printable"),
        (b"model = dict(type='Encoder\x00Decoder')\n", "null bytes"),
        (b"\xff\xfem\x00o\x00d\x00e\x00l\x00", "not text in UTF-8"),
        (b"model = dict(type='\xe9')\n", "not text in UTF-8"),
        (b"# coding: latin-1\nmodel = dict(type='\xe9')\n", "not text in UTF-8"),
        (b"model = '\xed\xa0\x80'\n", "not text in UTF-8"),  # half of a pair
        (b"model = " + b"[" * 150 + b"]" * 150 + b"\n", "more than 100 deep"),
        (b"model = " + b"[" * 5000 + b"]" * 5000 + b"\n", "too many nested parentheses"),
        (b"model = " + b"-" * 100_000 + b"1\n", "x.py"),
        (b"model = dict(a=" + b"+".join([b"1"] * 20_000) + b")\n", "x.py"),
        (b"x = 1\nfor _ in range(150):\n    x = [x]\nmodel = dict(x=x)\n", "more than 100 deep"),
        (b"x = 1\nfor _ in range(5000):\n    x = [x]\nmodel = dict(x=x)\n", "x.py"),
        (b"x = []\nx.append(x)\nmodel = dict(x=x)\n", "x.py"),
        (b"model = dict()\nmodel['m'] = model\n", "x.py"),
    ],
)
def test_what_nobody_can_read_is_said_in_a_sentence(
    data: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.py"
    path.write_bytes(data)
    with pytest.raises(FixkitError) as caught:
        check(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lines_start_where_python_starts_them() -> None:
    text = mixed(["x = 1", "", "", "y = '''a", "b'''", "\fz = 3"])
    starts = line_starts(text.encode())
    names = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]
    assert {text[starts[n.lineno - 1] + n.col_offset] for n in names} == {"x", "y", "z"}


@pytest.mark.parametrize(
    "name",
    ["a\nopen('ran.txt', 'w')#.py", "a\r#.py", "a\x0c\x85\u2028.py", "caf\udce9.py", "\u202e.py"],
)
def test_a_name_cannot_write_lines_of_a_config(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.write_text("\n".join(LINES))
    planned = patch(path, 3, guards=False)
    for mode in ("overlay", "flat"):
        assert planned.write(tmp_path / f"{mode}.py", mode=mode)
        read = Config.fromfile(str(tmp_path / f"{mode}.py"))
        assert read.model.decode_head.num_classes == 3
    assert planned.write_in_place()
    assert not (tmp_path / "ran.txt").exists()


def test_a_value_cannot_write_lines_of_a_config(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    odd = "class Odd:\n    def __repr__(self):\n        return 'x\\nraise 5#'\n"
    path.write_text(odd + "\n".join(LINES).replace("num_classes=19", "num_classes=Odd()"))
    assert patch(path, 3, guards=False).write(tmp_path / "out.py")
    assert Config.fromfile(str(tmp_path / "out.py")).model.decode_head.num_classes == 3


def test_a_package_name_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("evil.inner::x.py", "::x.py", "..evil::x.py", "a\0b::x.py", "-::x.py"):
        with pytest.raises(FixkitError, match="is not installed"):
            check(name)
        (tmp_path / "x.py").write_text(f"_base_ = {name!r}\n")
        with pytest.raises(FixkitError):
            check(tmp_path / "x.py")
