# Fine-tuning: a model of Cityscapes learns a class more, and keeps the rows of those that it knows.
# Made by
#
#   mmseg-fix patch mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py \
#       --classes road,car,person,pothole --data-root data/street \
#       --load-from pspnet_r18-d8_512x1024_80k_cityscapes.pth -o pspnet_street.py
#
# and then the last part by hand. MSFnnn: the rule that asked for a change; `mmseg-fix rule MSFnnn`.

# mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py, by its path,
# as not every MMEngine reads that name.
_base_ = (
    __import__('mmseg').__path__[0] +
    '/.mim/configs/pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py')

# added (MSF207)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# added (MSF201)
metainfo = dict(
    classes=('road', 'car', 'person', 'pothole'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]])

# changed (MSF207)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=4),
    dict(
        type='RandomResize',
        scale=(2048, 1024),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 1024), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]

# changed (MSF207)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=4),
    dict(type='PackSegInputs')
]

model = dict(
    decode_head=dict(
        # was 19 (MSF101)
        num_classes=4),
    auxiliary_head=dict(
        # was 19 (MSF101)
        num_classes=4))

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/cityscapes/' (MSF206)
        data_root='data/street',
        data_prefix=dict(
            # was 'leftImg8bit/train' (MSF206)
            img_path='images/train',
            # was 'gtFine/train' (MSF206)
            seg_map_path='labels/train'),
        pipeline=train_pipeline,
        metainfo=metainfo,
        # added (MSF206)
        img_suffix='.jpg',
        seg_map_suffix='.png'))

val_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/cityscapes/' (MSF206)
        data_root='data/street',
        data_prefix=dict(
            # was 'leftImg8bit/val' (MSF206)
            img_path='images/val',
            # was 'gtFine/val' (MSF206)
            seg_map_path='labels/val'),
        pipeline=test_pipeline,
        metainfo=metainfo,
        # added (MSF206)
        img_suffix='.jpg',
        seg_map_suffix='.png'))

test_dataloader = val_dataloader

# added (MSF207)
custom_hooks = [
    dict(type='ClassCountHook'),
    dict(type='HeadAdaptHook'),
    dict(type='LossSanityHook')  # by hand
]

# was None (MSF501)
load_from = 'pspnet_r18-d8_512x1024_80k_cityscapes.pth'

# ----- by hand: what a patch leaves to you -----

# A tenth of the learning rate, as most of the network is trained already.
optim_wrapper = dict(optimizer=dict(lr=0.001))
train_cfg = dict(max_iters=4000, val_interval=500)
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-5, power=0.9, begin=0, end=4000, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=500, save_best='mIoU', max_keep_ckpts=1))
