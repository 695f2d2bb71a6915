# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        channels=16,
        num_classes=2,
        # changed (MSF114)
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=False),
            dict(type='DiceLoss', use_sigmoid=False),
            dict(type='LovaszLoss', reduction='none', loss_type='multi_class')
        ]))
