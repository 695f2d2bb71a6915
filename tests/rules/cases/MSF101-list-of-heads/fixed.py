# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    # changed (MSF101)
    decode_head=[
        dict(type='FCNHead', in_channels=64, channels=16, num_classes=3),
        dict(
            type='OCRHead',
            in_channels=64,
            channels=16,
            ocr_channels=8,
            num_classes=3)
    ])
