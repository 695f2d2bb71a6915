# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        # MSF211 data-root-twice: was 'data/farm/splits/train.txt'
        ann_file='splits/train.txt',
        data_prefix=dict(
            # MSF211 data-root-twice: was 'data/farm/images'
            img_path='images',
            # MSF211 data-root-twice: was 'data/farm/labels'
            seg_map_path='labels')))
