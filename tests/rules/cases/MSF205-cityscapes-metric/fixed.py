# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF205)
val_evaluator = [dict(type='IoUMetric')]
