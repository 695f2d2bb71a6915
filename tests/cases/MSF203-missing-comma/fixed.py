# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF203 classes-not-a-list
own_metainfo = dict(classes=('water',))

train_dataloader = dict(dataset=dict(metainfo=own_metainfo))

val_dataloader = dict(dataset=dict(metainfo=own_metainfo))
