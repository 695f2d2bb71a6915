# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_cls=dict(
            # was [2.0, 1.0, 1.0, 0.1] (MSF105)
            class_weight=[1.0, 1.0, 1.0, 0.1])),
    # changed (MSF105)
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=64,
            channels=16,
            num_classes=3,
            loss_decode=dict(type='TverskyLoss', class_weight=None))
    ])
