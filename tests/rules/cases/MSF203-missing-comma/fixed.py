# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF202, MSF203)
metainfo = dict(classes=('background', 'water'), palette=[[0, 0, 0], [0, 255, 255]])

model = dict(
    decode_head=dict(
        # was 1 (MSF101)
        num_classes=2))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
