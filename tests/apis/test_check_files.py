"""``mmseg-fix check`` over folders and many files: what is found, in what order, by how many."""

from __future__ import annotations

import json
import os
import pickle
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from mmseg_fixkit.apis.check import check
from mmseg_fixkit.apis.check_files import (
    PARALLEL_FROM,
    CheckResult,
    CheckTarget,
    check_all,
    default_jobs,
    find_targets,
    looks_like_config,
    portable,
)
from mmseg_fixkit.core.diagnostics import format_key
from mmseg_fixkit.core.errors import FixkitError
from tests.helpers.paths import ROOT

COMMAND = [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()"]

RIGHT = """model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
"""
WRONG = RIGHT.replace("num_classes=2", "num_classes=19")
BROKEN = "model = dict(\n"


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: dict[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "check", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", **environment},
        check=False,
    )


def found(*names: str) -> list[str]:
    return [target.config for target in find_targets(names).targets]


# --- what is checked -----------------------------------------------------------------------------


def test_a_folder_means_the_configs_of_models_below_it() -> None:
    write(
        {
            "configs/b.py": RIGHT,
            "configs/a/z.py": WRONG,
            "configs/a/inherits.py": "_base_ = '../b.py'\n",
            "configs/_base_/models/fcn.py": RIGHT,
            "configs/schedule.py": "max_iters = 10\n",
            "configs/notes.txt": "model = dict()",
            "configs/.hidden/a.py": RIGHT,
            "configs/env/pyvenv.cfg": "",
            "configs/env/a.py": RIGHT,
        }
    )
    targets = find_targets(["configs"])
    assert [t.config for t in targets.targets] == [
        "configs/b.py",
        "configs/a/inherits.py",
        "configs/a/z.py",
    ]
    assert targets.skipped == 2
    assert not any(t.named for t in targets.targets)
    assert found("configs/_base_") == ["configs/_base_/models/fcn.py"]


def test_each_config_is_checked_once_in_the_order_it_is_named() -> None:
    write({"configs/a.py": RIGHT, "configs/b.py": "x = 1", "c.py": RIGHT})
    zoo = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
    names = ["c.py", zoo, "./configs", "configs/a.py", zoo, str(Path("c.py").resolve())]
    assert found(*names) == ["c.py", zoo, "./configs/a.py"]
    targets = find_targets(["configs", "configs/b.py"]).targets
    assert [(t.config, t.named) for t in targets] == [
        ("configs/a.py", False),
        ("configs/b.py", True),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = dict(type='A')", True),
        ("model: dict = {}", True),
        ("base = dict()\nmodel = base", True),
        ("import copy\nmodel = copy.deepcopy({})", True),
        ("_base_ = './a.py'", True),
        ("from mmengine.config import read_base\nwith read_base():\n    from .a import *", True),
        ("model = dict(", True),  # reading it says what is wrong with it
        ("model = build_model()", False),
        ("model = nn.Linear(2, 2)", False),
        ("def f():\n    model = dict()", False),
        ('"""\nmodel = dict()\n"""', False),
        ("import torch\n", False),
        ("print 'python 2'", False),
        ("\0", False),
    ],
)
def test_what_looks_like_a_config(text: str, expected: bool) -> None:
    assert looks_like_config(text.encode()) is expected


def test_scripts_in_a_folder_are_not_run() -> None:
    trap = "open('ran', 'w')\nmodel = build()\n"
    write({"tools/train.py": trap, "tools/cfg.py": RIGHT})
    done = run("tools")
    assert done.returncode == 0, done.stderr
    assert not Path("ran").exists()
    assert "Checked 1 config: all right." in done.stderr
    assert "Skipped 1 file" in done.stderr


def test_a_config_without_a_model_is_skipped_in_a_folder_and_refused_by_name() -> None:
    depth = RIGHT.replace("EncoderDecoder", "DepthEstimator")
    child = "_base_ = './data.py'\n"
    write({"c/data.py": "a = 1", "c/child.py": child, "c/depth.py": depth, "c/right.py": RIGHT})
    folder = run("c")
    assert folder.returncode == 0, folder.stderr
    assert "Skipped 3 files" in folder.stderr
    assert "error" not in folder.stderr
    named = run("c/child.py", "c/right.py")
    assert named.returncode == 2
    assert "c/child.py is not the config of a model" in named.stderr
    assert "c/depth.py estimates depth" in run("c/depth.py").stderr


@pytest.mark.parametrize("files", [{}, {"empty/a.py": "x = 1"}, {"empty/a.py": "_base_ = []"}])
@pytest.mark.parametrize("output", ["text", "sarif"])
def test_nothing_checked_is_an_error(files: dict[str, str], output: str) -> None:
    Path("empty").mkdir()
    write(files)
    done = run("empty", "--output-format", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mmseg-fix: error: nothing was checked: ")
    assert ("1 Python file" in done.stderr) is bool(files)
    assert done.stderr.count("\n") == 1


# --- what comes of it ----------------------------------------------------------------------------


def test_one_broken_config_does_not_stop_the_others() -> None:
    write({"c/a.py": BROKEN, "c/b.py": WRONG, "c/c.py": "model = dict(a=1 / 0)", "c/d.py": RIGHT})
    outputs = []
    for jobs in ("1", "3"):
        done = run("c", "--jobs", jobs)
        assert done.returncode == 2
        assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["c/b.py"]
        assert re.findall(r"error: (\S+)", done.stderr) == ["c/a.py", "c/c.py"]
        assert "Checked 2 configs: 1 error." in done.stderr
        assert "2 configs could not be read." in done.stderr
        outputs.append((done.stdout, done.stderr))
    assert outputs[0] == outputs[1]
    assert run("c", "--exit-zero").returncode == 2


def test_processes_give_what_one_gives_in_the_same_order() -> None:
    write({f"c/{i:02}.py": (RIGHT, WRONG, BROKEN)[i % 3] for i in range(20)})
    targets = find_targets(["c"]).targets
    alone = list(check_all(targets, jobs=1))
    assert list(check_all(targets, jobs=3)) == alone
    assert [outcome.config for outcome in alone] == [f"c/{i:02}.py" for i in range(20)]
    assert [bool(outcome.error) for outcome in alone] == [i % 3 == 2 for i in range(20)]


def test_a_config_that_ends_its_process_is_told_from_the_others() -> None:
    files = {f"c/{i}.py": WRONG for i in range(8)}
    files["c/3.py"] = "__import__('os')._exit(7)\nmodel = dict()\n"
    write({**files, "c/5.py": "__import__('sys').exit(3)\nmodel = dict()\n"})
    outcomes = list(check_all(find_targets(["c"]).targets, jobs=2))
    assert [outcome.config for outcome in outcomes] == sorted(files)
    errors = {outcome.config: outcome.error for outcome in outcomes if outcome.error}
    assert set(errors) == {"c/3.py", "c/5.py"}
    assert all("ends the process that reads it" in text for text in errors.values())
    assert run("c/5.py").returncode == 2


def test_many_configs_get_a_process_for_each_core() -> None:
    assert default_jobs(PARALLEL_FROM) == 1
    assert default_jobs(PARALLEL_FROM + 1) == len(os.sched_getaffinity(0))


def test_reports_travel_between_processes() -> None:
    write({"wrong.py": WRONG})
    report = check("wrong.py")
    assert report.diagnostics
    assert pickle.loads(pickle.dumps(report)) == report
    outcome = CheckResult("wrong.py", report)
    assert portable(outcome) is outcome


def test_values_that_cannot_travel_are_told_by_their_text() -> None:
    write({"c/odd.py": RIGHT.replace("num_classes=2", "num_classes=lambda: 2"), "c/w.py": WRONG})
    odd, wrong = check_all(find_targets(["c"]).targets, jobs=2)
    assert odd.report is not None
    assert [format_key(d.key) for d in odd.report.diagnostics] == ["model.decode_head.num_classes"]
    assert "<function <lambda>" in str(odd.report.diagnostics[0].found)
    assert wrong.report is not None
    assert wrong.report.diagnostics[0].found == 19


def test_what_configs_print_does_not_reach_stdout() -> None:
    write({"loud.py": f"print('hello')\n{WRONG}"})
    for jobs in ("1", "2"):
        done = run("loud.py", "--output-format", "json", "--jobs", jobs)
        assert [record["code"] for record in json.loads(done.stdout)] == ["MSF101"]
        assert "hello" in done.stderr


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    mark = "open('started' + str(__import__('os').getpid()), 'w')"
    wait = f"{mark}\n__import__('time').sleep(60)\n{RIGHT}"
    write({"c/a.py": wait, "c/b.py": wait})
    for jobs in ("1", "2"):
        process = subprocess.Popen(
            [*COMMAND, "check", "c", "--jobs", jobs],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Jobs in the background of a shell ignore Ctrl-C, and hand that on.
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - no threads here
        )
        while process.poll() is None and len(list(Path().glob("started*"))) < int(jobs):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does, to all of them
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "")
        assert err == "mmseg-fix: error: stopped by Ctrl-C, so nothing is reported\n"
        for marker in Path().glob("started*"):
            marker.unlink()


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["text", "json", "sarif", "github"])
def test_a_report_file_holds_what_stdout_would(output: str) -> None:
    write({"c/a.py": WRONG, "c/b.py": RIGHT, "report": "old"})
    shown = run("c", "--output-format", output)
    written = run("c", "--output-format", output, "--output-file", "report")
    assert (shown.returncode, written.returncode) == (1, 1)
    assert written.stdout == ""
    assert Path("report").read_text() == shown.stdout
    assert "MSF101" in shown.stdout
    assert written.stderr == shown.stderr
    assert sorted(os.listdir()) == ["c", "report"]


def test_a_report_file_that_cannot_be_written() -> None:
    write({"a.py": WRONG})
    done = run("a.py", "--output-file", "gone/report")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--output-file gone/report cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_settings_of_a_project_hold_and_their_reasons_are_shown() -> None:
    ignoring = '[tool.mmseg-fixkit]\nignore = { MSF101 = "a head of our own" }\n'
    write({"ours/pyproject.toml": ignoring, "ours/a.py": WRONG, "ours/b.py": WRONG})
    write({"theirs/a.py": WRONG})
    ours = run("ours")
    assert (ours.returncode, ours.stdout) == (0, "")
    assert ours.stderr.count("note: ignored MSF101: a head of our own\n") == 1
    both = run("ours", "theirs")
    assert [line.split(":")[0] for line in both.stdout.splitlines()] == ["theirs/a.py"]
    asked = run("ours", "--select", "MSF101")
    assert asked.returncode == 1
    assert "ignored" not in asked.stderr


@pytest.mark.parametrize("body", ["selct = []", "select = 'MSF1'", "ignore = ['MSF999']"])
def test_settings_that_cannot_be_read_are_one_message(body: str) -> None:
    write({"a.py": RIGHT, "pyproject.toml": f"[tool.mmseg-fixkit]\n{body}\n"})
    done = run("a.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"mmseg-fix: error: \S+pyproject\.toml: tool\..*\n", done.stderr)


def on_a_terminal(*arguments: str, **environment: str) -> tuple[str, str]:
    """Run ``check`` with stderr on a terminal; return stdout and what the terminal got."""
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "check", *arguments],
        stdout=subprocess.PIPE,
        stderr=its,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
    )
    os.close(its)
    seen = b""
    while True:
        try:
            part = os.read(mine, 4096)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        seen += part
    os.close(mine)
    out, _ = process.communicate()
    return out.decode(), seen.decode()


def test_long_work_shows_a_bar_on_a_terminal() -> None:
    slow = f"__import__('time').sleep(1.2)\n{WRONG}"
    write({"c/a.py": slow, "c/b.py": slow, "c/c.py": WRONG})
    out, terminal = on_a_terminal("c", NO_COLOR="1")
    assert [line.split(":")[0] for line in out.splitlines()] == ["c/a.py", "c/b.py", "c/c.py"]
    assert "Checking" in terminal
    assert "Checked 3 configs" in terminal
    assert not re.search(r"\x1b\[[\d;]*[34]\dm", terminal)  # no colour
    assert "Checking" not in run("c").stderr


def test_short_work_shows_none() -> None:
    write({"c/a.py": WRONG, "c/b.py": WRONG})
    # A busy machine may make it long work.
    assert any("Checking" not in on_a_terminal("c")[1] for _ in range(5))


# --- pre-commit ----------------------------------------------------------------------------------


def hook() -> dict[str, Any]:
    (entry,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert isinstance(entry, dict)
    return entry


def test_the_hook_is_whole() -> None:
    entry = hook()
    assert (entry["id"], entry["language"], entry["types"]) == (
        "mmseg-fix-check",
        "python",
        ["python"],
    )
    files, left_out = re.compile(entry["files"]), re.compile(entry["exclude"])
    assert files.search("configs/unet/a.py")
    assert not files.search("tools/configs.py")
    assert left_out.search("configs/_base_/models/a.py")
    assert not left_out.search("configs/unet/my_base_.py")


def test_the_entry_of_the_hook_runs_on_the_files_that_it_is_given() -> None:
    write({"configs/a.py": WRONG, "configs/b.py": RIGHT})
    program, *arguments = shlex.split(hook()["entry"])
    assert program == "mmseg-fix"
    done = subprocess.run(
        [*COMMAND, *arguments, "configs/a.py", "configs/b.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "configs/a.py:3:79: MSF101" in done.stdout


def test_a_target_that_is_not_there_is_told() -> None:
    (outcome,) = check_all([CheckTarget("gone.py")])
    assert outcome.error == "gone.py: there is no such file"
    with pytest.raises(FixkitError, match="there is no such file"):
        check("gone.py")
