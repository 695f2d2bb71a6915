model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2,
        loss_decode=dict(type='TverskyLoss', class_weight='data/weights.npy')),
    auxiliary_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2,
        loss_decode=dict(type='TverskyLoss', class_weight='by_name.json')))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
