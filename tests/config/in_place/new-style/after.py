from mmengine.config import read_base
from mmseg.models import FCNHead
from mmseg.datasets import BaseSegDataset, LoadAnnotations, PackSegInputs
from mmseg_fixkit.hooks.class_count import ClassCountHook
from mmseg_fixkit.hooks.head_adapt import HeadAdaptHook
from mmseg_fixkit.transforms.assert_label_bounds import AssertLabelBounds

with read_base():
    from .base import *

# wider
model.decode_head.update(dict(channels=32, num_classes=2))
model.update(
    auxiliary_head=dict(type=FCNHead, in_channels=256, in_index=2, channels=16, num_classes=2))

train_dataloader.merge(dict(
    dataset=dict(
        type=BaseSegDataset,
        pipeline=[
            dict(type=LoadAnnotations),
            dict(type=AssertLabelBounds, num_classes=2),
            dict(type=PackSegInputs)
        ],
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png')))

val_dataloader.merge(dict(
    dataset=dict(
        type=BaseSegDataset,
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png')))

custom_hooks = [dict(type=ClassCountHook), dict(type=HeadAdaptHook)]
