# Missing, out of range, and without use.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
    auxiliary_head=[
        dict(
            type='FCNHead', in_channels=32, channels=16, num_classes=2, out_channels=1, threshold=1,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=2, threshold=0.5)])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
