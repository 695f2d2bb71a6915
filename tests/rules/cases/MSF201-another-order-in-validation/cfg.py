model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
val_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'sky', 'car'))))
