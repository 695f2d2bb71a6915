# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # changed (MSF603)
        loss_decode=[
            dict(
                type='MultiLabelLoss',
                loss_name='loss_ce',
                class_weight=[1.0, 0.5, 2.0]),
            dict(
                type='MultiLabelLoss',
                bce_weight=0.0,
                dice_weight=1.0,
                loss_name='loss_dice',
                loss_weight=3.0),
            dict(
                type='MultiLabelLoss',
                bce_weight=0.0,
                lovasz_weight=1.0,
                loss_name='loss_lov'),
            dict(
                type='MultiLabelLoss',
                bce_weight=0.0,
                dice_weight=1.0,
                loss_name='loss_tversky',
                loss_weight=0.3),
            dict(type='HuasdorffDisstanceLoss')
        ]),
    # changed (MSF603)
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=32,
            channels=16,
            num_classes=3,
            loss_decode=dict(type='MultiLabelLoss')),
        dict(
            type='STDCHead',
            in_channels=32,
            channels=16,
            num_classes=2,
            loss_decode=[
                dict(type='CrossEntropyLoss', use_sigmoid=True),
                dict(type='DiceLoss')
            ])
    ])
