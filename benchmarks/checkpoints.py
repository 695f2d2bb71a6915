"""Times reading and writing a checkpoint against `torch.load` and `torch.save` of the same file.

Processes in turn (A B A B …), each with a fresh output. Wall time of the work alone, without the
imports. Peak memory is the most that the process had in memory (VmHWM of Linux), less what it had
after the imports, as a share of the file's size. Pages of a mapped file count, although the system
may drop them at will. Prints a Markdown table.

    python benchmarks/checkpoints.py [--sizes 50,500,2000] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import torch

#: Around the measured lines: prints seconds, and bytes of peak memory.
FRAME = """
import re, sys, time, torch
from mmseg_fixkit.checkpoint.files import read_checkpoint, write_checkpoint
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
before, start = peak(), time.perf_counter()
{0}
print(time.perf_counter() - start, peak() - before)
"""
TORCH = "torch.save(torch.load(sys.argv[1], map_location='cpu', weights_only=True), sys.argv[2])"
OWN = "c = read_checkpoint(sys.argv[1]); write_checkpoint(sys.argv[2], c.state_dict, c.meta)"
MB = 1_000_000


class Cost(NamedTuple):
    """Wall seconds and peak bytes of the measured lines."""

    seconds: float
    peak: float


def cost(code: str, source: Path, output: Path) -> Cost:
    """Run ``code`` in a new process; ``output`` is made anew."""
    output.unlink(missing_ok=True)
    os.sync()  # what the last run left to be written is not this run's
    command = [sys.executable, "-c", FRAME.format(code), str(source), str(output)]
    seconds, peak = subprocess.check_output(command, text=True).split()
    return Cost(float(seconds), float(peak))


def write_file(path: Path, megabytes: int) -> None:
    """Write a checkpoint of about that size, in layers of the sizes that a backbone has."""
    shapes = [(64, 3, 7, 7), (256,), (256, 64, 1, 1), (512, 512, 3, 3), (1024, 2048)]
    numel = [torch.Size(shape).numel() for shape in shapes]
    count = max(1, round(megabytes * MB / 4 / sum(numel)))
    state = {
        f"backbone.{i}.{j}": torch.randn(shape)
        for i in range(count)
        for j, shape in enumerate(shapes)
    }
    torch.save({"meta": {"dataset_meta": {"classes": ["a", "b"]}}, "state_dict": state}, path)


def measure(folder: Path, megabytes: int, rounds: int, suffix: str) -> str:
    """Return a row of the table."""
    source, output = folder / "in.pth", folder / f"out{suffix}"
    write_file(source, megabytes)
    size = source.stat().st_size
    pairs = [
        (cost(OWN, source, output), cost(TORCH, source, folder / "theirs.pth"))
        for _ in range(rounds + 1)
    ][1:]  # the first fills the caches
    for left in (source, output, folder / "theirs.pth"):
        left.unlink()
    ours, theirs = ([pair[i].seconds for pair in pairs] for i in (0, 1))
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    peaks = [max(pair[i].peak for pair in pairs) / size for i in (0, 1)]
    return (
        f"| {size / MB:.0f} MB to `{suffix}` | {statistics.median(ours):.2f} s | "
        f"{statistics.median(theirs):.2f} s | **{statistics.median(ratios):.2f}** | "
        f"{ratios[0]:.2f} to {ratios[-1]:.2f} | **{peaks[0]:.2f}** | {peaks[1]:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="50,500,2000", help="of the files, in MB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where there is room for two such files")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        rows = [measure(folder, size, options.rounds, ".pth") for size in sizes]
        rows.append(measure(folder, sizes[0], options.rounds, ".safetensors"))
    print(f"{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__},")
    print(f"{os.cpu_count()} cores, {options.rounds} pairs, {time.strftime('%Y-%m-%d')}.\n")
    print("| file | ours | `torch.load` + `torch.save` | ratio | spread | peak, ours | theirs |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
