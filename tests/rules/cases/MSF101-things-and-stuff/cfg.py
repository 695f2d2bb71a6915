# A head of another project, with mmdet's two counts, and weights for both and "no object".
custom_imports = dict(imports=['theirs.models'])
num_things_classes = 100
num_stuff_classes = 50
model = dict(
    type='EncoderDecoderMask2Former',
    backbone=dict(type='TheirBackbone'),
    decode_head=dict(
        type='TheirMask2FormerHead',
        in_channels=[256, 512, 1024, 2048],
        feat_channels=256,
        out_channels=256,
        num_things_classes=num_things_classes,
        num_stuff_classes=num_stuff_classes,
        num_queries=100,
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            class_weight=[1.0] * (num_things_classes + num_stuff_classes) + [0.1])))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
