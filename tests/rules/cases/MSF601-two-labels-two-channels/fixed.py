# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    # changed (MSF601)
    decode_head=[
        dict(
            type='FCNHead',
            in_channels=64,
            channels=16,
            num_classes=3,
            loss_decode=dict(type='MultiLabelLoss')),
        dict(
            type='OCRHead',
            in_channels=64,
            channels=16,
            ocr_channels=8,
            num_classes=3,
            loss_decode=dict(type='MultiLabelLoss'))
    ],
    auxiliary_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=64,
        channels=16,
        num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
