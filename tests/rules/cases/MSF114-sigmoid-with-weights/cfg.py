# The ratio for the loss that becomes a sigmoid, both weights for the one that is held.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2,
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', class_weight=[1.0, 1.0]),
            dict(type='LovaszLoss', reduction='none', loss_weight=0.5)]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
