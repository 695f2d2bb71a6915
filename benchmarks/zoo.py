"""Times the whole zoo in one process: loading alone, checking, and planning a patch to 7 classes.

Whole processes, in turn (A B A B …), so that a machine that slows down slows both; CPU seconds as
the operating system accounts them. Then `mmseg-fix check` of the zoo's folder with two processes,
in seconds of the clock. Prints Markdown.

    python benchmarks/zoo.py [rounds]
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version

from mmseg_fixkit.config.host import package_path

LOAD = """
import sys
from mmengine.config import Config
for file in sys.argv[1:]:
    Config.fromfile(file, import_custom_modules=False)
"""
CHECK = """
import sys
from mmseg_fixkit import FixkitError, check
for file in sys.argv[1:]:
    try:
        check(file)
    except FixkitError:
        pass  # the two depth configs
"""
PATCH = """
import sys
from mmseg_fixkit import FixkitError, patch
for file in sys.argv[1:]:
    try:
        patch(file, 7)
    except FixkitError:
        pass
"""
RUN = "from mmseg_fixkit.cli import main; main()"


def cpu_seconds(command: list[str]) -> float:
    """Return user and system seconds of one run of ``command``."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def measure(name: str, command: list[str], baseline: list[str], rounds: int) -> str:
    """Return a row of the table."""
    pairs = [(cpu_seconds(command), cpu_seconds(baseline)) for _ in range(rounds)]
    ours, theirs = (statistics.median(side) for side in zip(*pairs))
    ratios = sorted(a / b for a, b in pairs)
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    return (
        f"| {name} | {ours:.1f} | {theirs:.1f} | **{statistics.median(ratios):.2f}** | {spread} |"
    )


def clock_seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    root = (package_path() or sys.exit("mmseg is not installed")) / ".mim" / "configs"
    files = sorted(str(f) for f in root.glob("*/*.py") if f.parent.name != "_base_")
    python = sys.executable
    load = [python, "-c", LOAD, *files]
    cpu_seconds(load)  # fills the caches
    rows = [
        measure(f"check all {len(files)}", [python, "-c", CHECK, *files], load, rounds),
        measure(f"plan a patch of all {len(files)}", [python, "-c", PATCH, *files], load, rounds),
    ]
    folder = [python, "-c", RUN, "check", str(root), "--jobs", "2"]
    clock = [clock_seconds(folder) for _ in range(rounds)]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores,")
    print(f"mmengine {version('mmengine')}, {rounds} pairs, {time.strftime('%Y-%m-%d')}. CPU")
    print("seconds of whole processes.\n")
    print("| one process | median | `Config.fromfile` | ratio | spread |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))
    print(f"\n`mmseg-fix check` of the folder, 2 processes: {min(clock):.0f} s by the clock")
    print(f"(best of {rounds}; {max(clock):.0f} at worst).")


if __name__ == "__main__":
    main()
