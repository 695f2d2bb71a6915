# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_decode=dict(
            # MSF109 one-channel-loss: was False
            use_sigmoid=True,
            # MSF109 one-channel-loss
            class_weight=[4.0])),
    auxiliary_head=dict(
        # MSF109 one-channel-loss
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)))
