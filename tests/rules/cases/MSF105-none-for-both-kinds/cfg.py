model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead', num_classes=3, out_channels=256,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[2.0, 1.0, 1.0, 0.1])),
    auxiliary_head=[
        dict(
            type='FCNHead', in_channels=64, channels=16, num_classes=3,
            loss_decode=dict(type='TverskyLoss', class_weight=(1.0, 2.0, 3.0)))
    ])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
