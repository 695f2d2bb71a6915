# Two classes in one sigmoid channel, whole: each loss fits, and auxiliary heads may do otherwise.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.3,
        sampler=dict(type='OHEMPixelSampler', min_kept=10000),
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[4.0]),
            dict(
                type='OneChannelLoss',
                loss=dict(type='TverskyLoss', class_weight=[1.0, 4.0])),
            dict(type='FocalLoss', alpha=0.75)]),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=2),
        dict(
            type='FCNHead', in_channels=32, channels=16, num_classes=2,
            loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
