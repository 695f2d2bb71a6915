"""Times reading, writing and adapting checkpoints against `torch.load` and `torch.save`.

Processes in turn (A B A B …), each with a fresh output. Wall time of the work alone, without the
imports, which both sides make: those of the host where a model is adapted. Reading the config and
building its model count as work. Seconds are the best of all rounds, and so is the ratio: whatever
else the machine does lengthens the others. Peak memory is the most that the process had in memory
(VmHWM of Linux), less what it had after the imports, as a share of the file's size. Pages of a
mapped file count, although the system may drop them at will. Prints a Markdown table.

    python benchmarks/checkpoints.py [--sizes 50,500,2000] [--rounds 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import platform
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
{1}
before, start = peak(), time.perf_counter()
{0}
print(time.perf_counter() - start, peak() - before)
"""
TORCH = "torch.save(torch.load(sys.argv[1], map_location='cpu', weights_only=True), sys.argv[2])"
OWN = "c = read_checkpoint(sys.argv[1]); write_checkpoint(sys.argv[2], c.state_dict, c.meta)"
ADAPT = "adapt_file(sys.argv[1], sys.argv[3]).write(sys.argv[2])"
#: What `mmseg-fix adapt` imports before its work: MMSegmentation, five seconds of it.
HOST = "import mmseg.models; from mmseg_fixkit.apis.adapt import adapt_file"
#: Models of MMSegmentation to adapt to other classes, from small to large.
MODELS = {
    "BiSeNetV1, ResNet-18": "bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py",
    "PSPNet, ResNet-101": "pspnet/pspnet_r101-d8_4xb2-40k_cityscapes-512x1024.py",
    "SETR, ViT-L": "setr/setr_vit-l_naive_8xb1-80k_cityscapes-768x768.py",
}
#: Makes a checkpoint of a model's 19 classes, and a config of eight.
PREPARE = """
import sys, torch, mmseg.models
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg_fixkit import patch
from mmseg_fixkit.config.host import dataset_info, zoo_path
init_default_scope("mmseg")
path = zoo_path("mmseg::" + sys.argv[1])
classes = dataset_info("CityscapesDataset").classes
config = Config.fromfile(str(path)).model
config.pop("pretrained", None), config.backbone.pop("pretrained", None)
def plain(node):
    for key, value in list(node.items()):
        if key == "init_cfg":
            node.pop(key)
        elif value == "SyncBN":
            node[key] = "BN"
        for below in value if isinstance(value, list) else [value]:
            if isinstance(below, dict):
                plain(below)
plain(config)
state = {k: torch.randn(v.shape) for k, v in MODELS.build(config).state_dict().items()}
torch.save({"state_dict": state, "meta": {"dataset_meta": {"classes": classes}}}, sys.argv[2])
patch(path, list(classes[:7]) + ["pothole"], guards=False).write(sys.argv[3], mode="flat")
"""
MB = 1_000_000


class Cost(NamedTuple):
    """Wall seconds and peak bytes of the measured lines."""

    seconds: float
    peak: float


def cost(code: str, source: Path, output: Path, config: str = "") -> Cost:
    """Run ``code`` in a new process; ``output`` is made anew."""
    output.unlink(missing_ok=True)
    os.sync()  # what the last run left to be written is not this run's
    program = FRAME.format(code, HOST if config else "")
    command = [sys.executable, "-W", "ignore", "-c", program, str(source), str(output), config]
    told = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
    seconds, peak = told.split()[-2:]
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
    """Return a row of the table about reading and writing."""
    source = folder / "in.pth"
    write_file(source, megabytes)
    size = source.stat().st_size / MB
    return row(f"{size:.0f} MB to `{suffix}`", OWN, source, folder / f"out{suffix}", rounds)


def measure_adapt(folder: Path, name: str, rounds: int) -> str:
    """Return a row of the table about adapting."""
    source, config = folder / "in.pth", folder / "config.py"
    config.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        PREPARE,
        MODELS[name],
        str(source),
        str(config),
    ]
    subprocess.run(command, check=True, capture_output=True)
    size = source.stat().st_size / MB
    title = f"adapt {name} ({size:.0f} MB)"
    return row(title, ADAPT, source, folder / "out.pth", rounds, str(config))


def row(title: str, code: str, source: Path, output: Path, rounds: int, config: str = "") -> str:
    size = source.stat().st_size
    theirs_file = source.with_name("theirs.pth")
    pairs = [
        (cost(code, source, output, config), cost(TORCH, source, theirs_file, config))
        for _ in range(rounds + 1)
    ][1:]  # the first fills the caches
    for left in (source, output, theirs_file):
        left.unlink()
    ours, theirs = ([pair[i].seconds for pair in pairs] for i in (0, 1))
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    best = min(ours), min(theirs)
    peaks = [max(pair[i].peak for pair in pairs) / size for i in (0, 1)]
    return (
        f"| {title} | {best[0]:.2f} s | {best[1]:.2f} s | **{best[0] / best[1]:.2f}** | "
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
        rows += [measure_adapt(folder, name, options.rounds) for name in MODELS]
    print(f"{platform.platform()}, Python {platform.python_version()}, torch {torch.__version__},")
    print(f"{os.cpu_count()} cores, {options.rounds} pairs, {time.strftime('%Y-%m-%d')}.\n")
    print("| file | ours | `torch.load` + `torch.save` | ratio | spread | peak, ours | theirs |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
