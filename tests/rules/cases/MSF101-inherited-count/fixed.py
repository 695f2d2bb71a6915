# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    auxiliary_head=dict(
        # was 19 (MSF101)
        num_classes=3))
