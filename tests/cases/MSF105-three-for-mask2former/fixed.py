# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 19
        num_classes=3,
        loss_cls=dict(
            # MSF105 class-weight-not-as-asked
            class_weight=[0.1, 1.0, 1.0, 0.05])))

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('soil', 'weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]]),
        # MSF204 foreign-classes
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))
