# MaskFormerHead has 150 classes where nothing is said.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='MaskFormerHead',
        out_channels=256,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[1.0] * 150 + [0.1])))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
