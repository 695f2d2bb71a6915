"""Times `AssertLabelBounds` and `RemapLabels` against the `LoadAnnotations` that they follow.

A 1024 x 2048 label PNG as of a street scene, read from disk by the host's own transform. Both are
called in turn (A B A B …) on one core; the table has the tenth percentile of the CPU time of both,
as other work on the machine takes caches away, which only ever costs time.

    python benchmarks/label_bounds.py [--rounds 60] [--size 1024x2048]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmseg_fixkit.runtime import AssertLabelBounds, RemapLabels

BOUNDS = (2, 19, 128, 129, 150, 171, 254)


def street(height: int, width: int, classes: int) -> np.ndarray:
    """Draw regions with uneven borders, boxes, and an ignored strip and border.

    There are as many regions whatever the number of classes, so that loading costs the same.
    """
    rng = np.random.default_rng(0)
    field = sum(
        np.asarray(
            Image.fromarray(
                rng.random((height // step + 2, width // step + 2)).astype("f4")
            ).resize((width, height), Image.Resampling.BICUBIC)
        )
        * weight
        for step, weight in ((128, 1.0), (32, 0.05))
    )
    kinds = np.linspace(0, classes - 1, 16).astype(np.uint8)
    label = kinds[(np.clip(field, 0, 0.999) * len(kinds)).astype(int)]
    for _ in range(60):
        top, left = rng.integers(0, height), rng.integers(0, width)
        label[top : top + 90, left : left + 40] = rng.choice(kinds)
    label[-height // 12 :] = label[:, :5] = label[:, -5:] = 255
    return label


def alternate(
    load: Callable[[], Any], guard: Callable[[Any], Any], rounds: int
) -> tuple[float, float, float]:
    """Return CPU milliseconds of the guard and of loading, and their ratio in percent."""
    pairs = []
    for _ in range(rounds + 3):
        start = time.process_time_ns()
        results = load()
        middle = time.process_time_ns()
        guard(results)
        pairs.append((middle - start, time.process_time_ns() - middle))
    pairs = pairs[3:]
    theirs, ours = (
        statistics.quantiles((pair[i] for pair in pairs), n=10)[0] / 1e6 for i in (0, 1)
    )
    return ours, theirs, ours / theirs * 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--size", default="1024x2048")
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "label.png"
        loader = LoadAnnotations()

        def load() -> dict[str, Any]:
            return loader({"seg_map_path": str(file), "reduce_zero_label": False, "seg_fields": []})

        def measure(title: str, guard: Any, shape: str) -> None:
            ours, theirs, ratio = alternate(load, guard, options.rounds)
            rows.append(f"| {title} | {shape} | {ours:.3f} | {theirs:.2f} | **{ratio:.2f} %** |")

        for count in BOUNDS:
            Image.fromarray(street(height, width, count)).save(file)
            measure(f"`AssertLabelBounds`, {count} classes", AssertLabelBounds(count), "labels")
        Image.fromarray(street(height, width, 128)).save(file)
        measure(
            "`AssertLabelBounds`, 150 classes, the last 22 absent", AssertLabelBounds(150), "labels"
        )
        Image.fromarray(street(height, width, 19)).save(file)
        for title, guard in remaps().items():
            measure(title, guard, "labels")
        label = street(height, width, 19)
        palette = np.array([(i * 13 % 256, i * 29 % 256, i * 71 % 256) for i in range(256)], "u1")
        Image.fromarray(palette[label]).save(file)
        colours = [*palette[:19].tolist(), palette[255].tolist()]
        measure("`RemapLabels`, palette", RemapLabels(palette=colours), "colours")
    print(f"{platform.platform()}, Python {platform.python_version()}, numpy {np.__version__},")
    print(f"{os.cpu_count()} cores, {options.rounds} pairs, {time.strftime('%Y-%m-%d')}.\n")
    print("| transform | file | ms | `LoadAnnotations`, ms | share |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


def remaps() -> dict[str, Any]:
    shifted = {value: value + 1 for value in range(18)}
    return {
        "`RemapLabels`, nothing to change": RemapLabels({200: 0}),
        "`RemapLabels`, 18 values": RemapLabels(shifted),
        "`RemapLabels`, 18 values, `default='ignore'`": RemapLabels(shifted, default="ignore"),
        "`AssertLabelBounds`, 12 of 19 classes, `action='ignore'`": AssertLabelBounds(
            12, action="ignore"
        ),
    }


if __name__ == "__main__":
    main()
