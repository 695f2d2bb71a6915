# The second sampler takes the pixels of the highest loss, which works with one channel.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
    auxiliary_head=dict(
        type='FCNHead', in_channels=32, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        sampler=dict(type='OHEMPixelSampler', min_kept=10000),
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
