# MMSegmentation maps the other classes to 255 by itself, and picks the colours.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(type='CityscapesDataset', metainfo=dict(classes=('car', 'road'))))
val_dataloader = train_dataloader
