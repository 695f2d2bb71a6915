model = dict(
    type='EncoderDecoder',
    backbone=dict(type='SomeBackbone', num_classes=1000),
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
