# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF208 guard-class-count
train_pipeline = [
    dict(type='LoadAnnotations'),
    dict(type='AssertLabelBounds', num_classes=3)
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
