# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        # was 'data/farm/splits/train.txt' (MSF211)
        ann_file='splits/train.txt',
        data_prefix=dict(
            # was 'data/farm/images' (MSF211)
            img_path='images',
            # was 'data/farm/labels' (MSF211)
            seg_map_path='labels')))
