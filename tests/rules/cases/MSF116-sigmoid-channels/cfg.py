# One weight for each sigmoid channel has to be of shape (N, 1, 1); FocalLoss asserts a list.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[1.0, 2.0, 3.0]),
            dict(type='FocalLoss', class_weight=(1.0, 2.0, 3.0))]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
