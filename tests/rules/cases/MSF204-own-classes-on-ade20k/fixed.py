# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF301)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=False),
    dict(type='PackSegInputs')
]

model = dict(
    decode_head=dict(
        # was 150 (MSF101)
        num_classes=2))

train_dataloader = dict(
    dataset=dict(
        # was 'ADE20KDataset' (MSF204)
        type='BaseSegDataset',
        pipeline=train_pipeline,
        metainfo=dict(
            # added (MSF201)
            classes=('weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0]]),
        # added (MSF301)
        reduce_zero_label=False))
