# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # changed (MSF115)
        loss_decode=[
            dict(type='TverskyLoss', class_weight='weights.json'),
            dict(type='OhemCrossEntropy', class_weight=[0.5, 1.5])
        ]))
