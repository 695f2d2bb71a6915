# Several labels a pixel: three labels, four channels, the first of them the background. Labels are maps of
# bits (docs/multilabel.md). Made by
#
#   mmseg-fix patch mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py \
#       --classes cell,nucleus,halo --multilabel --data-root data/cells \
#       --img-suffix .png -o deeplabv3plus_cells.py
#
# and then the last part by hand. MSFnnn: the rule that asked for a change; `mmseg-fix rule MSFnnn`.
_base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024.py'

# MSF207 guards-missing; MSF610 multilabel-import
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# MSF201 dataset-classes
metainfo = dict(
    classes=('cell', 'nucleus', 'halo'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])

# MSF611 multilabel-loading; MSF613 multilabel-packing
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

# MSF611 multilabel-loading; MSF613 multilabel-packing
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
    # MSF602 multilabel-segmentor: was 'EncoderDecoder'
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        # MSF601 multilabel-channel-count: was 19
        num_classes=4,
        # MSF603 multilabel-loss
        loss_decode=dict(_delete_=True, type='MultiLabelLoss', loss_weight=1.0)),
    auxiliary_head=dict(
        # MSF601 multilabel-channel-count: was 19
        num_classes=4,
        # MSF603 multilabel-loss
        loss_decode=dict(_delete_=True, type='MultiLabelLoss', loss_weight=0.4)),
    # MSF602 multilabel-segmentor
    threshold=0.5)

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF206 data-not-as-asked: was 'data/cityscapes/'
        data_root='data/cells',
        data_prefix=dict(
            # MSF206 data-not-as-asked: was 'leftImg8bit/train'
            img_path='images/train',
            # MSF206 data-not-as-asked: was 'gtFine/train'
            seg_map_path='labels/train'),
        pipeline=train_pipeline,
        metainfo=metainfo,
        # MSF206 data-not-as-asked
        img_suffix='.png',
        seg_map_suffix='.png'))

val_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF206 data-not-as-asked: was 'data/cityscapes/'
        data_root='data/cells',
        data_prefix=dict(
            # MSF206 data-not-as-asked: was 'leftImg8bit/val'
            img_path='images/val',
            # MSF206 data-not-as-asked: was 'gtFine/val'
            seg_map_path='labels/val'),
        pipeline=test_pipeline,
        metainfo=metainfo,
        # MSF206 data-not-as-asked
        img_suffix='.png',
        seg_map_suffix='.png'))

test_dataloader = val_dataloader

# MSF614 multilabel-metric
val_evaluator = dict(_delete_=True, type='MultiLabelIoUMetric')

# MSF614 multilabel-metric
test_evaluator = dict(_delete_=True, type='MultiLabelIoUMetric')

# MSF207 guards-missing
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]

# MSF611 multilabel-loading; MSF613 multilabel-packing
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
    # MSF615 multilabel-pictures: was 'SegLocalVisualizer'
    type='MultiLabelLocalVisualizer')

tta_model = dict(
    # MSF602 multilabel-segmentor: was 'SegTTAModel'
    type='MultiLabelTTAModel')

# ----- by hand: what a patch leaves to you -----

train_dataloader.update(batch_size=4)
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_iters=8000, val_interval=1000)
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=0, end=8000, by_epoch=False)
]
default_hooks = dict(checkpoint=dict(interval=1000, save_best='mIoU', max_keep_ckpts=1))
