# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF612)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadMultiLabelAnnotations', labels=8),
    dict(type='Resize', scale=(64, 64), backend='cv2'),
    dict(type='MultiLabelRandomFlip', prob=0.5, swap_seg_labels=[(0, 1)]),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='MultiLabelRandomRotFlip', degree=10),
    dict(type='PackMultiLabelInputs')
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
