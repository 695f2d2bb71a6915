# The padding of the data preprocessor is enough to stop this run.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=[
            dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0]),
            dict(type='DiceLoss', loss_weight=0.5)
        ]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
