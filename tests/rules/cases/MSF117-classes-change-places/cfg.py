# The last weight, for "no object", stays where it is.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='Mask2FormerHead', num_classes=3, out_channels=256,
        loss_cls=dict(type='mmdet.CrossEntropyLoss', class_weight=[0.5, 2.0, 1.0, 0.1])))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
val_dataloader = train_dataloader
