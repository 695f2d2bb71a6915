# One sigmoid channel, to be two softmax channels again.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True),
            dict(type='OneChannelLoss', loss=dict(type='DiceLoss', use_sigmoid=False)),
            dict(type='LovaszLoss', reduction='none', loss_type='binary')]),
    auxiliary_head=dict(type='FCNHead', in_channels=32, channels=16, num_classes=2))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
