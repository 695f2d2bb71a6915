# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF207, MSF610)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

# changed (MSF611, MSF613)
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
    # was 'EncoderDecoder' (MSF602)
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        channels=16,
        # was 19 (MSF601)
        num_classes=4,
        # changed (MSF603)
        loss_decode=[
            dict(type='MultiLabelLoss', loss_name='loss_ce'),
            dict(
                type='MultiLabelLoss',
                bce_weight=0.0,
                dice_weight=1.0,
                loss_name='loss_dice',
                loss_weight=3.0)
        ]),
    # changed (MSF601, MSF603)
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
    # added (MSF602)
    threshold=0.5)

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        pipeline=train_pipeline,
        metainfo=dict(
            # added (MSF201)
            classes=('person', 'car', 'shadow'),
            palette=[[128, 0, 0], [0, 128, 0], [128, 128, 0]]),
        # added (MSF204)
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

# changed (MSF614)
val_evaluator = [dict(type='MultiLabelIoUMetric', prefix='street')]

# added (MSF207)
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]

visualizer = dict(
    # was 'SegLocalVisualizer' (MSF615)
    type='MultiLabelLocalVisualizer')

default_hooks = dict(
    checkpoint=dict(
        # was 'mAcc' (MSF614)
        save_best='mIoU'))
