# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF114)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

model = dict(
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        channels=16,
        # was 19 (MSF101)
        num_classes=2,
        # changed (MSF102, MSF114)
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                loss_name='loss_ce',
                class_weight=[1.0],
                use_sigmoid=True),
            dict(
                type='OneChannelLoss',
                loss=dict(
                    type='DiceLoss',
                    loss_name='loss_dice',
                    loss_weight=3.0,
                    use_sigmoid=False))
        ],
        # added (MSF114)
        out_channels=1,
        threshold=0.5),
    # changed (MSF101, MSF114)
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=32,
            channels=16,
            num_classes=2,
            out_channels=1,
            threshold=0.5,
            loss_decode=dict(
                type='CrossEntropyLoss',
                use_sigmoid=True,
                loss_weight=1.0)),
        dict(
            type='STDCHead',
            in_channels=32,
            channels=16,
            num_classes=2,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce', use_sigmoid=True),
                dict(type='DiceLoss', loss_name='loss_dice')
            ])
    ])

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        metainfo=dict(
            # added (MSF201)
            classes=('background', 'weed'),
            palette=[[0, 0, 0], [128, 0, 0]]),
        # added (MSF204)
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))
