# One channel has one weight; FocalLoss weighs its foreground with alpha.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[0.25, 1.0]),
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[4.0]),
            dict(type='FocalLoss', class_weight=[0.25, 1.0])]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
