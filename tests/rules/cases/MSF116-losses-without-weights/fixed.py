# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # changed (MSF116)
        loss_decode=[
            dict(type='DiceLoss'),
            dict(type='HuasdorffDisstanceLoss', class_weight=None)
        ]))
