# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        channels=16,
        num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
