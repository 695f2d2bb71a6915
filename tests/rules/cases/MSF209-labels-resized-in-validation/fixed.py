# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF209)
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(512, 512)),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]

val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
