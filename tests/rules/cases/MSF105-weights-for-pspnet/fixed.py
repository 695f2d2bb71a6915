# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_decode=dict(
            # added (MSF105)
            class_weight=[1.0, 2.0, 3.0])))
