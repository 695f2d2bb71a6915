# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # changed (MSF116)
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                use_sigmoid=True,
                class_weight=[[[1.0]], [[2.0]], [[3.0]]]),
            dict(type='FocalLoss', class_weight=[1.0, 2.0, 3.0])
        ]))
