# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_cls=dict(
            # was [0.1, 1.0, 1.0] (MSF102)
            class_weight=[0.1, 1.0, 1.0, 0.1])))
