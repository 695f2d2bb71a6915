# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF109 one-channel-loss
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

model = dict(
    decode_head=dict(
        # MSF109 one-channel-loss
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
