# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # MSF202 palette-length
            palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])))
