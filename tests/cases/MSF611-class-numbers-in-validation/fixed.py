# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF611 multilabel-loading
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='LoadMultiLabelAnnotations',
        labels=('person', 'shadow'),
        label_format='planes',
        values=255),
    dict(type='PackMultiLabelInputs')
]

# MSF611 multilabel-loading
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='LoadMultiLabelAnnotations',
        labels=('person', 'shadow'),
        label_format='planes',
        values=255),
    dict(type='PackSegInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
