# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF301 reduce-zero-label-conflict
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='PackSegInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
