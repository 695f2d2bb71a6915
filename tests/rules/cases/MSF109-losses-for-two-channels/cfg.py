# OhemCrossEntropy and LovaszLoss stop; DiceLoss and TverskyLoss run, and are left for you.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, out_channels=1, threshold=0.5,
        loss_decode=[
            dict(type='OhemCrossEntropy', class_weight=[1.0, 3.0]),
            dict(type='LovaszLoss', reduction='none'),
            dict(type='LovaszLoss', reduction='none', loss_type='binary'),
            dict(type='DiceLoss', loss_weight=3.0),
            dict(type='TverskyLoss'),
            dict(type='FocalLoss', alpha=0.75)]))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'weed'))))
