"""The process around a verb: Ctrl-C that others lose, and a process that has it ignored."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

STOPPED = "mmseg-fix: error: stopped by Ctrl-C, so nothing is reported\n"
PRESS = "os.kill(os.getpid(), signal.SIGINT); time.sleep(0.01)"
START = "import os, signal, sys, time\nfrom mmseg_fixkit.cli import process\n"


def run(verb: str, **options: object) -> subprocess.CompletedProcess[str]:
    code = f"{START}def verb():\n{verb}\nsys.exit(process.run(verb))\n"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


#: Where Ctrl-C comes -> code in which Python or a library does not let it out.
LOST = {
    "in a __del__": (
        "    class Going:\n"
        f"        def __del__(self): {PRESS}\n"
        "    Going(); time.sleep(20); print('went on')"
    ),
    "in a library that catches all": f"    try: {PRESS}\n    except: pass\n    return 1",
    "in one that makes it another": (
        f"    try: {PRESS}\n    except BaseException: raise ImportError('cannot be loaded')"
    ),
}


@pytest.mark.parametrize("place", LOST)
def test_ctrl_c_is_130_wherever_it_comes(place: str) -> None:
    done = run(LOST[place])
    assert (done.returncode, done.stdout, done.stderr) == (130, "", STOPPED)


def test_ctrl_c_that_a_shell_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = run(f"    {PRESS}\n    print('done')")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_fault_of_the_program_is_no_finding() -> None:
    done = run("    return {}['missing']")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("KeyError: 'missing'\n")
