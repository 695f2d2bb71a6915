# Foreground and background by one sigmoid channel. The weights 0.25 and 1 became their ratio, and ADE20K's
# reduce_zero_label is off: 0 is the background in these files. Made by
#
#   mmseg-fix patch mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py \
#       --classes background,weed --binary sigmoid --class-weight 0.25,1 \
#       --data-root data/weeds -o segformer_weeds.py
#
# and then the last part by hand. MSFnnn: the rule that asked for a change; `mmseg-fix rule MSFnnn`.

# mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py, by its path,
# as not every MMEngine reads that name.
_base_ = (
    __import__('mmseg').__path__[0] +
    '/.mim/configs/segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py')

# added (MSF207)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# added (MSF201)
metainfo = dict(classes=('background', 'weed'), palette=[[0, 0, 0], [128, 0, 0]])

# changed (MSF207, MSF301)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='AssertLabelBounds', num_classes=2),
    dict(
        type='RandomResize',
        scale=(2048, 512),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')
]

# changed (MSF207, MSF301)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='AssertLabelBounds', num_classes=2),
    dict(type='PackSegInputs')
]

model = dict(
    decode_head=dict(
        # was 150 (MSF101)
        num_classes=2,
        loss_decode=dict(
            # was False (MSF114)
            use_sigmoid=True,
            # added (MSF114)
            class_weight=[4.0]),
        # added (MSF114)
        out_channels=1,
        threshold=0.5))

train_dataloader = dict(
    dataset=dict(
        # was 'ADE20KDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/ade/ADEChallengeData2016' (MSF206)
        data_root='data/weeds',
        data_prefix=dict(
            # was 'images/training' (MSF206)
            img_path='images/train',
            # was 'annotations/training' (MSF206)
            seg_map_path='labels/train'),
        pipeline=train_pipeline,
        metainfo=metainfo,
        # added (MSF301)
        reduce_zero_label=False))

val_dataloader = dict(
    dataset=dict(
        # was 'ADE20KDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/ade/ADEChallengeData2016' (MSF206)
        data_root='data/weeds',
        data_prefix=dict(
            # was 'images/validation' (MSF206)
            img_path='images/val',
            # was 'annotations/validation' (MSF206)
            seg_map_path='labels/val'),
        pipeline=test_pipeline,
        metainfo=metainfo,
        # added (MSF301)
        reduce_zero_label=False))

test_dataloader = val_dataloader

# added (MSF207)
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]

# ----- by hand: what a patch leaves to you -----

train_dataloader.update(batch_size=8)
train_cfg = dict(max_iters=8000, val_interval=1000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=500, end=8000, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=1000, save_best='mIoU', max_keep_ckpts=1))
