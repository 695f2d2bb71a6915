"""How large the demonstration is, and the configs that a user would write for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmseg_fixkit.demo.data import IMG_SUFFIX, SEG_MAP_SUFFIX, ShapesDataset

CHECKPOINT = "cityscapes19.pth"
DATA = "data"
STRAY = "stray"


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


def before_config(settings: Settings, zoo_file: Path, data: ShapesDataset) -> str:
    """Write what the usual tutorials arrive at: own data and class names, a schedule for a CPU."""
    crop = (settings.size, settings.size)
    return f"""\
# Written by `mmseg-fix demo`, which writes it anew when it runs again.
# A config of the zoo with your own data set, as the usual tutorials have it.
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
# Written by `mmseg-fix demo`, which writes it anew when it runs again.
# before.py repaired by hand, on a copy of the data in which one mask holds a stray label.
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
