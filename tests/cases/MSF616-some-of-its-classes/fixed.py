# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        # MSF616 multilabel-dataset-type: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF616 multilabel-dataset-type
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

val_dataloader = dict(
    dataset=dict(
        # MSF616 multilabel-dataset-type: was 'ADE20KDataset'
        type='BaseSegDataset',
        # MSF301 reduce-zero-label-conflict: was True
        reduce_zero_label=False))
