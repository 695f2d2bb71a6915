# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # was 5 (MSF101)
        num_classes=2,
        loss_decode=dict(
            # was 'weights.json' (MSF102)
            class_weight=[3.0, 0.5])))

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # was ('road', 'car', 'sky', 'tree', 'person') (MSF201)
            classes=('person', 'road'),
            # added (MSF201)
            palette=[[0, 0, 0], [128, 0, 0]])))
