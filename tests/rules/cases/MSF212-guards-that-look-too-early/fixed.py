# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF212)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RemapLabels', mapping={7: 0, 8: 1}),
    dict(type='AssertLabelBounds', num_classes=2),
    dict(type='PackSegInputs')
]

# changed (MSF212)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=2),
    dict(type='PackSegInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
