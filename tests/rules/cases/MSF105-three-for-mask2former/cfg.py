model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead',
        num_classes=19,
        out_channels=256,
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss', class_weight=[1.0] * 19 + [0.05])))
train_dataloader = dict(dataset=dict(type='CityscapesDataset'))
