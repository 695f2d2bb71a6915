# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF611)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='LoadMultiLabelAnnotations',
        labels=('person', 'shadow'),
        label_format='planes',
        values=255),
    dict(type='PackMultiLabelInputs')
]

# changed (MSF611)
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
