# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF614 multilabel-metric
val_evaluator = dict(_delete_=True, type='MultiLabelIoUMetric', nan_to_num=-1)

# MSF614 multilabel-metric
test_evaluator = [dict(type='MultiLabelIoUMetric')]

default_hooks = dict(
    checkpoint=dict(
        # MSF614 multilabel-metric: was 'aAcc'
        save_best='mIoU'))
