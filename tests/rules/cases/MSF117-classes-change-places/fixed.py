# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# was {'classes': ('road', 'car', 'sky')} (MSF117, MSF201)
metainfo = dict(
    classes=('sky', 'road', 'car'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])

model = dict(
    decode_head=dict(
        loss_cls=dict(
            # was [0.5, 2.0, 1.0, 0.1] (MSF117)
            class_weight=[1.0, 0.5, 2.0, 0.1])))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
