"""Times the scan of label files against OpenCV's decoding, and against the usual loop over them.

Label maps like those of Cityscapes (1024 x 2048) and ADE20K (512 x 683) are drawn as those are,
from polygons, and written by Pillow: mode L, filters chosen row by row. A few hundred are drawn,
the others are links to them. All is in the page cache. Rounds alternate (A B C A B C …); a ratio is
the median of the rounds', of files a second by the clock and, for machines that do other things as
well, of files a second of CPU time. Prints Markdown tables.

    python benchmarks/label_files.py [--files 300,2000] [--rounds 5] [--listing 200000]

As in docs/benchmarks.md: --files 2000,20000 --listing 1000000
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
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from mmseg_fixkit.core.parallel import cores
from mmseg_fixkit.datasets.decode import decode as decode_label
from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading
from mmseg_fixkit.datasets.scan_files import scan_files

#: Name, width, height, values, how many of them an image has, polygons.
CITYSCAPES = ("Cityscapes", 2048, 1024, (*range(19), 255), 14, 110)
ADE20K = ("ADE20K", 683, 512, tuple(range(151)), 10, 40)
#: Label maps that are drawn; the others are links to them.
DRAWN = 200
#: Part of the files that the slow loops read.
SHARE = 8
READINGS = {"train": LabelReading()}

#: Peak memory of a scan of so many files that are listed, but not there.
LISTING = """
import re, sys
from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading
from mmseg_fixkit.datasets.scan_files import scan_files
files = (LabelFile("train", f"/nowhere/{index:09}.png") for index in range(int(sys.argv[1])))
stats = scan_files(files, {"train": LabelReading(), "val": LabelReading()})
assert stats["train"].files == int(sys.argv[1])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""

Job = Callable[[Sequence[str]], object]


def draw(rng: Any, width: int, height: int, values: Any, polygons: int) -> Image.Image:
    """Return a label map of polygons that lie over one another, as annotators draw them."""
    image = Image.new("L", (width, height), int(values[0]))
    pen = ImageDraw.Draw(image)
    for _ in range(polygons):
        corners = int(rng.integers(8, 60))
        x, y = rng.random(2) * (width, height)
        angle = np.sort(rng.random(corners)) * 2 * np.pi
        wobble = np.cumsum(rng.normal(0, 0.15, corners)).clip(-0.8, 0.8)
        radius = (0.3 * rng.random() ** 2 + 0.01) * width * (0.7 + 0.5 * wobble)
        points = np.stack([x + radius * np.cos(angle), y + 0.6 * radius * np.sin(angle)], -1)
        pen.polygon([tuple(p) for p in points.tolist()], fill=int(rng.choice(values)))
    return image


def write_files(folder: Path, kind: Any, count: int) -> list[str]:
    """Write label maps; return their paths."""
    name, width, height, values, used, polygons = kind
    rng = np.random.default_rng(0)
    (folder / name).mkdir()
    paths = [folder / name / f"{index:06}.png" for index in range(count)]
    for path in paths[:DRAWN]:
        chosen = rng.choice(values, used, replace=False)
        draw(rng, width, height, chosen, polygons).save(path)
    for index, path in enumerate(paths[DRAWN:]):
        os.link(paths[index % DRAWN], path)
    return [str(path) for path in paths]


# --- what is compared ---------------------------------------------------------------------------


def scan(files: Sequence[str], **how: Any) -> object:
    return scan_files((LabelFile("train", file) for file in files), READINGS, **how)


def decode(files: Sequence[str]) -> None:
    for file in files:
        with open(file, "rb") as opened:
            cv2.imdecode(np.frombuffer(opened.read(), np.uint8), cv2.IMREAD_UNCHANGED)


def decode_as_scan(files: Sequence[str]) -> None:
    for file in files:
        with open(file, "rb") as opened:
            decode_label(opened.read())


def unique(files: Sequence[str]) -> None:
    for file in files:
        np.unique(np.array(Image.open(file)))


def in_pool(pool: type, job: Job) -> Job:
    """Return ``job`` on all cores: by threads or by processes."""

    def run(files: Sequence[str]) -> None:
        chunks = [files[at : at + 64] for at in range(0, len(files), 64)]
        with pool(cores()) as workers:
            list(workers.map(job, chunks))

    return run


def stat(files: Sequence[str]) -> None:
    for file in files:
        os.stat(file)


class Row(NamedTuple):
    """What a scan is held against: how, and the part of the files that it reads."""

    title: str
    job: Job
    share: int = 1


ROWS = (
    Row("OpenCV's decoder alone, threads", in_pool(ThreadPoolExecutor, decode)),
    Row("OpenCV's decoder alone, processes", in_pool(ProcessPoolExecutor, decode)),
    Row("the scan's own decoding alone, processes", in_pool(ProcessPoolExecutor, decode_as_scan)),
    Row("`np.unique(np.array(Image.open(f)))`, one process", unique, SHARE),
    Row("the same, processes", in_pool(ProcessPoolExecutor, unique), SHARE),
)


class Cost(NamedTuple):
    """What a file costs: seconds by the clock, and of all cores."""

    wall: float
    cpu: float


def cost(job: Job, files: Sequence[str]) -> Cost:
    before, start = sum(os.times()[:4]), time.perf_counter()
    job(files)
    wall, cpu = time.perf_counter() - start, sum(os.times()[:4]) - before
    return Cost(wall / len(files), max(cpu, 0.01) / len(files))


def compare(name: str, files: Sequence[str], rounds: int) -> list[str]:
    """Return the rows of the table about one kind of files."""
    theirs: dict[str, list[Cost]] = {row.title: [] for row in ROWS}
    own: list[Cost] = []
    for _ in range(rounds):
        for row in ROWS:
            theirs[row.title].append(cost(row.job, files[:: row.share]))
        own.append(cost(scan, files))
    return [ratios(f"{name}: {title}", own, costs) for title, costs in theirs.items()]


def ratios(title: str, own: list[Cost], theirs: list[Cost]) -> str:
    """Return a row: how many times as many files a second the scan does."""
    wall = sorted(b.wall / a.wall for a, b in zip(own, theirs))
    cpu = sorted(b.cpu / a.cpu for a, b in zip(own, theirs))
    rates = [1 / statistics.median(c.wall for c in costs) for costs in (own, theirs)]
    return (
        f"| {title} | {rates[0]:.0f} | {rates[1]:.0f} | **{statistics.median(wall):.2f}** | "
        f"{wall[0]:.2f} to {wall[-1]:.2f} | **{statistics.median(cpu):.2f}** | "
        f"{cpu[0]:.2f} to {cpu[-1]:.2f} |"
    )


def compare_cache(name: str, files: Sequence[str], rounds: int, cache: Path) -> str:
    """Return the row about a second scan."""
    scan(files, cache=cache)
    own = [cost(lambda f: scan(f, cache=cache), files) for _ in range(rounds)]
    theirs = [cost(stat, files) for _ in range(rounds)]
    return ratios(f"{name}: second scan, `os.stat` of all", own, theirs)


def listing(count: int) -> str:
    """Return the row about the memory of a scan of that many names."""
    command = [sys.executable, "-c", LISTING, str(count)]
    kilobytes = int(subprocess.check_output(command, text=True))
    return f"| {count:,} | {kilobytes / 1024:.0f} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", default="300,2000", help="like Cityscapes', and ADE20K's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--listing", type=int, default=200_000, help="names without files")
    parser.add_argument("--folder", type=Path, help="where there is room for the files")
    options = parser.parse_args()
    cv2.setNumThreads(0)
    counts = [int(count) for count in options.files.split(",")]
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        for kind, count in zip((CITYSCAPES, ADE20K), counts):
            files = write_files(folder, kind, count)
            rows += compare(kind[0], files, options.rounds)
            store = folder / f"{kind[0]}.sqlite"
            rows.append(compare_cache(kind[0], files, options.rounds, store))
    print(f"{platform.platform()}, Python {platform.python_version()}, NumPy {np.__version__},")
    print(f"{cores()} cores, OpenCV {cv2.__version__}, {options.rounds} rounds,")
    print(f"load {os.getloadavg()[0]:.1f}, {time.strftime('%Y-%m-%d')}.\n")
    print("| against | scan, files/s | theirs | ratio | spread | ratio, CPU | spread |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\n| names in the listing | peak memory |\n|---|---|")
    print("\n".join(listing(count) for count in (options.listing // 10, options.listing)))


if __name__ == "__main__":
    main()
