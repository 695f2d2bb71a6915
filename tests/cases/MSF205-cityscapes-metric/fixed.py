# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF205 metric-of-another-dataset
val_evaluator = [dict(type='IoUMetric')]
