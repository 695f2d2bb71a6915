# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF207 guards-missing; MSF610 multilabel-import
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# MSF611 multilabel-loading; MSF613 multilabel-packing
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='LoadMultiLabelAnnotations',
        labels=('person', 'car', 'shadow'),
        label_format='planes'),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackMultiLabelInputs')
]

model = dict(
    # MSF602 multilabel-segmentor: was 'EncoderDecoder'
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        channels=16,
        # MSF601 multilabel-channel-count: was 19
        num_classes=4,
        # MSF603 multilabel-loss
        loss_decode=[
            dict(type='MultiLabelLoss', loss_name='loss_ce'),
            dict(
                type='MultiLabelLoss',
                bce_weight=0.0,
                dice_weight=1.0,
                loss_name='loss_dice',
                loss_weight=3.0)
        ]),
    # MSF601 multilabel-channel-count; MSF603 multilabel-loss
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=32,
            channels=16,
            num_classes=4,
            loss_decode=dict(type='MultiLabelLoss')),
        dict(
            type='STDCHead',
            in_channels=32,
            channels=16,
            num_classes=2,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce', use_sigmoid=True),
                dict(type='DiceLoss', loss_name='loss_dice')
            ])
    ],
    # MSF602 multilabel-segmentor
    threshold=0.5)

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        pipeline=train_pipeline,
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('person', 'car', 'shadow'),
            palette=[[128, 0, 0], [0, 128, 0], [128, 128, 0]]),
        # MSF204 foreign-classes
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

# MSF614 multilabel-metric
val_evaluator = [dict(type='MultiLabelIoUMetric', prefix='street')]

# MSF207 guards-missing
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]

visualizer = dict(
    # MSF615 multilabel-pictures: was 'SegLocalVisualizer'
    type='MultiLabelLocalVisualizer')

default_hooks = dict(
    checkpoint=dict(
        # MSF614 multilabel-metric: was 'mAcc'
        save_best='mIoU'))
