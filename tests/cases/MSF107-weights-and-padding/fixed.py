# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF107 class-weight-on-ignored-pixels
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

model = dict(
    decode_head=dict(
        # MSF107 class-weight-on-ignored-pixels
        loss_decode=[
            dict(type='ClassWeightedCrossEntropyLoss', class_weight=[1.0, 2.0, 3.0]),
            dict(type='DiceLoss', loss_weight=0.5)
        ]))
