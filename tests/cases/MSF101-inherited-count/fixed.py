# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    auxiliary_head=dict(
        # MSF101 head-class-count: was 19
        num_classes=3))
