# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF614)
val_evaluator = dict(_delete_=True, type='MultiLabelIoUMetric', nan_to_num=-1)

# changed (MSF614)
test_evaluator = [dict(type='MultiLabelIoUMetric')]

default_hooks = dict(
    checkpoint=dict(
        # was 'aAcc' (MSF614)
        save_best='mIoU'))
