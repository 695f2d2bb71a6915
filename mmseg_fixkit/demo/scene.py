"""The folder of the demonstration, its sizes, and the configs that a user would write."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mmseg_fixkit.core.errors import FixkitError
from mmseg_fixkit.demo.data import (
    IMG_SUFFIX,
    SEG_MAP_SUFFIX,
    ShapesDataset,
    as_palette_image,
    make_shapes,
    read_values,
)

CHECKPOINT = "cityscapes19.pth"
DATA = "data"
STRAY = "stray"
RUNS = "work_dir"
MARKER = ".mmseg-fix-demo.json"


@dataclass(frozen=True)
class Settings:
    """Sizes that fit into two minutes on two cores; tests shrink them."""

    zoo: str = "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py"  # 19 classes
    classes: int = 8
    train: int = 24  # images
    val: int = 8
    size: int = 112
    batch: int = 4
    iterations: int = 40
    learning_rate: float = 1e-3  # at the start; it falls to 0
    seed: int = 0

    @property
    def splits(self) -> dict[str, int]:
        """How much data to make."""
        return {"train": self.train, "val": self.val, "size": self.size, "seed": self.seed}

    def lasting(self) -> str:
        """Return what the data and the checkpoint follow from."""
        return json.dumps(asdict(replace(self, iterations=0, learning_rate=0.0)))


def claim(folder: Path, settings: Settings) -> bool:
    """Take a new or an earlier folder; return whether the checkpoint there still fits.

    Earlier data and logs go. Raises ``FixkitError`` where the folder holds files that are not the
    demo's, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(p.name for p in folder.iterdir())
        if found and MARKER not in found:
            raise FixkitError(
                f"{folder} holds files that the demo did not make, such as {found[0]}; "
                "give a new or an empty folder"
            )
        marker = folder / MARKER
        fits = bool(found) and marker.read_text("utf-8", errors="replace") == settings.lasting()
        # Only the names that the demo itself writes: a user may keep notes beside them.
        for name in (DATA, STRAY, RUNS):
            shutil.rmtree(folder / name, ignore_errors=True)
        if not fits:
            for path in folder.glob("*.pth"):
                path.unlink()
            marker.write_text("{}", encoding="utf-8")
    except OSError as error:
        raise FixkitError(
            f"{folder} cannot be written to ({error.strerror or error}); give another folder"
        ) from error
    return fits


def keep(folder: Path, settings: Settings) -> None:
    """Note that the checkpoint is complete, and what it was made with."""
    (folder / MARKER).write_text(settings.lasting(), encoding="utf-8")


def make_stray(folder: Path, settings: Settings) -> Path:
    """Make one batch of data with a square labelled N in one label map; return that file."""
    splits = {**settings.splits, "train": settings.batch, "val": 1}
    data = make_shapes(folder / STRAY, classes=settings.classes, **splits)
    path = data.label_of(data.images("train")[1])
    values = read_values(path)
    values[:12, :10] = settings.classes
    as_palette_image(values).save(path)
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
    return f"""\
# Written by `mmseg-fix demo`, which replaces it when it runs again.
# before.py repaired by hand, on a copy of the data in which one label map holds a stray label.
_base_ = 'before.py'

own_data = dict(
    type='BaseSegDataset',
    img_suffix={IMG_SUFFIX!r},
    seg_map_suffix={SEG_MAP_SUFFIX!r},
    data_root={STRAY!r})
model = dict(
    decode_head=dict(num_classes={settings.classes}),
    auxiliary_head=dict(num_classes={settings.classes}))
train_dataloader = dict(dataset=own_data)
val_dataloader = dict(dataset=own_data)
test_dataloader = dict(dataset=own_data)
load_from = {CHECKPOINT!r}
"""
