# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF301 reduce-zero-label-conflict
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='PackSegInputs')
]

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 150
        num_classes=2))

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'ADE20KDataset'
        type='BaseSegDataset',
        pipeline=train_pipeline,
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0]]),
        # MSF301 reduce-zero-label-conflict
        reduce_zero_label=False))
