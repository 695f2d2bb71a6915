# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    text_encoder=dict(
        # was 'coco-stuff164k' (MSF106)
        dataset_name=None,
        # added (MSF106)
        vocabulary=['weed', 'crop']),
    decode_head=dict(
        # was 171 (MSF101)
        num_classes=2,
        # changed (MSF102)
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                loss_name='loss_cls_ce',
                class_weight=[1.0, 1.0, 0.1])
        ]))

train_dataloader = dict(
    dataset=dict(
        # was 'COCOStuffDataset' (MSF204)
        type='BaseSegDataset',
        metainfo=dict(
            # added (MSF201)
            classes=('weed', 'crop'),
            palette=[[0, 0, 0], [128, 0, 0]]),
        # added (MSF204)
        seg_map_suffix='_labelTrainIds.png'))
