# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # was 19 (MSF101)
        num_classes=3,
        loss_cls=dict(
            # changed (MSF105)
            class_weight=[0.1, 1.0, 1.0, 0.05])))

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        metainfo=dict(
            # added (MSF201)
            classes=('soil', 'weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]]),
        # added (MSF204)
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))
