# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF202 palette-length; MSF203 classes-not-a-list
metainfo = dict(classes=('background', 'water'), palette=[[0, 0, 0], [0, 255, 255]])

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 1
        num_classes=2))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
