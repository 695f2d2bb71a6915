# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF616)
        type='BaseSegDataset',
        # added (MSF616)
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

val_dataloader = dict(
    dataset=dict(
        # was 'ADE20KDataset' (MSF616)
        type='BaseSegDataset',
        # was True (MSF301)
        reduce_zero_label=False))
