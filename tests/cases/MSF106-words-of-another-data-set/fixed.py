# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    text_encoder=dict(
        # MSF106 text-vocabulary: was 'coco-stuff164k'
        dataset_name=None,
        # MSF106 text-vocabulary
        vocabulary=['weed', 'crop']),
    decode_head=dict(
        # MSF101 head-class-count: was 171
        num_classes=2,
        # MSF102 class-weight-length
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                loss_name='loss_cls_ce',
                class_weight=[1.0, 1.0, 0.1])
        ]))

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'COCOStuffDataset'
        type='BaseSegDataset',
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0]]),
        # MSF204 foreign-classes
        seg_map_suffix='_labelTrainIds.png'))
