# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # MSF112 one-channel-threshold
        threshold=0.3),
    # MSF112 one-channel-threshold
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
