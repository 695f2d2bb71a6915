"""The command line as users meet it: exit codes, streams, messages, and what is imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_fixkit.config.host import zoo_path

PSPNET = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
MASK2FORMER = "mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"
EIGHT = "background,circle,square,triangle,star,ring,cross,hexagon"

RIGHT = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", **environment},
        check=False,
    )


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


def imported_by(*arguments: str) -> set[str]:
    code = (
        "import sys; sys.argv[0] = 'mmseg-fix'\n"
        "from mmseg_fixkit.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('MODULES', *{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.rsplit("MODULES", 1)[1].split())


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {"mmengine", "torch", "mmseg", "mmcv", "numpy"}),
        (["patch", "--help"], {"mmengine", "torch", "mmseg", "mmcv", "numpy"}),
        (["weights", "--help"], {"mmengine", "torch", "mmseg", "mmcv", "numpy"}),
        (["patch", PSPNET, "--num-classes", "8", "--diff"], {"torch", "mmseg", "mmcv"}),
        (["patch", PSPNET, "--num-classes", "8"], {"torch", "mmseg", "mmcv"}),
        (["check", PSPNET], {"torch", "mmseg", "mmcv"}),
        (["rule", "MSF101"], {"torch", "mmseg", "mmcv", "mmengine", "numpy", "PIL"}),
    ],
    ids=lambda words: " ".join(sorted(words) if isinstance(words, set) else words),
)
def test_start_up_is_light(arguments: list[str], absent: set[str]) -> None:
    assert not imported_by(*arguments) & absent


def test_the_rules_load_no_decoder() -> None:
    code = "import sys, mmseg_fixkit.rules; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "mmseg_fixkit.rules.label_values" in loaded
    assert not loaded & {"numpy", "PIL", "cv2", "mmengine", "torch"}


def test_patch_of_pspnet_with_eight_classes() -> None:
    first = run("patch", PSPNET, "--classes", EIGHT, "-o", "shapes.py", "--img-suffix", ".jpg")
    assert first.returncode == 0, first.stderr
    assert "model.auxiliary_head.num_classes: 19 -> 8" in first.stdout
    assert "proved by loading it again" in first.stdout
    second = run("patch", "shapes.py", "--classes", EIGHT)
    assert (second.returncode, second.stdout) == (
        0,
        "shapes.py: nothing to do, it fits its 8 classes.\n",
    )
    assert not Path("shapes_fixed.py").exists()
    same_again = run("patch", PSPNET, "--classes", EIGHT, "-o", "shapes.py", "--img-suffix", ".jpg")
    assert same_again.returncode == 0
    assert "up to date" in same_again.stdout
    assert run("check", "shapes.py").returncode == 0


def test_diff_shows_the_change_and_writes_nothing() -> None:
    shown = run("patch", PSPNET, "--classes", EIGHT, "--diff")
    assert shown.returncode == 1
    assert "-        num_classes=19,\n+        num_classes=8," in shown.stdout
    assert list(Path().iterdir()) == []
    write("right.py", RIGHT)
    nothing = run("patch", "right.py", "--no-guards", "--diff")
    assert (nothing.returncode, nothing.stdout) == (0, "")


def test_in_place_changes_the_file_itself_and_says_so() -> None:
    write("c.py", RIGHT + "# mine\n")
    shown = run("patch", "c.py", "--classes", "a,b,c", "--in-place", "--no-guards", "--diff")
    assert shown.returncode == 1
    assert "+++ c.py\n" in shown.stdout
    assert Path("c.py").read_text() == RIGHT + "# mine\n"
    done = run("patch", "c.py", "--classes", "a,b,c", "--in-place", "--no-guards")
    assert (done.returncode, done.stderr) == (0, "")
    assert "changed c.py in place: 2 changes, proved by loading it again." in done.stdout
    assert Path("c.py").read_text().endswith("# mine\n")
    again = run("patch", "c.py", "--classes", "a,b,c", "--in-place", "--no-guards")
    assert "nothing to do" in again.stdout
    assert [p.name for p in Path().iterdir()] == ["c.py"]


def test_mask2former_gets_its_fourth_weight() -> None:
    done = run(
        "patch",
        MASK2FORMER,
        "--classes",
        "soil,weed,crop",
        "--class-weight",
        "0.1,1,1",
        "-o",
        "m.py",
    )
    assert done.returncode == 0, done.stderr
    assert "class_weight=[0.1, 1.0, 1.0, 0.1]" in Path("m.py").read_text()


def test_a_word_that_is_no_method_is_refused() -> None:
    done = run("patch", MASK2FORMER, "--classes", "soil,weed,crop", "--class-weight", "median")
    assert_refused(done, "'median' is no method", "median-frequency")


@pytest.mark.parametrize(
    ("weights", "word"), [("0.1,1", "has 2 entries"), ("1,-1,1", "-1.0 is not a finite")]
)
def test_weights_that_fit_no_head_are_refused(weights: str, word: str) -> None:
    done = run("patch", MASK2FORMER, "--classes", "soil,weed,crop", "--class-weight", weights)
    assert_refused(done, word)
    assert "query head" in done.stderr
    assert re.search(r"give 3 weights \(N.*all 4 \(N \+ 1\)", done.stderr)


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("mmseg-fix: error: ")
    assert done.stderr.count("mmseg-fix: error: ") == 1
    for word in words:
        assert word in done.stderr
    assert not list(Path().glob("*_fixed.py"))
    assert not list(Path().glob(".*"))


#: What is in the folder -> arguments -> what the one message has to say.
REFUSALS = {
    "no such file": ({}, ["patch", "nowhere.py"], ["nowhere.py: there is no such file"]),
    "a zoo config by its bare name": (
        {},
        ["patch", "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024"],
        ["there is no such file", PSPNET],
    ),
    "no such zoo config": (
        {},
        ["patch", "mmseg::pspnet/pspnet_r51-d8_4xb2-40k_cityscapes-512x1024.py"],
        ["there is no such config", "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"],
    ),
    "a folder": ({}, ["patch", "."], [". is a folder"]),
    "not python": ({"c.py": "model = dict(\n"}, ["patch", "c.py"], ["c.py is not a Python config"]),
    "another kind of file": ({"c.txt": "hello"}, ["patch", "c.txt"], ["c.txt is not a config"]),
    "no text at all": ({"c.py": "\0"}, ["patch", "c.py"], ["c.py"]),
    "no model": ({"c.py": "a = 1"}, ["patch", "c.py"], ["has no `model = dict(…)`"]),
    "a config that fails": (
        {"c.py": "model = dict(a=1 / 0)"},
        ["patch", "c.py"],
        ["c.py fails when MMEngine runs it: ZeroDivisionError"],
    ),
    "a 0.x config": (
        {"c.py": "model = dict(type='EncoderDecoder')\ndata = dict(train=dict(type='A'))"},
        ["patch", "c.py"],
        ["MMSegmentation 0.x", "train_dataloader", "migration guide"],
    ),
    "a depth config": (
        {},
        ["patch", "mmseg::vpd/vpd_sd_4xb8-25k_nyu-512x512.py"],
        ["estimates depth", "DepthEstimator"],
    ),
    "a new-style config that mixes dialects": (
        {"c.py": "from mmseg.models import FCNHead\n_base_ = ['b.py']", "b.py": RIGHT},
        ["patch", "c.py"],
        ["c.py fails when MMEngine runs it"],
    ),
    "two forms of the result": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--in-place", "-o", "d.py"],
        ["give one of -o and --in-place"],
    ),
    "in place and flat": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--in-place", "--flat"],
        ["give one of --in-place and --flat"],
    ),
    "a config of the installed host in place": (
        {},
        ["patch", PSPNET, "--num-classes", "3", "--in-place"],
        ["belongs to an installed package", "write a file of your own with -o"],
    ),
    "a missing base": (
        {"c.py": "_base_ = './gone.py'\n"},
        ["patch", "c.py"],
        ["names a base or another file that is not there", "gone.py"],
    ),
    "classes given twice": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--classes", "a,b", "--num-classes", "2"],
        ["classes are given twice, by --classes and --num-classes"],
    ),
    "one name twice": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--classes", "a,b,a"],
        ["class name 'a' is given for labels 0, 2"],
    ),
    "too many classes": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--num-classes", "256"],
        ["256 classes are given", "at most 255"],
    ),
    "no classes": ({"c.py": RIGHT}, ["patch", "c.py", "--num-classes", "0"], ["no classes"]),
    "a palette of another length": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--classes", "a,b", "--palette", "0,0,0;9,9,9;1,1,1"],
        ["the palette has 3 colours, but there are 2 classes"],
    ),
    "a colour that is none": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--classes", "a,b", "--palette", "red;blue"],
        ["'red' is no colour"],
    ),
    "a palette of another length than the config's own classes": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--palette", "0,0,0"],
        ["the palette has 1 colours, but there are 2 classes"],
    ),
    "an output that exists": (
        {"c.py": RIGHT, "out.py": "mine = 1\n"},
        ["patch", "c.py", "--classes", "a,b", "-o", "out.py"],
        ["out.py exists already", "--overwrite"],
    ),
    "the config as output": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--classes", "a,b", "-o", "c.py", "--overwrite"],
        ["c.py is the config itself"],
    ),
    "a base of the config as output": (
        {"base.py": RIGHT, "middle.py": "_base_ = 'base.py'\n", "c.py": "_base_ = 'middle.py'\n"},
        ["patch", "c.py", "--classes", "a,b", "-o", "base.py", "--overwrite"],
        ["base.py is a file that the config inherits from"],
    ),
    "a missing output folder": (
        {"c.py": RIGHT},
        ["patch", "c.py", "--classes", "a,b", "-o", "gone/out.py"],
        ["there is no folder gone"],
    ),
    "an unknown rule": ({}, ["rule", "MSF999"], ["there is no rule 'MSF999'", "MSF101"]),
    "a selection of nothing": (
        {"c.py": RIGHT},
        ["check", "c.py", "--select", "MSF9"],
        ["'MSF9' selects no rule"],
    ),
    "classes that nobody knows": (
        {"c.py": "model = dict(type='EncoderDecoder')"},
        ["check", "c.py"],
        ["neither its heads nor no dataset", "--classes"],
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_is_one_message_and_exit_2(name: str) -> None:
    files, arguments, words = REFUSALS[name]
    for file, text in files.items():
        write(file, text)
    done = run(*arguments)
    if arguments[0] == "patch":
        assert_refused(done, *words)
    else:
        assert done.returncode == 2
        assert all(word in done.stderr for word in words)
    assert {p.name for p in Path().iterdir()} - {"__pycache__"} == set(files)
    assert all(Path(file).read_text() == text for file, text in files.items())


@pytest.mark.skipif(os.geteuid() != 0, reason="the file system tells root by a full device only")
def test_a_place_that_cannot_be_written_to() -> None:
    write("c.py", RIGHT)
    done = run("patch", "c.py", "--classes", "a,b", "-o", "/proc/out.py")
    assert_refused(done, "/proc/out.py cannot be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
def test_a_folder_without_permission() -> None:
    write("c.py", RIGHT)
    Path("closed").mkdir(mode=0o500)
    done = run("patch", "c.py", "--classes", "a,b", "-o", "closed/out.py")
    assert_refused(done, "closed/out.py cannot be written")


def test_without_a_stack_both_extras_are_named() -> None:
    write("c.py", RIGHT)
    # As in an environment without the host: none of its packages can be found.
    hidden = "import sys; sys.modules.update(mmengine=None, mmseg=None)\n"
    code = hidden + "from mmseg_fixkit.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "patch", "c.py", "--classes", "a,b"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(done, "mmseg-fixkit[openmmlab]", "mmseg-fixkit[onedl]")


def test_check_tells_unpatched_half_patched_and_right_apart() -> None:
    write("unpatched.py", RIGHT.replace("num_classes=2", "num_classes=19"))
    found = run("check", "unpatched.py")
    assert found.returncode == 1
    line = found.stdout.splitlines()[0]
    assert line == (
        "unpatched.py:4:79: MSF101 [*] model.decode_head.num_classes is 19, but the training "
        "dataset has 2 classes"
    )
    assert "Checked 1 config: 1 error." in found.stderr
    half = f"_base_ = '{zoo_path(PSPNET)}'\nmodel = dict(decode_head=dict(num_classes=8))\n"
    write("half.py", half)
    codes = {line.split(": ")[1].split()[0] for line in run("check", "half.py").stdout.splitlines()}
    assert codes == {"MSF101"}
    write("right.py", RIGHT)
    right = run("check", "right.py")
    assert (right.returncode, right.stdout) == (0, "")
    assert "all right" in right.stderr


def test_one_broken_file_does_not_stop_the_others() -> None:
    write("broken.py", "model = dict(")
    write("wrong.py", RIGHT.replace("num_classes=2", "num_classes=19"))
    done = run("check", "broken.py", "wrong.py")
    assert done.returncode == 2
    assert "MSF101" in done.stdout
    assert "1 config could not be read" in done.stderr


def test_json_for_programs() -> None:
    write("wrong.py", RIGHT.replace("num_classes=2", "num_classes=19"))
    done = run("check", "wrong.py", "--output-format", "json")
    (record,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert set(record) == {
        "config", "code", "name", "severity", "message", "file", "line", "column", "key",
        "found", "expected", "fix",
    }  # fmt: skip
    assert (record["code"], record["key"], record["found"], record["expected"]) == (
        "MSF101",
        "model.decode_head.num_classes",
        19,
        2,
    )
    assert record["fix"]["applicability"] == "safe"
    assert run("check", "wrong.py", "--exit-zero").returncode == 0
    assert run("check", "wrong.py", "--ignore", "MSF1").returncode == 0


def test_a_class_file_and_a_palette_file() -> None:
    write("c.py", RIGHT)
    write("classes.txt", "soil\nweed\n\ncrop\n")
    write("colours.txt", "1,2,3\n#0a0b0c\n7 8 9\n")
    done = run("patch", "c.py", "--classes-file", "classes.txt", "--palette", "colours.txt")
    assert done.returncode == 0, done.stderr
    text = Path("c_fixed.py").read_text()
    assert "classes=('soil', 'weed', 'crop')" in text
    assert "palette=[[1, 2, 3], [10, 11, 12], [7, 8, 9]]" in text


def test_one_class_is_said_to_mean_two() -> None:
    write("c.py", RIGHT)
    done = run("patch", "c.py", "--classes", "water")
    assert done.returncode == 0
    assert "background, water" in done.stderr
    assert "classes=('background', 'water')" in Path("c_fixed.py").read_text()


def test_rule_pages() -> None:
    page = run("rule", "class-weight-length")
    assert page.returncode == 0
    assert page.stdout.startswith("# MSF102: class-weight-length\n")
    assert "## Use instead" in page.stdout
    everything = run("rule", "--all")
    assert everything.stdout.count("## Fix safety") > 10
    linked = re.findall(r"^\| \[MSF\d+\]\(#(\S+)\)", everything.stdout, re.M)
    headings = re.findall(r"^# (MSF\d+): (\S+)$", everything.stdout, re.M)
    assert linked == [f"{code.lower()}-{name}" for code, name in headings]
    assert run("rule").returncode == 2


#: Fails where it is loaded from the temporary file that proves a change.
FAILS_THERE = (
    RIGHT + "if '{{ fileBasename }}'[0] == '.':\n    raise ValueError('{{ fileBasename }}')\n"
)


@pytest.mark.parametrize("arguments", [("--in-place",), ("--in-place", "--diff")])
def test_a_message_names_the_file_and_no_temporary_one(arguments: tuple[str, ...]) -> None:
    write("c.py", FAILS_THERE)
    done = run("patch", "c.py", "--classes", "a,b,c", *arguments)
    assert_refused(done, "c.py fails when MMEngine runs it: ValueError: c.py")
    assert Path("c.py").read_text() == FAILS_THERE


def test_a_folder_that_is_gone() -> None:
    code = (
        "import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "from mmseg_fixkit.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "check", "c.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert_refused(done, "the current folder is gone")


def test_version() -> None:
    from mmseg_fixkit import __version__

    assert run("--version").stdout == f"mmseg-fix {__version__}\n"
