# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF201)
metainfo = dict(
    classes=('car', 'road', 'sky', 'person'),
    palette=[[0, 0, 142], [128, 64, 128], [70, 130, 180], [220, 20, 60]])

model = dict(
    decode_head=dict(
        # was 19 (MSF101)
        num_classes=4,
        # changed (MSF102)
        loss_decode=[
            dict(
                type='OhemCrossEntropy',
                thres=0.9,
                min_kept=100,
                class_weight=[0.9037, 0.8373, 0.9539, 0.9843]),
            dict(type='DiceLoss', loss_weight=0.4)
        ]))

train_dataloader = dict(dataset=dict(metainfo=metainfo))

val_dataloader = dict(dataset=dict(metainfo=metainfo))
