# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True,
            # was 'OhemCrossEntropy' (MSF118)
            type='CrossEntropyLoss',
            class_weight=None,
            loss_weight=0.4),
        # added (MSF118)
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=1000)))
