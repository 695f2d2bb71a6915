# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        loss_decode=dict(
            _delete_=True,
            # MSF118 loss-of-other-heads: was 'OhemCrossEntropy'
            type='CrossEntropyLoss',
            class_weight=None,
            loss_weight=0.4),
        # MSF118 loss-of-other-heads
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=1000)))
