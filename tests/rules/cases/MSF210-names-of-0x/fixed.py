# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            _delete_=True,
            # added (MSF210)
            classes=('weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0]])))

val_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            _delete_=True,
            # added (MSF210)
            classes=('weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0]])))
