# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # MSF601 multilabel-channel-count: was 4
        num_classes=3,
        loss_decode=dict(
            # MSF607 multilabel-class-weight
            class_weight=[0.5, 3.0, 1.0],
            pos_weight=[8.0, 2.0])))

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('glass', 'person'),
            palette=[[128, 0, 0], [0, 128, 0]])))
