# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_cls=dict(
            # changed (MSF102)
            class_weight=[1.0, 1.0, 1.0, 0.1]),
        # added (MSF101)
        num_classes=3))
