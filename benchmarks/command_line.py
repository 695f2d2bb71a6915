"""Times `mmseg-fix` against a process that only runs `Config.fromfile` on the same config.

Whole processes, in turn (A B A B …), so that a machine that slows down slows both; CPU seconds as
the operating system accounts them. Prints a Markdown table.

    python benchmarks/command_line.py [rounds]
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

from mmseg_fixkit.config.host import zoo_path

ZOO = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
LOAD = (
    "import sys; from mmengine.config import Config; "
    "Config.fromfile(sys.argv[1], import_custom_modules=False)"
)
RUN = "from mmseg_fixkit.cli import main; main()"


def cpu_seconds(command: list[str]) -> float:
    """Return user and system seconds of one run of ``command``."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def measure(
    name: str, command: list[str], baseline: list[str], rounds: int, out: Optional[Path] = None
) -> str:
    """Return a row of the table; ``out`` is removed before each run, so that it is made anew."""
    pairs = []
    for _ in range(rounds + 1):
        if out is not None:
            out.unlink(missing_ok=True)
        pairs.append((cpu_seconds(command), cpu_seconds(baseline)))
    del pairs[0]  # fills the caches
    ours, theirs = (statistics.median(side) for side in zip(*pairs))
    ratios = sorted(a / b for a, b in pairs)
    middle = statistics.median(ratios)
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    return f"| {name} | {ours:.3f} | {theirs:.3f} | **{middle:.2f}** | {spread} |"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        zoo = str(zoo_path(ZOO))
        own = Path(folder) / "own.py"
        own.write_text(f"_base_ = {zoo!r}\ndata_root = 'data'\n")
        out = Path(folder) / "out.py"
        load = [python, "-c", LOAD, str(own)]
        patch = [python, "-c", RUN, "patch", str(own), "--num-classes", "8", "-o", str(out)]
        from_zoo = [python, "-c", RUN, "patch", zoo, "--num-classes", "8", "-o", str(out)]
        rows = [
            measure("`--help`", [python, "-c", RUN, "--help"], load, rounds),
            measure("`rule MSF101`", [python, "-c", RUN, "rule", "MSF101"], load, rounds),
            measure("`check`", [python, "-c", RUN, "check", str(own)], load, rounds),
            measure("`patch --diff`", [*patch, "--diff"], load, rounds),
            measure("`patch`, proved", patch, load, rounds, out),
            measure(
                "`patch` of a zoo config", from_zoo, [python, "-c", LOAD, str(out)], rounds, out
            ),
        ]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores,")
    print(f"{rounds} pairs, {time.strftime('%Y-%m-%d')}. CPU seconds of whole processes.\n")
    print("| command | median | `Config.fromfile` | ratio | spread |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
