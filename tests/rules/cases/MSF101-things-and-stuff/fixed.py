# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # was 100 (MSF101)
        num_things_classes=3,
        # was 50 (MSF101)
        num_stuff_classes=0,
        loss_cls=dict(
            # changed (MSF102)
            class_weight=[1.0, 1.0, 1.0, 0.1])))
