# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF201)
metainfo = dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]])

model = dict(
    decode_head=dict(
        # was 19 (MSF101)
        num_classes=2))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
