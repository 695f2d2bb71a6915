# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF117 class-weight-order; MSF201 dataset-classes
metainfo = dict(
    classes=('sky', 'road', 'car'),
    palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])

model = dict(
    decode_head=dict(
        loss_cls=dict(
            # MSF117 class-weight-order
            class_weight=[1.0, 0.5, 2.0, 0.1])))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
