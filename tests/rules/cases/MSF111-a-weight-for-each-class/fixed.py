# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # changed (MSF111)
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[4.0]),
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[4.0]),
            dict(type='FocalLoss', class_weight=None)
        ]))
