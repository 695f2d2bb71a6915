"""The folder in which the commands of the documentation run: data, configs and a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmseg_fixkit import patch
from mmseg_fixkit.demo.data import make_shapes

#: A config as people write it: forgotten heads, and the type of other data.
MY_PSPNET = """\
_base_ = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'

metainfo = dict(
    classes=('soil', 'weed', 'crop'),  # of our fields
    palette=[[120, 80, 40], [220, 60, 60], [60, 160, 60]])
model = dict(
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19))
train_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root='data/farm',
        metainfo=metainfo,
        img_suffix='.jpg',
        seg_map_suffix='.png',
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train')))
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset',
        data_root='data/farm',
        metainfo=metainfo,
        img_suffix='.jpg',
        seg_map_suffix='.png',
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val')))
test_dataloader = val_dataloader
"""

#: A config of PaddleSeg for overlapping labels, with their number where one more is needed.
VESSELS = """\
batch_size: 4  # for one card
iters: 1000

train_dataset:
  type: Dataset
  dataset_root: data/vessels
  train_path: data/vessels/train.txt
  num_classes: 2  # vessel, tumour
  transforms:
    - type: RandomPaddingCrop
      crop_size: [256, 256]
    - type: Normalize
  mode: train

val_dataset:
  type: Dataset
  dataset_root: data/vessels
  val_path: data/vessels/val.txt
  num_classes: 2
  transforms:
    - type: Normalize
  mode: val

loss:
  types:
    - type: MixedLoss
      losses:
        - type: BCELoss
        - type: LovaszHingeLoss
      coef: [0.5, 0.5]
  coef: [1]

model:
  type: PPLiteSeg
  num_classes: 2
"""

ZOO = "mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py"
CITYSCAPES = "pspnet_r18_cityscapes.pth"


MASK2FORMER = "mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py"
CLASSES = ("soil", "weed", "crop")

#: A training log with the fault that users meet first.
LOG = """\
11/22 08:00:01 - mmengine - INFO - Iter(train) [  50/80000]  lr: 9.9e-03  loss: 1.0912
../aten/src/ATen/native/cuda/IndexKernel.cu:92: operator(): block: [0,0,0], thread: [91,0,0] \
Assertion `index >= -sizes[i] && index < sizes[i] && "index out of bounds"` failed.
RuntimeError: CUDA error: device-side assert triggered
"""
RESULTS = """\
+-------+-------+-------+
| Class |  IoU  |  Acc  |
+-------+-------+-------+
|  soil | 81.20 | 90.11 |
|  weed | 40.02 | 61.73 |
|  crop |  0.0  |  nan  |
+-------+-------+-------+
"""

#: Texts beside the data and the patched configs.
FILES = {
    "my_pspnet.py": MY_PSPNET,
    "my_config.py": MY_PSPNET,
    "vessels.yml": VESSELS,
    "configs/farm.py": MY_PSPNET,
    "experiments/a.py": MY_PSPNET,
    "classes.txt": "soil\nweed\ncrop\n",
    "run.log": LOG,
    "results.txt": RESULTS,
}


def make_scene(root: Path) -> Path:
    """Write everything but the checkpoint, which takes seconds; ``root`` is the current folder."""
    make_shapes(root / "data" / "farm", classes=3, train=12, val=4, size=128)
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    ours = patch(ZOO, CLASSES, data_root="data/farm")
    (root / "patched").mkdir()
    for name in ("patched/farm.py", "patched/cfg.py", "patched/config.py"):
        ours.write(root / name)
    patch(MASK2FORMER, CLASSES, data_root="data/farm").write(root / "patched" / "mask2former.py")
    patch(ZOO, ("spot", "window", "beam"), multilabel=True).write(root / "patched" / "lights.py")
    return root


def make_checkpoint(path: Path) -> Path:
    """Save the zoo model with random weights, as the published file of it is made."""
    import torch
    from mmengine.config import Config
    from mmseg.datasets import CityscapesDataset

    from mmseg_fixkit.config.host import zoo_path
    from tests.helpers.runs import run_portable
    from tests.zoo.build import build

    model: Any = build(run_portable(Config.fromfile(str(zoo_path(ZOO)))).model)
    meta = {"dataset_meta": dict(CityscapesDataset.METAINFO)}
    torch.save({"state_dict": model.state_dict(), "meta": meta, "optimizer": {}}, path)
    return path
