# STDC's last auxiliary head tells edges from the rest, whatever the classes are.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=64, channels=16, num_classes=3),
        dict(
            type='STDCHead', in_channels=64, channels=16, num_classes=2,
            loss_decode=[dict(type='CrossEntropyLoss', use_sigmoid=True)])
    ])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
