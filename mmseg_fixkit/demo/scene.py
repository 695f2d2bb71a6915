"""The folder of the demonstration, its sizes, and the configs that a user would write."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_fixkit.demo.data import IMG_SUFFIX, SEG_MAP_SUFFIX, ShapesDataset, make_shapes
from mmseg_fixkit.errors import FixkitError

CHECKPOINT = "cityscapes19.pth"
DATA = "data"
STRAY = "stray"
RUNS = "work_dir"
MARKER = ".mmseg-fix-demo.json"


@dataclass(frozen=True)
class Settings:
    """Sizes that fit into two minutes on two cores; tests shrink them.

    Args:
        zoo: the config of the zoo that the user starts from; its heads have 19 classes.
        classes: of the user's own data.
        train: images to train on.
        val: images to validate on.
        size: their width and height.
        batch: images in a batch.
        iterations: of training.
        learning_rate: at the start; it falls to 0.
        seed: of the data and of the training.
    """

    zoo: str = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
    classes: int = 8
    train: int = 24
    val: int = 8
    size: int = 112
    batch: int = 4
    iterations: int = 40
    learning_rate: float = 1e-3
    seed: int = 0

    @property
    def splits(self) -> dict[str, int]:
        """How much data to make."""
        return {"train": self.train, "val": self.val, "size": self.size, "seed": self.seed}

    def lasting(self) -> dict[str, object]:
        """Return what the data and the checkpoint follow from."""
        values = asdict(self)
        return {
            name: values[name] for name in values if name not in ("iterations", "learning_rate")
        }


def claim(folder: Path, settings: Settings) -> bool:
    """Make the folder, or take it over from an earlier run; return whether its data still fits.

    Raises:
        FixkitError: it holds files that are not the demo's, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fits = _known(folder) == settings.lasting()
        if not fits:
            _empty(folder)
            (folder / MARKER).write_text(json.dumps({"unfinished": True}), encoding="utf-8")
        shutil.rmtree(folder / RUNS, ignore_errors=True)
    except OSError as error:
        raise FixkitError(
            f"{folder} cannot be written to ({error.strerror or error}); give another folder"
        ) from error
    return fits


def keep(folder: Path, settings: Settings) -> None:
    """Note that data and checkpoint are complete and what they were made with."""
    (folder / MARKER).write_text(json.dumps(settings.lasting()), encoding="utf-8")


def _known(folder: Path) -> object:
    """Return what the marker holds; None for an empty folder."""
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


def make_stray(folder: Path, settings: Settings) -> Path:
    """Make one batch of data with a square labelled N in one label map; return that file."""
    splits = {**settings.splits, "train": settings.batch, "val": 1}
    data = make_shapes(folder / STRAY, classes=settings.classes, **splits)
    path = data.label_of(data.images("train")[1])
    with Image.open(path) as label:
        palette = label.getpalette()
        pixels = np.array(label)
    pixels[:12, :10] = settings.classes
    changed = Image.fromarray(pixels)
    changed.putpalette(palette or [])
    changed.save(path)
    return path


def before_config(settings: Settings, zoo_file: Path, data: ShapesDataset) -> str:
    """Write what the usual tutorials arrive at: own data and class names, a schedule for a CPU."""
    crop = (settings.size, settings.size)
    return f"""\
# Written by `mmseg-fix demo`, which replaces it when it runs again.
# A config of the zoo with your own dataset, as the usual tutorials have it.
_base_ = {str(zoo_file)!r}

metainfo = dict(
    classes={data.classes},
    palette={[list(c) for c in data.palette]})

# A small schedule for a CPU.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size={crop}),
    backbone=dict(norm_cfg=norm_cfg),
    decode_head=dict(norm_cfg=norm_cfg),
    auxiliary_head=dict(norm_cfg=norm_cfg))
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr={settings.learning_rate}, weight_decay=0.01))
param_scheduler = [
    dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end={settings.iterations}, by_epoch=False)
]
train_cfg = dict(max_iters={settings.iterations}, val_interval={settings.iterations})
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval={settings.iterations}, save_optimizer=False))
randomness = dict(seed={settings.seed})

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size={settings.batch},
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root={DATA!r},
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        metainfo=metainfo,
        pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root={DATA!r},
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        metainfo=metainfo,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
"""


def by_hand_config(settings: Settings) -> str:
    """Write what the user repairs after the first error: dataset type and both heads."""
    dataset = (
        f"dict(\n    type='BaseSegDataset', img_suffix={IMG_SUFFIX!r}, "
        f"seg_map_suffix={SEG_MAP_SUFFIX!r}, data_root={STRAY!r})"
    )
    return f"""\
# Written by `mmseg-fix demo`, which replaces it when it runs again.
# before.py repaired by hand, on a copy of the data in which one label map holds a stray label.
_base_ = 'before.py'

own_data = {dataset}
model = dict(
    decode_head=dict(num_classes={settings.classes}),
    auxiliary_head=dict(num_classes={settings.classes}))
train_dataloader = dict(dataset=own_data)
val_dataloader = dict(dataset=own_data)
test_dataloader = dict(dataset=own_data)
load_from = {CHECKPOINT!r}
"""
