# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

val_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # was ('road', 'sky', 'car') (MSF201)
            classes=('road', 'car', 'sky'),
            # added (MSF201)
            palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])))
