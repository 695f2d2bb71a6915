# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # added (MSF112)
        threshold=0.3),
    # changed (MSF112)
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=32,
            channels=16,
            num_classes=2,
            out_channels=1,
            threshold=1,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=2)
    ])
