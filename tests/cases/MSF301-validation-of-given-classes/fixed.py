# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF201 dataset-classes
metainfo = dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]])

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 19
        num_classes=2))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
