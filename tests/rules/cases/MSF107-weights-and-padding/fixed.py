# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF107)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

model = dict(
    decode_head=dict(
        # changed (MSF107)
        loss_decode=[
            dict(type='ClassWeightedCrossEntropyLoss', class_weight=[1.0, 2.0, 3.0]),
            dict(type='DiceLoss', loss_weight=0.5)
        ]))
