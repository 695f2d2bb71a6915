# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_decode=dict(
            # was False (MSF109)
            use_sigmoid=True,
            # was [0.5, 2.0] (MSF109)
            class_weight=[4.0])),
    auxiliary_head=dict(
        # added (MSF109)
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0)))
