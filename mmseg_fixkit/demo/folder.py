"""The folder of the demonstration: claimed once, recognised later, never another's."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_fixkit.demo.data import ShapesDataset, make_shapes
from mmseg_fixkit.demo.scene import DATA, STRAY, Settings
from mmseg_fixkit.errors import FixkitError

MARKER = ".mmseg-fix-demo.json"
RUNS = "work_dir"
#: What the data and the checkpoint follow from; the rest may change without making them again.
_LASTING = ("zoo", "classes", "train", "val", "size", "batch", "seed")


def claim(folder: Path, settings: Settings) -> bool:
    """Make the folder, or take it over from an earlier run; return whether its data still fits.

    Raises:
        FixkitError: it holds files that are not the demo's, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = _known(folder)
        same = known == _lasting(settings)
        if not same:
            _empty(folder)
            (folder / MARKER).write_text(json.dumps({"unfinished": True}), encoding="utf-8")
        shutil.rmtree(folder / RUNS, ignore_errors=True)
    except OSError as error:
        raise FixkitError(
            f"{folder} cannot be written to ({error.strerror or error}); give another folder"
        ) from error
    return same


def keep(folder: Path, settings: Settings) -> None:
    """Note that data and checkpoint are complete and what they were made with."""
    (folder / MARKER).write_text(json.dumps(_lasting(settings)), encoding="utf-8")


def _lasting(settings: Settings) -> dict[str, object]:
    return {name: value for name, value in asdict(settings).items() if name in _LASTING}


def _known(folder: Path) -> object:
    """Return what the marker says; None for an empty folder."""
    found = sorted(p.name for p in folder.iterdir())
    if not found:
        return None
    if MARKER not in found:
        raise FixkitError(
            f"{folder} holds files that the demo did not make, such as {found[0]}; "
            "give a new or an empty folder"
        )
    try:
        return json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except ValueError:
        return None


def _empty(folder: Path) -> None:
    # Only the names that the demo itself writes: a user may keep notes beside them.
    for name in (DATA, STRAY):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.glob("*.pth"):
        path.unlink()


def make_data(folder: Path, settings: Settings) -> ShapesDataset:
    """Make the data set; a second run makes the same files, in a fraction of a second."""
    return make_shapes(
        folder / DATA,
        classes=settings.classes,
        train=settings.train,
        val=settings.val,
        size=settings.size,
        seed=settings.seed,
    )


def make_stray(folder: Path, settings: Settings) -> Path:
    """Make one batch of data with a square labelled N in one mask; return that mask."""
    data = make_shapes(
        folder / STRAY,
        classes=settings.classes,
        train=settings.batch,
        val=1,
        size=settings.size,
        seed=settings.seed,
    )
    path = data.label_of(data.images("train")[1])
    with Image.open(path) as mask:
        palette = mask.getpalette()
        pixels = np.array(mask)
    pixels[:12, :10] = settings.classes
    changed = Image.fromarray(pixels)
    changed.putpalette(palette or [])
    changed.save(path)
    return path
