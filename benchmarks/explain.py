"""Measures `mmseg-fix explain`: how much of its table it knows again, and what a large log costs.

The table is every text of every entry, plain, and in the middle of a log of 3000 lines, wrapped at
80 columns as a terminal does. The large log is one of a training, with a result table every 400
lines and one error at its end. It is explained and only read in turn (A B A B …), each in a
process of its own; CPU seconds as the operating system accounts them. Prints Markdown.

    python benchmarks/explain.py [megabytes] [rounds]
"""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from mmseg_fixkit import explain
from mmseg_fixkit.apis.explain.fault import all_faults
from tests.apis.explain.examples import EXAMPLES

ERROR = "IndexError: Target 151 is out of bounds."
CLASSES = 19
READ = "import sys; f = open(sys.argv[1], 'rb')\nwhile f.read(1 << 21): pass"
EXPLAIN = "from mmseg_fixkit.cli import main; main()"
PEAK = (
    "import re, sys; from mmseg_fixkit import explain; explain(open(sys.argv[1], 'rb'));"
    "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
)


def training_line(number: int) -> str:
    loss = 1 + number * 7919 % 20_000 / 10_000
    return (
        f"2026/01/02 10:{number // 60 % 60:02}:{number % 60:02} - mmengine - INFO - Iter(train) "
        f"[{number:>7}/4000000]  base_lr: 9.9891e-03 lr: 9.9891e-03  eta: 5:12:33  time: 0.4689  "
        f"data_time: 0.0056  memory: 3711  grad_norm: {loss * 2:.4f}  loss: {loss:.4f}  "
        f"decode.loss_ce: {loss * 0.7:.4f}  decode.acc_seg: {loss * 20:.4f}  aux.loss_ce: "
        f"{loss * 0.3:.4f}  aux.acc_seg: {loss * 19:.4f}\n"
    )


def result_table() -> str:
    rows = "".join(f"| class {k:<4} | 6{k % 10}.21 | 7{k % 10}.33 |\n" for k in range(CLASSES))
    line = "+------------+-------+-------+\n"
    return f"per class results:\n{line}|   Class    |  IoU  |  Acc  |\n{line}{rows}{line}"


def write_log(path: Path, megabytes: int) -> None:
    lines = [training_line(number) for number in range(1, 401)]
    block = "".join(lines) + result_table()
    with path.open("w") as file:
        for _ in range(megabytes * 1_000_000 // len(block)):
            file.write(block)
        file.write(f"{ERROR}\n")


def wrapped_in_a_log(text: str, width: int = 80) -> str:
    before = "".join(training_line(number) for number in range(1, 1500))
    cut = "\n".join(re.sub(f"(.{{{width}}})", r"\1\n", line) for line in text.split("\n"))
    return f"{before}{cut}\n{before}"


def known_share() -> list[str]:
    # What is said of the first loss and the last gradient is not of lines in the middle.
    inside = [e for e in EXAMPLES if e.fault.id not in ("loss-zero", "gradient-nan")]
    plain = sum(any(f.id == e.fault.id for f in explain(e.text)) for e in EXAMPLES)
    wrapped = sum(
        any(f.id == e.fault.id for f in explain(wrapped_in_a_log(e.text))) for e in inside
    )
    return [
        f"| faults, texts | {len(all_faults())}, {len(EXAMPLES)} |",
        f"| known, plain | {plain} of {len(EXAMPLES)} |",
        f"| known, wrapped at 80 columns in a log of 3000 lines | {wrapped} of {len(inside)} |",
    ]


def cpu_seconds(command: list[str]) -> float:
    """Return user and system seconds of one run of ``command``."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "run.log"
        write_log(log, megabytes)
        explained = [python, "-c", EXPLAIN, "explain", str(log)]
        read = [python, "-c", READ, str(log)]
        pairs = [(cpu_seconds(explained), cpu_seconds(read)) for _ in range(rounds + 1)][1:]
        short = statistics.median(
            cpu_seconds([python, "-c", EXPLAIN, "explain", ERROR]) for _ in range(rounds)
        )
        done = subprocess.run(
            [python, "-c", PEAK, str(log)], capture_output=True, text=True, check=False
        )
        size = log.stat().st_size / 1e6
    ours, theirs = (statistics.median(side) for side in zip(*pairs))
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores,")
    print(f"{rounds} pairs, {time.strftime('%Y-%m-%d')}. CPU seconds of whole processes.\n")
    print("| what | figure |\n|---|---|")
    print("\n".join(known_share()))
    print(f"| one line | {short:.3f} s |")
    print(f"| a log of {size:.0f} MB, explained | {ours:.2f} s |")
    print(f"| the same, only read | {theirs:.3f} s |")
    print(f"| ratio | **{ours / theirs:.1f}** |")
    if done.returncode == 0:
        print(f"| most memory | {int(done.stdout) / 1000:.0f} MB |")


if __name__ == "__main__":
    main()
