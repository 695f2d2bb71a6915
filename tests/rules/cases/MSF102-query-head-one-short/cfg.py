# Three weights for three classes: the one for "no object" is missing.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead',
        num_classes=3,
        out_channels=256,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[0.1, 1.0, 1.0])))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
