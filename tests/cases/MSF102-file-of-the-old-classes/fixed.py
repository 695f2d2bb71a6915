# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 5
        num_classes=2,
        loss_decode=dict(
            # MSF102 class-weight-length: was 'weights.json'
            class_weight=[3.0, 0.5])))

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # MSF201 dataset-classes
            classes=('person', 'road'),
            palette=[[0, 0, 0], [128, 0, 0]])))
