# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF207)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RemapLabels', mapping=[(7, 0), (11, 1), (23, 2)], default='ignore'),
    dict(type='AssertLabelBounds', num_classes=3),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='PackSegInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
