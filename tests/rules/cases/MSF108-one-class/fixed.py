# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# changed (MSF201)
metainfo = dict(classes=('background', 'weed'), palette=[[0, 0, 0], [0, 128, 0]])

model = dict(
    decode_head=dict(
        # was 1 (MSF101)
        num_classes=2,
        # added (MSF101)
        out_channels=1,
        # added (MSF112)
        threshold=0.3),
    auxiliary_head=dict(
        # was 1 (MSF101)
        num_classes=2))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
