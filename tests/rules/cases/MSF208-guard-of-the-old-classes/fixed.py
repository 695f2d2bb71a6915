# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF208)
train_pipeline = [
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=3)
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
