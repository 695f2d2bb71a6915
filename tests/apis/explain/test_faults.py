"""Every example is known, by its own fault alone, whatever a terminal did to it."""

from __future__ import annotations

import re
import textwrap
import time
from typing import Callable

import pytest

from mmseg_fixkit import explain
from mmseg_fixkit.apis.explain.fault import Fault
from mmseg_fixkit.config.host import CLASS_ROWS, HEAD_SPECS
from tests.apis.explain.examples import (
    EXAMPLES,
    WIDTHS,
    Example,
    hard_wrapped,
    long_log,
    training_line,
)

EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)


def ids_in(text: str) -> set[str]:
    return {each.id for each in explain(text)}


def colours(text: str) -> str:
    words = re.sub(r"(\w+Error)", "\x1b[31m\\1\x1b[0m", text)
    return f"\x1b[1m{words}\x1b[0m"


def ranks(text: str) -> str:
    return "\n".join(f"[rank0]: {line}" for line in text.split("\n"))


def launcher(text: str) -> str:
    return "\n".join(f"[1]: {line}" for line in text.split("\n"))


def indented(text: str) -> str:
    lines = textwrap.indent(text, "    ")
    return f'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n{lines}\n'


def progress(text: str) -> str:
    bars = "\r".join(f" {i}%|{'#' * i:<50}| {i}/100 [00:{i:02}<01:00, 1.2s/it]" for i in range(50))
    return f"{bars}\r{text}\n{bars}"


CHANGES: dict[str, Callable[[str], str]] = {
    "colours": colours,
    "lost colours": lambda text: f"[31m{text}[0m",
    "timestamp": lambda text: f"2026/01/02 10:00:00 - mmengine - INFO - {text}",
    "short timestamp": lambda text: f"01/02 10:00:00 - mmengine - ERROR - {text}",
    "ISO timestamp": lambda text: f"2026-01-02T10:00:00.1234567Z {text}",
    "rank": ranks,
    "launcher": launcher,
    "carriage returns": lambda text: text.replace("\n", "\r\n") + "\r\n",
    "indented": indented,
    "progress bar": progress,
    "quoted": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "rich frame": lambda text: "\n".join(f"│ {line} │" for line in text.split("\n")),
    "doubled": lambda text: f"{text}\n{text}\n",
}


def is_of_a_table(fault: Fault) -> bool:
    return fault.id.startswith("result-")


@EACH
def test_an_example_is_explained_by_its_own_fault_alone(example: Example) -> None:
    assert ids_in(example.text) == {example.fault.id, *example.others}, (
        f"{example.name} is explained by other faults than it names; where that is right, write "
        f"`==== and FAULT` above it in tests/apis/explain/{example.fault.id}.txt; else correct the "
        f"patterns of [{example.fault.id}], or its anchors, one of which stands in each text"
    )


@pytest.mark.parametrize(
    ("kind", "layer"), [(n, layer) for n, s in HEAD_SPECS.items() for layer in s.class_layers]
)
def test_the_class_layers_of_every_head_are_known_for_what_they_are(kind: str, layer: str) -> None:
    bare = layer.replace(r"\d+", "0").replace("\\", "")
    weight = bare if bare.endswith(("cls_emb", ".weight")) else f"{bare}.weight"
    axes = next((a for p, a in HEAD_SPECS[kind].class_axes if re.fullmatch(p, weight)), CLASS_ROWS)
    old, new = ("19,512", "7,512") if axes[0].dim == 0 else ("512,275,1", "512,263,1")
    text = (
        f"size mismatch for decode_head.{weight}: copying a param with shape "
        f"torch.Size([{old}]) from checkpoint, the shape in current model is torch.Size([{new}])."
    )
    assert ids_in(text) == {"checkpoint-other-classes"}


@EACH
def test_an_example_is_known_again_after_any_change(example: Example) -> None:
    found = {name: ids_in(change(example.text)) for name, change in CHANGES.items()}
    assert found == dict.fromkeys(CHANGES, ids_in(example.text))


@EACH
def test_an_example_is_known_again_where_it_is_wrapped(example: Example) -> None:
    text = example.text
    logged = f"2026/01/02 10:00:00 - mmengine - INFO - {text}"
    wraps = [hard_wrapped(each, width) for each in (text, logged) for width in WIDTHS]
    if not is_of_a_table(example.fault):  # a table has no words to break between
        wraps += [textwrap.fill(text, width) for width in WIDTHS]
    assert [wrapped for wrapped in wraps if example.fault.id not in ids_in(wrapped)] == []


@EACH
def test_an_example_is_known_again_in_a_long_log(example: Example) -> None:
    fault, text = example.fault, example.text
    inside, line = long_log(text)
    found = {each.id: each for each in explain(inside)}
    if fault.patterns:
        assert fault.id in found
        assert line <= found[fault.id].line <= line + text.count("\n")
        assert set(found) == ids_in(text)
    elif is_of_a_table(fault):
        assert fault.id in found
    elif fault.id == "loss-nan":
        assert found[fault.id].line == line
    else:  # the first loss and the last gradient of the log are sound
        assert not found


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.fault.patterns], ids=lambda e: e.name)
def test_the_core_of_an_example_is_enough(example: Example) -> None:
    """Loggers cut long lines at both ends."""
    fault, text = example.fault, example.text
    core = re.sub(r"\s+", "", next(e for e in explain(text) if e.id == fault.id).evidence)
    for start in range(len(text) - 1, 0, -1):  # the shortest end of the text that is enough
        if fault.id in ids_in(text[start:]):
            break
    assert len(text) - start <= 400 or len(core) <= 400


@EACH
def test_every_template_is_filled(example: Example) -> None:
    found = {each.id: each for each in explain(example.text)}[example.fault.id]
    told = (found.what, found.why, found.sure, *found.next, *(p.what for p in found.possibilities))
    assert all(told)
    assert not any(re.search(r"\{[a-z_]+\}", part) for part in told)


def test_numbers_are_taken_out_of_wrapped_text() -> None:
    text = "x" * 70 + " IndexError: Target 151 is out of bounds."
    found = explain(hard_wrapped(text, 80))
    assert [(e.id, e.values) for e in found] == [("label-out-of-range", {"value": 151})]
    assert "labelled 151" in found[0].what


def test_several_values_are_all_named() -> None:
    found = explain("\n".join(f"IndexError: Target {i} is out of bounds." for i in (15, 16, 15)))
    assert found[0].values == {"value": [15, 16]}
    assert found[0].count == 3
    assert "labelled 15, 16" in found[0].what


def test_the_evidence_is_the_first_line_whichever_pattern_it_has() -> None:
    first, last = "EOFError: Ran out of input", "RuntimeError: PytorchStreamReader failed reading x"
    for lines in ((first, last), (last, first)):
        (found,) = explain("\n".join(lines))
        assert (found.line, found.count, found.evidence) == (1, 2, lines[0])


def test_a_message_that_is_wrapped_counts_beside_one_that_is_not() -> None:
    wrapped = hard_wrapped("x" * 70 + " IndexError: Target 16 is out of bounds.", 80)
    (found,) = explain(f"IndexError: Target 15 is out of bounds.\n{wrapped}\n")
    assert (found.count, found.values) == (2, {"value": [15, 16]})


@pytest.mark.parametrize("rule", ["+", "+-", "|:-", "a | ", "> ", "[0]:", "a."])
def test_what_is_repeated_takes_no_longer_than_the_text(rule: str) -> None:
    begin = time.process_time()
    assert explain(f"|Class|IoU|Acc|{rule * 50_000}x") == []
    assert explain(f"{rule * 50_000}x loss: 1.0\nKeyError: 'x'") == []
    assert time.process_time() - begin < 2


def test_a_flood_of_one_message_hides_no_other() -> None:
    flood = (
        "../aten/src/ATen/native/cuda/IndexKernel.cu:92: operator(): block: [{},0,0], thread: "
        "[91,0,0] Assertion `index >= -sizes[i] && index < sizes[i] && "
        '"index out of bounds"` failed.'
    )
    lines = [flood.format(i) for i in range(20_000)]
    text = "\n".join([*lines, "RuntimeError: CUDA error: device-side assert triggered"])
    found = explain(text)
    assert [e.id for e in found] == ["index-out-of-bounds", "device-side-assert"]
    assert found[1].line == 20_001
    assert found[1].consequence_of == "index-out-of-bounds"


def test_a_message_is_found_once_wherever_a_piece_of_the_text_ends() -> None:
    piece = 1 << 17
    line = training_line(50) + "\n"
    error = "IndexError: Target 151 is out of bounds.\n"
    for shift in (-74_000, -73_728, -66_000, -65_557, -65_536, -30_000, -4_100, -20, 0, 20):
        count = (piece + shift) // len(line)
        fill = "x" * ((piece + shift) % len(line)) + "\n"
        found = explain(line * count + fill + error + line * 3000)
        assert [(e.id, e.line, e.count) for e in found] == [("label-out-of-range", count + 2, 1)]


def test_a_table_of_1000_classes_is_read_wherever_a_piece_of_the_text_ends() -> None:
    line = training_line(50) + "\n"
    rows = "".join(f"| class number {n} | 61.21 | 70.33 |\n" for n in range(1000))
    table = f"| Class | IoU | Acc |\n{rows}| the last one | 0.0 | nan |\n"
    for count in range(200, 1000, 40):
        found = explain(line * count + table + line * 30)
        assert [(e.id, e.line) for e in found] == [("result-without-truth", count + 1)]
        assert found[0].values == {"names": "the last one"}


@pytest.mark.parametrize("fill", ["x", "ab "])
def test_of_a_long_line_what_stands_around_the_message_is_quoted(fill: str) -> None:
    error = "IndexError: Target 15 is out of bounds."
    (found,) = explain(f"one\n{fill * 5000}\n{fill * 500}{error}{fill * 500}\n{fill * 5000}")
    assert found.line == 3
    assert error in found.evidence
    before, _ = found.evidence.split(error)
    assert 280 <= len(before) <= 300
    assert found.evidence.endswith("…")
    assert len(found.evidence) == 600
    (whole,) = explain(f"{'x' * 200} {error} {'y' * 200}")
    assert whole.evidence == f"{'x' * 200} {error} {'y' * 200}"


def test_utf_16_of_a_windows_shell_is_read() -> None:
    assert ids_in("IndexError: Target 15 is out of bounds.") == {
        e.id for e in explain("IndexError: Target 15 is out of bounds.\r\n".encode("utf-16"))
    }


def test_bytes_that_are_no_text_are_no_fault() -> None:
    assert explain(bytes(range(256)) * 5000) == []
    assert explain(b"") == []


@EACH
def test_every_template_is_filled_with_several_values_and_with_numbers_of_any_length(
    example: Example,
) -> None:
    """A log may have the message of several runs; a damaged one may have any digits."""
    if not example.fault.patterns:
        return
    digits = re.sub(r"\d", "9", example.text)
    for text in (f"{example.text}\n{digits}", re.sub(r"\d+", "9" * 12, example.text)):
        for each in explain(text):
            assert all("{" not in step for step in each.next if step.startswith("mmseg-fix"))
            assert each.what
