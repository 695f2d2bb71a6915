# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

val_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('road', 'car', 'sky'),
            palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])))
