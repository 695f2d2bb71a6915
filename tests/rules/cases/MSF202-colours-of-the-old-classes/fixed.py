# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # was [[128, 64, 128], [0, 0, 142]] (MSF202)
            palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]])))
