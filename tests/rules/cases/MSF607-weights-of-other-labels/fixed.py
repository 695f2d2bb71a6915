# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # was 4 (MSF601)
        num_classes=3,
        loss_decode=dict(
            # was [0.5, 1.0, 2.0, 3.0] (MSF607)
            class_weight=[0.5, 3.0, 1.0],
            # was [2.0, 4.0, 8.0] (MSF607)
            pos_weight=[8.0, 2.0])))

train_dataloader = dict(
    dataset=dict(
        metainfo=dict(
            # was ('person', 'shadow', 'glass') (MSF201)
            classes=('glass', 'person'),
            # added (MSF201)
            palette=[[128, 0, 0], [0, 128, 0]])))
