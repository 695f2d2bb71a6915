# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 100
        num_things_classes=3,
        # MSF101 head-class-count: was 50
        num_stuff_classes=0,
        loss_cls=dict(
            # MSF102 class-weight-length
            class_weight=[1.0, 1.0, 1.0, 0.1])))
