# A sigmoid loss reads such a list as a weight for each column of pixels: it is left alone.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='PSPHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='TverskyLoss')),
    auxiliary_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
