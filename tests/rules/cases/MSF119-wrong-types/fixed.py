# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # was [19] (MSF101)
        num_classes=2))

# changed (MSF119)
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]
