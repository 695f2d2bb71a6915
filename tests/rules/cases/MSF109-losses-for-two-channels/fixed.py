# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF109)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

model = dict(
    decode_head=dict(
        # changed (MSF109)
        loss_decode=[
            dict(
                type='OneChannelLoss',
                loss=dict(type='OhemCrossEntropy', class_weight=[1.0, 3.0])),
            dict(type='OneChannelLoss', loss=dict(type='LovaszLoss', reduction='none')),
            dict(type='LovaszLoss', reduction='none', loss_type='binary'),
            dict(type='DiceLoss', loss_weight=3.0),
            dict(type='TverskyLoss'),
            dict(type='FocalLoss', alpha=0.75)
        ]))
