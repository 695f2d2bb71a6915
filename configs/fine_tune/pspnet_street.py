# Fine-tuning: a model of Cityscapes learns a class more, and keeps the rows of those that it knows.
# Made by
#
#   mmseg-fix patch mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py \
#       --classes road,car,person,pothole --data-root data/street \
#       --load-from pspnet_r18-d8_512x1024_80k_cityscapes.pth -o pspnet_street.py
#
# and then the last part by hand. MSFnnn: the rule that asked for a change; `mmseg-fix rule MSFnnn`.
_base_ = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'

# MSF207 guards-missing
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# MSF201 dataset-classes
metainfo = dict(
    classes=('road', 'car', 'person', 'pothole'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]])

# MSF207 guards-missing
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

# MSF207 guards-missing
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=4),
    dict(type='PackSegInputs')
]

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 19
        num_classes=4),
    auxiliary_head=dict(
        # MSF101 head-class-count: was 19
        num_classes=4))

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF206 data-not-as-asked: was 'data/cityscapes/'
        data_root='data/street',
        data_prefix=dict(
            # MSF206 data-not-as-asked: was 'leftImg8bit/train'
            img_path='images/train',
            # MSF206 data-not-as-asked: was 'gtFine/train'
            seg_map_path='labels/train'),
        pipeline=train_pipeline,
        metainfo=metainfo,
        # MSF206 data-not-as-asked
        img_suffix='.jpg',
        seg_map_suffix='.png'))

val_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF206 data-not-as-asked: was 'data/cityscapes/'
        data_root='data/street',
        data_prefix=dict(
            # MSF206 data-not-as-asked: was 'leftImg8bit/val'
            img_path='images/val',
            # MSF206 data-not-as-asked: was 'gtFine/val'
            seg_map_path='labels/val'),
        pipeline=test_pipeline,
        metainfo=metainfo,
        # MSF206 data-not-as-asked
        img_suffix='.jpg',
        seg_map_suffix='.png'))

test_dataloader = val_dataloader

# MSF207 guards-missing
custom_hooks = [
    dict(type='ClassCountHook'),
    dict(type='HeadAdaptHook'),
    dict(type='LossSanityHook')  # by hand
]

# MSF501 checkpoint-not-as-asked
load_from = 'pspnet_r18-d8_512x1024_80k_cityscapes.pth'

# ----- by hand: what a patch leaves to you -----

# A tenth of the learning rate, as most of the network is trained already.
optim_wrapper = dict(optimizer=dict(lr=0.001))
train_cfg = dict(max_iters=4000, val_interval=500)
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-5, power=0.9, begin=0, end=4000, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=500, save_best='mIoU', max_keep_ckpts=1))
