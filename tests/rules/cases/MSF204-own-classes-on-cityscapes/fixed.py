# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # added (MSF204)
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

val_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # added (MSF204)
        img_suffix='_leftImg8bit.png'))

test_dataloader = val_dataloader
