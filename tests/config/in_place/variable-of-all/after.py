num_classes = 2  # the only place
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead',
        num_classes=num_classes,
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss',
            class_weight=[1.0] * num_classes + [0.1])),
    auxiliary_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=num_classes))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car'))))
