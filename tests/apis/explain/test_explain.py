"""`mmseg-fix explain` and `explain()`: order of cause, configs, tables, input, output."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from mmseg_fixkit import FixkitError, explain
from mmseg_fixkit.cli.output.explain import explain_text
from tests.apis.explain.examples import long_log, training_line

INDEX = (
    "../aten/src/ATen/native/cuda/IndexKernel.cu:92: operator(): block: [0,0,0], thread: [91,0,0] "
    'Assertion `index >= -sizes[i] && index < sizes[i] && "index out of bounds"` failed.'
)
WRAPPER = "RuntimeError: CUDA error: device-side assert triggered"
HEAD = (
    "size mismatch for decode_head.conv_seg.weight: copying a param with shape torch.Size([19, 512,"
    " 1, 1]) from checkpoint, the shape in current model is torch.Size([8, 512, 1, 1])."
)

QUERY = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead', num_classes=3,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0, 1.0, 1.0]),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True)))
"""
SIGMOID = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
"""
PLAIN = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
"""
OHEM = """
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
"""
CLASSES = """
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('a', 'b', 'c'))))
"""


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, piped: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", "explain", *arguments],
        input=piped,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80", **environment},
        check=False,
    )


def ids_in(text: str) -> list[str]:
    return [each.id for each in explain(text)]


def table(*rows: str, columns: str = "|  IoU  |  Acc  |") -> str:
    line = "+------------+-------+-------+"
    return "\n".join([line, f"|   Class    {columns}", line, *rows, line])


def test_roots_come_before_what_they_bring_about() -> None:
    found = explain(
        "\n".join([HEAD, WRAPPER, training_line(50), "IndexError: Target 8 is out of bounds."])
    )
    assert [e.id for e in found] == [
        "label-out-of-range",
        "checkpoint-other-classes",
        "device-side-assert",
    ]
    assert [e.consequence_of for e in found] == [None, None, "label-out-of-range"]


def test_a_consequence_is_told_in_a_line() -> None:
    text = explain_text(explain(f"{INDEX}\n{WRAPPER}"))
    assert "A consequence of 1: repair that one first." in text
    assert "CUDA_LAUNCH_BLOCKING" not in text


def test_the_wrapper_alone_says_where_to_look() -> None:
    (found,) = explain(WRAPPER)
    assert "Assertion" in found.what
    assert "CUDA_LAUNCH_BLOCKING=1" in found.sure
    assert "CUDA_VISIBLE_DEVICES=" in found.sure


def test_numbers_are_filled_in() -> None:
    (found,) = explain("weight tensor should be defined either for all 19 classes or no classes "
                       "but got weight tensor of shape: [8]")  # fmt: skip
    assert found.what == "The head has 19 outputs, but class_weight has 8 entries."
    assert found.values == {"classes": 19, "length": 8}
    (query,) = explain("IndexError: index 3 is out of bounds for dimension 0 with size 3")
    assert "N + 1 = 4 entries" in query.why


@pytest.mark.parametrize(
    ("config", "fits"),
    [
        (QUERY + CLASSES, ["weights-without-no-object"]),
        (SIGMOID + CLASSES, ["sigmoid-and-label-too-large"]),
        (PLAIN + CLASSES, []),
        (
            # With this flag, both stacks have the fault.
            "_base_ = 'mmseg::cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py'\n"
            "model = dict(decode_head=dict(loss_decode=dict(avg_non_ignore=True)))",
            ["weights-and-ignored-pixels"],
        ),
    ],
    ids=["query head", "sigmoid", "none", "class weights"],
)
def test_a_config_tells_the_causes_of_one_text_apart(config: str, fits: list[str]) -> None:
    if "cgnet" in config:
        from mmseg_fixkit.config.host import zoo_path

        config = config.replace(
            "mmseg::cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py",
            str(zoo_path("mmseg::cgnet/cgnet_fcn_4xb4-60k_cityscapes-680x680.py")),
        )
    Path("c.py").write_text(config)
    (found,) = explain(INDEX, "c.py")
    assert len(found.possibilities) == 3
    assert [p.id for p in found.possibilities if p.fits] == fits
    assert all(p.because for p in found.possibilities)
    assert all("CONFIG" not in step for step in found.next)
    (without,) = explain(INDEX)
    assert [p.fits for p in without.possibilities] == [None] * 3


def test_a_config_tells_a_sampler_from_a_label() -> None:
    text = 'Assertion `idx_dim >= 0 && idx_dim < index_size && "index out of bounds"` failed.'
    Path("c.py").write_text(OHEM)
    assert [p.id for p in explain(text, "c.py")[0].possibilities if p.fits] == [
        "one-channel-and-sampler"
    ]
    Path("d.py").write_text(PLAIN + CLASSES)
    assert [p.id for p in explain(text, "d.py")[0].possibilities if p.fits] == ["label-too-large"]


FOUR = QUERY.replace("[1.0, 1.0, 1.0]", "[1.0, 1.0, 1.0, 0.1]")
NLL = 'Assertion `idx_dim >= 0 && idx_dim < index_size && "index out of bounds"` failed.'
NO_WEIGHTS = "no CrossEntropyLoss of MMSegmentation has class_weight"
NO_SIGMOID = "no loss of classes has use_sigmoid=True"
NO_QUERY = "there is no query head"
KEY = "model.decode_head"


@pytest.mark.parametrize(
    ("text", "config", "why", "because", "steps"),
    [
        (
            INDEX,
            QUERY + CLASSES,
            "3 causes, of which the config shows 1.",
            {
                "weights-without-no-object": f"MSF102 {KEY}.loss_cls.class_weight is [1.0, 1.0, "
                "1.0], but with 3 classes the loss has to have 4 entries (N + 1: 3 classes and 'no "
                "object', as Mask2FormerHead is a query head)",
                "weights-and-ignored-pixels": NO_WEIGHTS,
                "sigmoid-and-label-too-large": NO_SIGMOID,
            },
            ["mmseg-fix check c.py --fix  # MSF102 gives class_weight its N + 1 entries"],
        ),
        (
            INDEX,
            FOUR + CLASSES,
            "3 causes, of which the config shows none: then it is a label value, or your own code.",
            {
                "weights-without-no-object": "Mask2FormerHead has N + 1 weights, or none",
                "weights-and-ignored-pixels": NO_WEIGHTS,
                "sigmoid-and-label-too-large": NO_SIGMOID,
            },
            [
                "mmseg-fix check c.py",
                "mmseg-fix scan c.py  # lists every file with such values, worst first",
            ],
        ),
        (
            INDEX,
            SIGMOID + CLASSES,
            "3 causes, of which the config shows 1.",
            {
                "sigmoid-and-label-too-large": f"{KEY}.loss_decode.use_sigmoid is True; whether a "
                "label is N or more, the scan says",
                "weights-without-no-object": NO_QUERY,
                "weights-and-ignored-pixels": NO_WEIGHTS,
            },
            ["mmseg-fix scan c.py  # lists every file with such values, worst first"],
        ),
        (
            NLL,
            OHEM,
            "2 causes, of which the config shows 1.",
            {
                "one-channel-and-sampler": f"MSF110 {KEY}.sampler is {{'type': 'OHEMPixelSampler', "
                "'thresh': 0.7, 'min_kept': 10000}, but with out_channels=1 there is no second "
                "channel for it to index",
                "label-too-large": "the sampler alone stops the run",
            },
            ["mmseg-fix check c.py --fix  # MSF110"],
        ),
        (
            NLL,
            PLAIN + CLASSES,
            "2 causes, of which the config shows 1.",
            {
                "label-too-large": "the files say, not the config",
                "one-channel-and-sampler": "no head with one channel has a sampler",
            },
            ["mmseg-fix scan c.py  # lists every file with such values, worst first"],
        ),
    ],
    ids=["no object", "all entries", "sigmoid", "sampler", "label"],
)
def test_what_is_said_of_each_cause(
    text: str, config: str, why: str, because: dict[str, str], steps: list[str]
) -> None:
    Path("c.py").write_text(config)
    (found,) = explain(text, "c.py")
    assert found.why == f"This text has {why}"
    assert [(p.id, p.because) for p in found.possibilities] == [*because.items()]
    assert [*found.next] == steps


def test_findings_of_check_that_fit_are_shown() -> None:
    Path("c.py").write_text(PLAIN.replace("num_classes=3", "num_classes=19") + CLASSES)
    (found,) = explain("IndexError: Target 19 is out of bounds.", "c.py")
    assert [d.code for d in found.findings] == ["MSF101"]
    shown = run("IndexError: Target 19 is out of bounds.", "--config", "c.py").stdout
    assert "found  c.py:4: MSF101 model.decode_head.num_classes is 19" in shown
    assert "$ mmseg-fix scan c.py" in shown


def test_a_config_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FixkitError, match=r"nowhere\.py"):
        explain(INDEX, "nowhere.py")
    done = run(INDEX, "--config", "nowhere.py")
    assert (done.returncode, done.stdout) == (2, "")


ROAD = "| road       | 96.83 | 98.2  |"

TABLES = {
    "sound": ((ROAD, "| traffic light | 60.1 | 70.0 |"), {}),
    "no truth": (
        (ROAD, "| traffic light |  0.0 |  nan |"),
        {"result-without-truth": "traffic light"},
    ),
    "absent": ((ROAD, "| car |  nan |  nan |"), {"result-absent": "car"}),
    "never hit": (
        (ROAD, "| car |  0.0 |  0.0 |", "| sky | 50.0 | 60.0 |"),
        {"result-never-hit": "car"},
    ),
    "one class": (
        ("| background | 97.3 | 100.0 |", "| car |  0.0 |  0.0 |", "| sky | nan | nan |"),
        {"result-one-class": "background", "result-absent": "sky"},
    ),
    "one labelled": (
        ("| background | 100.0 | 100.0 |", "| polyp | nan | nan |"),
        {"result-only-one-labelled": "background"},
    ),
    "nothing": (("| a | nan | nan |", "| b | nan | nan |"), {"result-nothing-counted": "a, b"}),
    "all three": (
        (
            ROAD,
            "| car | 0.0 | nan |",
            "| sky | 0.0 | 0.0 |",
            "| sea | nan | nan |",
            "| sun | 0.0 | nan |",
        ),
        {
            "result-without-truth": "car, sun",
            "result-never-hit": "sky",
            "result-absent": "sea",
        },
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_read(name: str) -> None:
    rows, expected = TABLES[name]
    found = explain(table(*rows))
    assert {e.id: e.values["names"] for e in found} == expected


def test_tables_of_other_metrics_are_read() -> None:
    dice = table("| road | 96.8 | 98.2 |", "| car | 0.0 | nan |", columns="| Dice | Acc |")
    assert ids_in(dice) == ["result-without-truth"]
    score = table(
        "| road | 90.1 | 91.0 | 92.0 |",
        "| car | 0.0 | 0.0 | 0.0 |",
        columns="| Fscore | Precision | Recall |",
    )
    assert "result-one-class" not in ids_in(score)
    assert "result-never-hit" in ids_in(score)


def test_the_last_table_of_a_log_counts() -> None:
    early, late = table(ROAD, "| car | 0.0 | 0.0 |"), table(ROAD, "| car | 40.0 | 50.0 |")
    assert explain(f"{early}\n{training_line(50)}\n{late}\n") == []
    found = explain(f"{late}\n{training_line(50)}\n{early}\n")
    assert [(e.id, e.line) for e in found] == [("result-never-hit", 9)]


LOSSES = {
    "sound": ([training_line(50), training_line(100)], []),
    "nan later": (
        [training_line(50), training_line(100).replace("loss: 2.0100", "loss: nan")],
        ["loss-nan"],
    ),
    "zero later, as of a model that has learned": (
        [training_line(50), "Iter(train) [ 100/40000]  loss: 0.0000  decode.loss_ce: 0.0000"],
        [],
    ),
    "zero of one head": (
        ["Iter(train) [ 50/400]  loss: 1.2000  decode.loss_ce: 0.0000  aux.loss_ce: 1.2000"],
        ["loss-zero"],
    ),
    "zero of one of two losses of a head": (
        ["Iter(train) [ 50/400]  loss: 1.2000  decode.loss_ce: 1.2000  decode.loss_dice: 0.0000"],
        [],
    ),
    "a gradient that recovers": (
        ["Iter(train) [ 50/400]  grad_norm: nan  loss: 1.2000", training_line(100)],
        [],
    ),
    "a gradient that overflows": (["Iter(train) [ 50/400]  grad_norm: inf  loss: 1.2000"], []),
    "a gradient that stays nan": (
        ["Iter(train) [ 50/400]  grad_norm: nan  loss: 1.2000"] * 3,
        ["gradient-nan"],
    ),
    "accuracy that is nan": (["Iter(train) [ 50/400]  loss: 1.2000  decode.acc_seg: nan"], []),
    "a config in the log": (["loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.0)"], []),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_read(name: str) -> None:
    lines, expected = LOSSES[name]
    assert ids_in("\n".join(lines)) == expected


def test_the_first_nan_is_named_by_its_iteration() -> None:
    (found,) = explain(f"{training_line(50)}\n{training_line(100).replace('loss: ', 'loss: nan ')}")
    assert found.values["names"] == "loss"
    assert found.values["iteration"] == "100/40000"
    assert found.line == 2


def test_a_clean_log_and_prose_give_nothing() -> None:
    assert explain(long_log("")[0]) == []
    assert explain("The model trained well. Target 15 was met; the index was in bounds.") == []


def test_a_pretrained_backbone_without_its_classifier_is_no_news() -> None:
    text = (
        "2026/01/02 10:00:00 - mmengine - WARNING - The model and loaded state dict do not match "
        "exactly\n\nunexpected key in source state_dict: fc.weight, fc.bias\n"
    )
    assert explain(text) == []


@pytest.mark.parametrize(
    ("arguments", "piped"),
    [
        (["IndexError: Target 15 is out of bounds."], ""),
        (["IndexError:", "Target", "15", "is", "out", "of", "bounds."], ""),
        (["-"], "IndexError: Target 15 is out of bounds."),
        ([], "IndexError: Target 15 is out of bounds."),
        (["run.log"], ""),
        (["--file", "run.log"], ""),
    ],
    ids=["text", "words", "dash", "pipe", "file", "--file"],
)
def test_text_comes_in_several_ways(arguments: list[str], piped: str) -> None:
    Path("run.log").write_text("IndexError: Target 15 is out of bounds.\n")
    done = run(*arguments, piped=piped)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A label is no class of the head\n")


def test_an_unknown_text_says_so_and_how_to_get_a_clearer_one() -> None:
    done = run("hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert "No known fault is in this text." in done.stderr
    assert "CUDA_LAUNCH_BLOCKING=1" in done.stderr
    as_json = run("hello", "--output-format", "json")
    assert (as_json.returncode, json.loads(as_json.stdout)) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.log"], "no.log cannot be read: No such file or directory"),
        (["--file", "no"], "no cannot be read: No such file or directory"),
        (["work"], "work is a folder; the newest log in it is work/a/a.log"),
        (["text", "--file", "no"], "give a text or --file LOG, not both"),
    ],
    ids=["log", "--file", "folder", "both"],
)
def test_wrong_use_is_one_message(arguments: list[str], message: str) -> None:
    Path("work/a").mkdir(parents=True)
    Path("work/a/a.log").touch()
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"mmseg-fix: error: {message}\n"


def on_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run it with a terminal for stdin and stdout."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", "explain", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "80", **environment},
    )
    os.close(theirs)
    told = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        told += piece
    os.close(ours)
    return process.wait(), told.decode()


def test_nothing_on_a_terminal_is_wrong_use() -> None:
    code, told = on_a_terminal()
    assert code == 2
    assert "there is nothing to explain" in told


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "IndexError: Target 15 is out of bounds."
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in on_a_terminal(error, TERM="xterm")[1]
    assert "\x1b[" not in on_a_terminal(error, NO_COLOR="1")[1]
    assert "\x1b[" in on_a_terminal(error, NO_COLOR="")[1]  # an empty one is none
    assert "\x1b[" not in run(error).stdout


def test_lines_fit_the_terminal() -> None:
    text = "\n".join([HEAD, INDEX, WRAPPER, "need at least one array to concatenate"])
    shown = run(text, COLUMNS="80").stdout
    assert [line for line in shown.splitlines() if len(line) > 80 and "$ " not in line] == []


def test_json_has_all_there_is() -> None:
    done = run(f"{INDEX}\n{WRAPPER}", "--output-format", "json")
    first, second = json.loads(done.stdout)
    assert done.returncode == 0
    assert (first["id"], first["line"], first["count"]) == ("index-out-of-bounds", 1, 1)
    assert first["evidence"] == INDEX
    assert [p["fits"] for p in first["possibilities"]] == [None, None, None]
    assert {"what", "why", "sure", "next", "values", "rules", "references", "title"} <= set(first)
    assert second["consequence_of"] == "index-out-of-bounds"


def test_explain_loads_no_other_framework() -> None:
    code = (
        "import sys; from mmseg_fixkit.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('MODULES', *{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", INDEX], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.rsplit("MODULES", 1)[1].split())
    assert not loaded & {"mmengine", "torch", "mmseg", "mmcv", "numpy", "rich"}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="read from Linux's /proc")
def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    line = (training_line(50) + "\n").encode()
    code = (
        "import re, sys; from mmseg_fixkit import explain\n"
        "found = explain(open(sys.argv[1], 'rb'))\n"
        "peak = re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(len(found), peak)"
    )
    peaks = []
    for megabytes in (2, 40):
        path = tmp_path / f"{megabytes}.log"
        path.write_bytes(line * (megabytes * 1_000_000 // len(line)))
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        found, peak = map(int, done.stdout.split())
        assert found == 0
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 16_000  # KB


class OneByteAtATime(io.BytesIO):
    def read(self, size: Optional[int] = -1, /) -> bytes:
        return super().read(1)


def test_colours_are_taken_off_however_the_text_is_read() -> None:
    colours = "\x1b[31mIndexError\x1b[0m: \x1b]0;a title\x1b\\Target 8 \x1b(Bis out of \x1b]0;t\x07"
    data = f"{'noise ' * 99}\n{colours}bounds.\n\x1b".encode()
    whole, pieces = explain(data), explain(OneByteAtATime(data))
    assert [each.evidence for each in whole] == ["IndexError: Target 8 is out of bounds."]
    assert pieces == whole
