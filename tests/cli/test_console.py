"""What is shown on a terminal: a real one, of which each character is read."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """\
model = dict(type='EncoderDecoder', decode_head=dict(type='FCNHead', num_classes=3))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
"""


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Run a command with a terminal for stdout; return what that gets."""
    ours, theirs = pty.openpty()
    inherited = {n: v for n, v in os.environ.items() if n != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", *arguments],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**inherited, "COLUMNS": "80", "TERM": "xterm", **environment},
    )
    os.close(theirs)
    told = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        told += piece
        if not piece:
            break
    os.close(ours)
    process.wait()
    return told.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("verb", ["check", "patch"])
def test_a_diff_is_coloured_on_a_terminal_and_the_same_text_elsewhere(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.py").write_text(CONFIG)
    arguments = (verb, "c.py", "--diff")
    plain = on_a_terminal(*arguments, NO_COLOR="1")
    assert "\x1b" not in plain
    assert "-model = dict(" in plain or "-    decode_head" in plain or "+" in plain
    coloured = on_a_terminal(*arguments)
    for color, sign in (("32", "+"), ("31", "-"), ("36", "@")):
        lines = [line for line in plain.split("\n") if line[:1] == sign]
        assert lines
        assert all(f"\x1b[{color}m{line}\x1b[0m" in coloured for line in lines)
    piped = subprocess.run(
        [sys.executable, "-c", "from mmseg_fixkit.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        env={n: v for n, v in os.environ.items() if n != "NO_COLOR"},
        check=False,
    )
    assert piped.stdout == plain
