"""Times `scan --fix` against decoding and encoding label files alone; tries the encoders.

Label PNGs like Cityscapes' (1024 x 2048) and ADE20K's (512 x 683), of which each has a stray value,
so that all of them are rewritten. CPU time of processes in turn (A B A B …), as the machine may
be shared, and the ratio of wall time. "Alone" is a loop over the files that writes nothing,
compares nothing and counts nothing: decode with the fastest decoder at hand, encode with the
encoder of `--fix`. "Usual" is `Image.open`, `np.where`, `Image.save`. Prints Markdown tables.

    python benchmarks/label_fix.py [--files 24] [--rounds 3] [--jobs 1] [--encoders]
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
from PIL import Image

from mmseg_fixkit.datasets.rewrite import png

SIZES = {"1024 x 2048": (1024, 2048, 1), "512 x 683": (512, 683, 4)}

#: Around the measured lines: prints wall and CPU seconds, and bytes of peak memory.
FRAME = """
import io, os, re, sys, time
from pathlib import Path
import numpy as np
from PIL import Image
from mmseg_fixkit.datasets.decode import decode
from mmseg_fixkit.datasets.label_file import LabelFile, LabelReading
from mmseg_fixkit.datasets.recode import parse_recoding
from mmseg_fixkit.datasets.rewrite import png, rewrite
import cv2
cv2.setNumThreads(1)
source, out, jobs = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
out.mkdir(parents=True)
files = sorted(source.iterdir())
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
decode(files[0].read_bytes())
before, wall, cpu = peak(), time.perf_counter(), time.process_time()
{}
print(time.perf_counter() - wall, time.process_time() - cpu, peak() - before)
"""
OWN = """
recoding = parse_recoding("ignore", reading=LabelReading(19))
labels = (LabelFile("", str(file)) for file in files)
report = rewrite(labels, out / "new", recoding, root=source, jobs=jobs)
assert report.written == len(files), report
"""
ALONE = """
for file in files:
    png(decode(file.read_bytes()).array)
"""
BACK = """
for file in files:
    label = decode(file.read_bytes()).array
    found = Image.open(io.BytesIO(png(label)))
    assert (np.asarray(found) == label).all()
"""
USUAL = """
for file in files:
    label = np.array(Image.open(file))
    label = np.where(label < 19, label, 255).astype(np.uint8)
    Image.fromarray(label).save(out / file.name)
"""
OTHERS = {
    "decode and encode alone": ALONE,
    "decode, encode, read back": BACK,
    "the usual loop": USUAL,
}


class Cost(NamedTuple):
    wall: float
    cpu: float
    peak: float


def street(height: int, width: int, seed: int) -> np.ndarray:
    """Draw regions with uneven borders, boxes, and a stray value."""
    rng = np.random.default_rng(seed)
    field = sum(
        np.asarray(
            Image.fromarray(
                rng.random((height // step + 2, width // step + 2)).astype("f4")
            ).resize((width, height), Image.Resampling.BICUBIC)
        )
        * weight
        for step, weight in ((128, 1.0), (32, 0.05))
    )
    label = (np.clip(field, 0, 0.999) * 19).astype(np.uint8)
    for _ in range(40):
        top, left = rng.integers(0, height), rng.integers(0, width)
        label[top : top + 90, left : left + 40] = rng.integers(0, 21)
    label[:2, :40] = 33
    return label


def cost(code: str, source: Path, jobs: int) -> Cost:
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        command = [sys.executable, "-W", "ignore", "-c", FRAME.format(code), str(source)]
        told = subprocess.check_output([*command, f"{name}/out", str(jobs)], text=True)
    return Cost(*map(float, told.split()))


def measure(title: str, source: Path, files: int, rounds: int, jobs: int) -> list[str]:
    rows = []
    pairs: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in OTHERS}
    for _ in range(rounds):
        for name, code in OTHERS.items():
            pairs[name].append((cost(OWN, source, jobs), cost(code, source, jobs)))
    for name, both in pairs.items():
        ours, theirs = (statistics.median(pair[i].cpu for pair in both) / files for i in (0, 1))
        ratio = sorted(b.cpu / a.cpu for a, b in both)
        wall = statistics.median(b.wall / a.wall for a, b in both)
        peak = [max(pair[i].peak for pair in both) / 1e6 for i in (0, 1)]
        rows.append(
            f"| {title} | {name} | {ours * 1e3:.1f} | {theirs * 1e3:.1f} | "
            f"**{statistics.median(ratio):.2f}** | {ratio[0]:.2f} to {ratio[-1]:.2f} | "
            f"{wall:.2f} | {peak[0]:.0f} | {peak[1]:.0f} |"
        )
    return rows


def encoders(label: np.ndarray) -> dict[str, Callable[[], bytes]]:
    """Return what was tried to write a label map."""
    image = Image.fromarray(label)

    def pillow(**options: Any) -> Callable[[], bytes]:
        def write() -> bytes:
            buffer = io.BytesIO()
            image.save(buffer, "PNG", **options)
            return buffer.getvalue()

        return write

    found: dict[str, Callable[[], bytes]] = {
        "`rewrite.py`: difference upwards, zlib 1 with runs": lambda: png(label),
        "Pillow, as it is": pillow(),
        "Pillow, `compress_level=1`": pillow(compress_level=1),
        "Pillow, `compress_level=9`": pillow(compress_level=9),
        "Pillow, `compress_type=Z_RLE`": pillow(compress_level=1, compress_type=zlib.Z_RLE),
    }
    try:
        import cv2
    except ImportError:
        return found
    cv2.setNumThreads(1)

    def opencv(*flags: int) -> Callable[[], bytes]:
        def write() -> bytes:
            return cv2.imencode(".png", label, flags)[1].tobytes()

        return write

    rle = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
    return {
        **found,
        "OpenCV, as it is": opencv(),
        "OpenCV, runs, difference upwards": opencv(
            *rle, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP
        ),
        "OpenCV, `PNG_COMPRESSION=9`": opencv(cv2.IMWRITE_PNG_COMPRESSION, 9),
    }


def try_encoders(label: np.ndarray, rounds: int) -> list[str]:
    rows = []
    for name, write in encoders(label).items():
        times = []
        for _ in range(rounds):
            start = time.process_time()
            content = write()
            times.append(time.process_time() - start)
        rows.append(f"| {name} | {min(times) * 1e3:.1f} | {len(content) / 1000:.0f} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=24, help="of 1024 x 2048")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--encoders", action="store_true", help="try the encoders instead")
    parser.add_argument("--folder", type=Path, help="where there is room")
    options = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__},")
    print(f"{os.cpu_count()} cores, {options.rounds} pairs, {time.strftime('%Y-%m-%d')}.\n")
    if options.encoders:
        print("| encoder | CPU, ms | kB |")
        print("|---|---|---|")
        print("\n".join(try_encoders(street(1024, 2048, 0), options.rounds)))
        return
    print(
        "| files | against | `--fix`, ms CPU a file | theirs | ratio | spread | wall | "
        "peak MB, ours | theirs |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for title, (height, width, times) in SIZES.items():
            source = Path(name) / title.replace(" ", "")
            source.mkdir()
            for index in range(options.files * times):
                Image.fromarray(street(height, width, index)).save(source / f"{index:04}.png")
            number = options.files * times
            print("\n".join(measure(title, source, number, options.rounds, options.jobs)))


if __name__ == "__main__":
    main()
