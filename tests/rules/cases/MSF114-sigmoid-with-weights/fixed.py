# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF114)
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)

model = dict(
    decode_head=dict(
        # changed (MSF105, MSF114)
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                loss_name='loss_ce',
                class_weight=[4.0],
                use_sigmoid=True),
            dict(
                type='OneChannelLoss',
                loss=dict(
                    type='LovaszLoss',
                    reduction='none',
                    loss_weight=0.5,
                    class_weight=[0.25, 1.0]))
        ],
        # added (MSF114)
        out_channels=1,
        threshold=0.5))
