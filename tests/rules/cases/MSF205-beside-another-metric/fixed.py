# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF205)
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore'])]

# changed (MSF205)
test_evaluator = dict(_delete_=True, type='IoUMetric', iou_metrics=['mIoU'])
