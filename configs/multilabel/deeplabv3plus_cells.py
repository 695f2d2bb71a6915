# Multi-label: three labels, four channels, the first of them the background. Labels are maps of
# bits (docs/multilabel.md). Made by
#
#   mmseg-fix patch mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py \
#       --classes cell,nucleus,halo --multilabel --data-root data/cells \
#       --img-suffix .png -o deeplabv3plus_cells.py
#
# and then the last part by hand. MSFnnn: the rule that asked for a change; `mmseg-fix rule MSFnnn`.

# mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py, by its path,
# as not every MMEngine reads that name.
_base_ = (
    __import__('mmseg').__path__[0] +
    '/.mim/configs/deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py')

# added (MSF207, MSF610)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# added (MSF201)
metainfo = dict(
    classes=('cell', 'nucleus', 'halo'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])

# changed (MSF611, MSF613)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='LoadMultiLabelAnnotations',
        labels=('cell', 'nucleus', 'halo'),
        label_format='bits'),
    dict(
        type='RandomResize',
        scale=(2048, 1024),
        ratio_range=(0.5, 2.0),
        keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 1024), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackMultiLabelInputs')
]

# changed (MSF611, MSF613)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 1024), keep_ratio=True),
    dict(
        type='LoadMultiLabelAnnotations',
        labels=('cell', 'nucleus', 'halo'),
        label_format='bits'),
    dict(type='PackMultiLabelInputs')
]

model = dict(
    # was 'EncoderDecoder' (MSF602)
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        # was 19 (MSF601)
        num_classes=4,
        # changed (MSF603)
        loss_decode=dict(_delete_=True, type='MultiLabelLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        # was 19 (MSF601)
        num_classes=4,
        # changed (MSF603)
        loss_decode=dict(_delete_=True, type='MultiLabelLoss', loss_weight=0.4)),
    # added (MSF602)
    threshold=0.5)

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/cityscapes/' (MSF206)
        data_root='data/cells',
        data_prefix=dict(
            # was 'leftImg8bit/train' (MSF206)
            img_path='images/train',
            # was 'gtFine/train' (MSF206)
            seg_map_path='labels/train'),
        pipeline=train_pipeline,
        metainfo=metainfo,
        # added (MSF206)
        img_suffix='.png',
        seg_map_suffix='.png'))

val_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/cityscapes/' (MSF206)
        data_root='data/cells',
        data_prefix=dict(
            # was 'leftImg8bit/val' (MSF206)
            img_path='images/val',
            # was 'gtFine/val' (MSF206)
            seg_map_path='labels/val'),
        pipeline=test_pipeline,
        metainfo=metainfo,
        # added (MSF206)
        img_suffix='.png',
        seg_map_suffix='.png'))

test_dataloader = val_dataloader

# changed (MSF614)
val_evaluator = dict(_delete_=True, type='MultiLabelIoUMetric')

# changed (MSF614)
test_evaluator = dict(_delete_=True, type='MultiLabelIoUMetric')

# added (MSF207)
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]

# changed (MSF611, MSF613)
tta_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=0.5, keep_ratio=True),
                dict(type='Resize', scale_factor=0.75, keep_ratio=True),
                dict(type='Resize', scale_factor=1.0, keep_ratio=True),
                dict(type='Resize', scale_factor=1.25, keep_ratio=True),
                dict(type='Resize', scale_factor=1.5, keep_ratio=True),
                dict(type='Resize', scale_factor=1.75, keep_ratio=True)
            ],
            [
                dict(type='RandomFlip', prob=0.0, direction='horizontal'),
                dict(type='RandomFlip', prob=1.0, direction='horizontal')
            ],
            [
                dict(
                    type='LoadMultiLabelAnnotations',
                    labels=('cell', 'nucleus', 'halo'),
                    label_format='bits')
            ],
            [dict(type='PackMultiLabelInputs')]
        ])
]

visualizer = dict(
    # was 'SegLocalVisualizer' (MSF615)
    type='MultiLabelLocalVisualizer')

tta_model = dict(
    # was 'SegTTAModel' (MSF602)
    type='MultiLabelTTAModel')

# ----- by hand: what a patch leaves to you -----

train_dataloader.update(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_iters=8000, val_interval=1000)
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=8000, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=1000, save_best='mIoU', max_keep_ckpts=1))
